import type { Data } from "apache-arrow";
import type { Options } from "../config/options.js";
import { withRun } from "../config/run.js";
import { type AreaTable, computeAreas, joinAreas } from "../fields/field-areas.js";
import { openFields } from "../fields/fields-file.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import type { AreaSource } from "./format.js";
import type { MergedRows } from "./merge.js";
import type { YearTable } from "./year-table.js";

/** Columns of a zonal table that areas are taken from where there is no table of areas. */
export const VALID_COLUMNS = ["valid_pixels", "valid_area_ha"] as const;

/** Gives the hectares of a batch's rows, NaN where unknown. */
export interface Areas {
  readonly source: AreaSource;
  of(rows: MergedRows): Float32Array;
}

/**
 * Areas by a table of them, joined by id (4 bytes a field); fields it does not have are reported in the log.
 */
export async function tableAreas(
  table: YearTable,
  areaTable: AreaTable,
  options: Options,
  ctx: Context,
): Promise<Areas> {
  const { path } = areaTable.table;
  const fields = { ...table.shape, idColumn: "field_id", idType: table.idType };
  const { values, missing } = await joinAreas(fields, areaTable, options, ctx);
  if (missing.rows > 0) {
    ctx.log.warn(`${missing.rows} fields have no area: their ids are not in the table of areas`, {
      path,
      ids: missing.ids.map(String).join(" "),
    });
  }
  const areas = values as Float32Array;
  return { source: "clean", of: ({ firstRow, rows }) => areas.slice(firstRow, firstRow + rows) };
}

/**
 * Areas computed from the polygons, on the ellipsoid (4 bytes a field).
 *
 * @param fieldsPath  of the fields that the zonal tables were made of.
 * @throws {PipelineError} input, when it has another number of rows; as openFields.
 */
export async function polygonAreas(
  table: YearTable,
  fieldsPath: string,
  options: Options,
  ctx: Context,
): Promise<Areas> {
  const fields = await openFields(fieldsPath, options);
  if (fields.rows !== table.shape.rows) {
    throw new PipelineError("input", "The zonal tables are of other fields than these", {
      path: fieldsPath,
      expected: `${table.shape.rows} rows, as in ${table.year}`,
      received: fields.rows,
    });
  }
  const { values } = await withRun(options, undefined, ctx, (run) =>
    computeAreas(fields, options.batch, run.pool(), ctx),
  );
  const areas = values as Float32Array;
  return { source: "ellipsoid", of: ({ firstRow, rows }) => areas.slice(firstRow, firstRow + rows) };
}

/**
 * Areas by the field's valid pixels in one of the years.
 *
 * @param tableIndex  of the table that was opened with VALID_COLUMNS as its extra ones.
 * @param pixelHa     hectares of a pixel, where the table holds pixels; undefined where it is not known, for a
 *   pixel of a raster in degrees, say, has no one area.
 */
export function pixelAreas(table: YearTable, tableIndex: number, pixelHa: number | undefined, ctx: Context): Areas {
  const weighted = table.extraColumn === "valid_area_ha";
  const scale = weighted ? 1 : pixelHa;
  if (scale === undefined) {
    ctx.log.warn(
      "areas are not known: there is neither a table of field areas nor their polygons, and no --pixel-size",
    );
    return { source: "none", of: ({ rows }) => new Float32Array(rows).fill(Number.NaN) };
  }
  return {
    source: weighted ? "weights" : "pixels",
    of: ({ extra }) => Float32Array.from((extra[tableIndex] as Data).values as ArrayLike<number>, (n) => n * scale),
  };
}
