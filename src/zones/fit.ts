import { sameCrs } from "../fields/projection.js";
import { type Grid, gridShift } from "../raster/grid.js";
import type { ZoneHeader } from "./format.js";

/**
 * Whether an index serves a raster, and where the raster's northwest corner lies on its
 * grid, in pixels.
 *
 * It does when the pixels of both coincide and nothing is missing from it: all fields lie
 * inside the index's own grid, or all of the raster does.
 *
 * @returns undefined when it does not.
 */
export function fitRaster(
  header: ZoneHeader,
  raster: Grid,
): { readonly col: number; readonly row: number } | undefined {
  const { grid, extent } = header;
  const shift = gridShift(grid, raster, sameCrs);
  if (shift === undefined) return undefined;
  const inside = (col0: number, row0: number, col1: number, row1: number) =>
    col0 >= 0 && row0 >= 0 && col1 <= grid.width && row1 <= grid.height;
  const complete =
    extent === null ||
    inside(...extent) ||
    inside(shift.col, shift.row, shift.col + raster.width, shift.row + raster.height);
  return complete ? shift : undefined;
}
