import type { Window } from "../kernel/raster.js";

/** A raster's pixel grid: CRS, geotransform, size. North is up. */
export interface Grid {
  /** WKT. */
  readonly crs: string;
  /** GDAL's six numbers: x = g[0] + col · g[1], y = g[3] + row · g[5]; g[2] and g[4] are 0. */
  readonly geotransform: readonly [number, number, number, number, number, number];
  readonly width: number;
  readonly height: number;
}

/** Readable bounds of an area in the grid's CRS: `x -106095..-76095, y 1792605..1822605`. */
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

/** `1000×1000 pixels of 30×-30, x ..., y ...` */
export function gridText(grid: Grid): string {
  const [, dx, , , , dy] = grid.geotransform;
  return `${grid.width}×${grid.height} pixels of ${dx}×${dy}, ${extentText(grid)}`;
}

export function windowText(window: Window): string {
  return `${window.col},${window.row} ${window.width}×${window.height}`;
}

/** Maximum offset, in pixels, between two grids on the same lattice. */
const LATTICE_TOLERANCE = 1e-6;

/**
 * Position of a raster's northwest corner on another grid, in whole pixels; undefined
 * if CRS or pixel size differ, or the pixels do not align.
 *
 * @param sameCrs  whether two WKTs are the same CRS.
 */
export function gridShift(
  grid: Grid,
  raster: Grid,
  sameCrs: (a: string, b: string) => boolean,
): { readonly col: number; readonly row: number } | undefined {
  const [x0, dx, , y0, , dy] = grid.geotransform;
  const [x1, ex, , y1, , ey] = raster.geotransform;
  const size = Math.max(raster.width, raster.height);
  if (Math.abs(ex / dx - 1) * size > LATTICE_TOLERANCE || Math.abs(ey / dy - 1) * size > LATTICE_TOLERANCE)
    return undefined;
  const [col, row] = [(x1 - x0) / dx, (y1 - y0) / dy];
  const whole = { col: Math.round(col), row: Math.round(row) };
  if (Math.abs(col - whole.col) > LATTICE_TOLERANCE || Math.abs(row - whole.row) > LATTICE_TOLERANCE) return undefined;
  return sameCrs(grid.crs, raster.crs) ? whole : undefined;
}
