/**
 * Fields Pipeline as a library: majority class of polygons under categorical rasters.
 *
 * ```js
 * import { openFields, openRaster, ZonalEngine } from "fields-pipeline";
 *
 * const engine = new ZonalEngine({ threads: 4 });
 * const fields = await openFields("fields.parquet");
 * for await (const batch of engine.zonal(fields, openRaster("landcover.tif"))) {
 *   for (const row of batch) console.log(row.field_id, row.crop_code, row.crop_share);
 * }
 * await engine.close();
 * ```
 */
export { type FieldsFile, type FieldsOptions, openFields } from "./fields/fields-file.js";
export type { Window } from "./kernel/raster.js";
export { type ErrorKind, EXIT_CODES, PipelineError } from "./pipeline/errors.js";
export type { Grid } from "./raster/grid.js";
export { openRaster, type Raster } from "./raster/raster.js";
export { openRemoteRaster } from "./raster/remote-raster.js";
export { type EngineOptions, type ZonalColumns, ZonalEngine, type ZonalOptions } from "./zonal/engine.js";
export type { PixelOptions } from "./zones/pixel-rule.js";
