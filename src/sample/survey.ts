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
  const counties = countiesAcross(columns) * Math.ceil(rows / COUNTY);
  for (let county = 0; county < counties; county++) yield* sectionsOfCounty(county, columns, rows);
}

/** A county's number: row by row. */
export function countyOf(sx: number, sy: number, columns: number): number {
  return Math.floor(sy / COUNTY) * countiesAcross(columns) + Math.floor(sx / COUNTY);
}

export function countiesAcross(columns: number): number {
  return Math.ceil(columns / COUNTY);
}

/** A county's sections by rank. */
export function* sectionsOfCounty(
  county: number,
  columns: number,
  rows: number,
): Generator<readonly [sx: number, sy: number]> {
  const across = countiesAcross(columns);
  const west = (county % across) * COUNTY;
  const north = Math.floor(county / across) * COUNTY;
  for (let sy = north; sy < Math.min(rows, north + COUNTY); sy++) {
    for (let sx = west; sx < Math.min(columns, west + COUNTY); sx++) yield [sx, sy];
  }
}
