import { statSync } from "node:fs";
import type { Options } from "../config/options.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { estimateTiling, OUTPUT_COPIES } from "../tiles/preflight.js";

/**
 * GeoJSON of a polygon and its centroid by what the parquet holds of it: a vertex is 16
 * bytes there, hardly smaller packed, and about 22 as text; names and attributes of both
 * features are 300 more.
 */
const TEXT_FACTOR = 1.8;
const TEXT_BYTES_A_FIELD = 300;
/** Bytes a field in the zone index; see ARCHITECTURE.md. */
const ZONE_BYTES_A_FIELD = 75;
/** A year's zip and raster, while the zonal table is made. */
const RASTER_BYTES = 4 * 2 ** 30;
/** What a field set's first year takes on the root's disk; from the fields' footer and size alone. */
export function estimateFirstYear(fields: FieldsFile, options: Options) {
  const bytes = statSync(fields.path).size;
  const text = bytes * TEXT_FACTOR + fields.rows * TEXT_BYTES_A_FIELD;
  const { tempBytes, archiveBytes } = estimateTiling(text, options.maxZoom);
  const made = (OUTPUT_COPIES + 2) * archiveBytes + fields.rows * ZONE_BYTES_A_FIELD;
  return { bytes, tempBytes, archiveBytes, madeBytes: made, neededBytes: made + RASTER_BYTES };
}
