/** A survey section's side: one international mile. */
export const SECTION_M = 1609.344;
/** Half of the road that runs along every section line. */
export const ROAD_M = 10;
/** Sections along a county's side. */
export const COUNTY = 12;

/** Place of a section in the order in which the field files go through the land: county by county, row by row in each. */
export function rankOf(sx: number, sy: number, columns: number, rows: number): number {
  const [north, west] = [sy - (sy % COUNTY), sx - (sx % COUNTY)];
  const height = Math.min(COUNTY, rows - north);
  const width = Math.min(COUNTY, columns - west);
  return north * columns + west * height + (sy - north) * width + (sx - west);
}

/** All sections by rank. */
export function* sectionsByRank(columns: number, rows: number): Generator<readonly [sx: number, sy: number]> {
  for (let north = 0; north < rows; north += COUNTY) {
    for (let west = 0; west < columns; west += COUNTY) {
      for (let sy = north; sy < Math.min(rows, north + COUNTY); sy++) {
        for (let sx = west; sx < Math.min(columns, west + COUNTY); sx++) yield [sx, sy];
      }
    }
  }
}
