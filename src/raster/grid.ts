/** A raster's pixel grid: CRS, geotransform, size. North is up. */
export interface Grid {
  /** WKT. */
  readonly crs: string;
  /** GDAL's six numbers: x = g[0] + col · g[1], y = g[3] + row · g[5]; g[2] and g[4] are 0. */
  readonly geotransform: readonly [number, number, number, number, number, number];
  readonly width: number;
  readonly height: number;
}

/** `{col, row, width, height}` in pixels from the north-west corner; the end is exclusive. */
export interface Window {
  readonly col: number;
  readonly row: number;
  readonly width: number;
  readonly height: number;
}

/** Bounds of an area in the grid's CRS, as people read them: `x -106095..-76095, y 1792605..1822605`. */
export function extentText(
  grid: Grid,
  cols: readonly [number, number] = [0, grid.width],
  rows: readonly [number, number] = [0, grid.height],
): string {
  const [x0, dx, , y0, , dy] = grid.geotransform;
  const range = (a: number, b: number) =>
    [a, b]
      .sort((p, q) => p - q)
      .map((v) => Number(v.toFixed(6)))
      .join("..");
  return `x ${range(x0 + cols[0] * dx, x0 + cols[1] * dx)}, y ${range(y0 + rows[0] * dy, y0 + rows[1] * dy)}`;
}

export function windowText(window: Window): string {
  return `${window.col},${window.row} ${window.width}×${window.height}`;
}
