import type { Data } from "apache-arrow";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { type FieldsFile, findColumn, openFields, openParquet, type ParquetShape } from "../fields/fields-file.js";
import { idReader } from "../fields/ids.js";
import { type Joined, joinColumn } from "../fields/join.js";
import { streamColumns } from "../fields/stream-column.js";
import type { Context } from "../pipeline/context.js";

const ID_NAMES = ["field_id", "id", "fid", "CSBID"];

/** Polygons, and the table of their areas. */
export interface FieldSources {
  readonly fields: FieldsFile;
  readonly clean: ParquetShape;
}

/** @throws {PipelineError} input, naming file and column. */
export async function openFieldSources(layout: Layout, options: Options): Promise<FieldSources> {
  const fields = await openFields(layout.fieldsRaw, options);
  const clean = await openParquet(layout.fieldsClean);
  findColumn(clean, "id", options.idColumn, ID_NAMES);
  findColumn(clean, "area", options.areaColumn, []);
  return { fields, clean };
}

/** Hectares by row of the fields. */
export async function joinArea({ fields, clean }: FieldSources, options: Options, ctx: Context): Promise<Joined> {
  const cleanId = findColumn(clean, "id", options.idColumn, ID_NAMES);
  const area = await joinColumn(fields, clean, cleanId, options.areaColumn, "float32", options, ctx);
  report(ctx, area, fields.path, clean.path);
  return area;
}

/** A year's crop codes by row of the fields. */
export async function joinCrop(fields: FieldsFile, zonalPath: string, options: Options, ctx: Context): Promise<Joined> {
  const zonal = await openParquet(zonalPath);
  const crop = await joinColumn(fields, zonal, "field_id", "crop_code", "float64", options, ctx);
  report(ctx, crop, fields.path, zonal.path);
  return crop;
}

/** Whether every id is its row's number, so that features carry it anyway. */
export async function idsAreRows(fields: FieldsFile, batch: number): Promise<boolean> {
  for await (const { firstRow, rows, data } of streamColumns(fields, [fields.idColumn], batch)) {
    const id = idReader(data[0] as Data, fields.idColumn);
    for (let i = 0; i < rows; i++) if (id(i) !== BigInt(firstRow + i)) return false;
  }
  return true;
}

function report(ctx: Context, { missing, extra }: Joined, fields: string, table: string): void {
  if (missing.rows > 0) ctx.log.warn(`${missing.rows} fields are not in ${table}`, { firstIds: missing.ids.join(" ") });
  if (extra.rows > 0)
    ctx.log.warn(`${extra.rows} rows of ${table} are not in ${fields}`, { firstIds: extra.ids.join(" ") });
}
