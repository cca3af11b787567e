import { SHARE_UNITS } from "../kernel/zonal.js";
import type { Raster } from "../raster/raster.js";
import { rowAreas } from "../raster/row-areas.js";
import { AREA_UNITS, type ZonalRule } from "./rule.js";

/** Weight of a full pixel in each row, in units of the rule; undefined if pixels are counted. */
export function rowWeights({ area, unit }: ZonalRule, raster: Raster): Float64Array | undefined {
  if (area) return rowAreas(raster).map((m2) => m2 * AREA_UNITS);
  return unit === undefined ? undefined : new Float64Array(raster.grid.height).fill(SHARE_UNITS);
}
