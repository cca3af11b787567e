/** A raster of classes, row by row from the northwest. */
export interface ClassRaster {
  readonly values: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Transform from ring coordinates to raster coordinates: `raster = offset + scale × ring`. */
export interface Placement {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

/**
 * Set the pixels whose center is inside a polygon, by the even-odd rule, so rings may come in
 * any order and direction. A center on the border of two polygons belongs to only one of
 * them: neighbors neither overlap nor leave a gap, unlike on a canvas with antialiased edges.
 */
export function fillPolygon(
  { values, width, height }: ClassRaster,
  rings: readonly (readonly Point[])[],
  { scale, x, y }: Placement,
  value: number,
): void {
  const [firstRow, endRow] = rowsOf(rings, scale, y, height);
  if (firstRow >= endRow) return;
  const crossings: number[][] = Array.from({ length: endRow - firstRow }, () => []);
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i++) {
      const [a, b] = [ring[i] as Point, ring[(i + 1) % ring.length] as Point];
      // Start at the upper end, whatever the ring's direction: the neighbor's edge gives the same numbers.
      const [upper, lower] = a.y < b.y ? [a, b] : [b, a];
      const y0 = y + scale * upper.y;
      const top = Math.max(firstRow, centerFrom(y0));
      const bottom = Math.min(endRow, centerFrom(y + scale * lower.y));
      const slope = (lower.x - upper.x) / (lower.y - upper.y);
      for (let row = top; row < bottom; row++) {
        crossings[row - firstRow]?.push(x + scale * upper.x + slope * (row + 0.5 - y0));
      }
    }
  }
  for (const [i, along] of crossings.entries()) {
    along.sort((a, b) => a - b);
    const start = (firstRow + i) * width;
    for (let k = 0; k + 1 < along.length; k += 2) {
      const left = Math.max(0, centerFrom(along[k] as number));
      const right = Math.min(width, centerFrom(along[k + 1] as number));
      if (left < right) values.fill(value, start + left, start + right);
    }
  }
}

/** First pixel whose center is at or beyond a coordinate. */
function centerFrom(coordinate: number): number {
  return Math.ceil(coordinate - 0.5);
}

/** Rows [first, end) of the raster in which a polygon can have pixels. */
function rowsOf(rings: readonly (readonly Point[])[], scale: number, y: number, height: number): [number, number] {
  let [top, bottom] = [Infinity, -Infinity];
  for (const ring of rings) {
    for (const point of ring) [top, bottom] = [Math.min(top, point.y), Math.max(bottom, point.y)];
  }
  return [Math.max(0, centerFrom(y + scale * top)), Math.min(height, centerFrom(y + scale * bottom))];
}
