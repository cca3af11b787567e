import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { Run } from "../config/run.js";
import { type AreaTable, computeAreas, findAreas, joinAreas } from "../fields/field-areas.js";
import { type FieldsFile, openFields } from "../fields/fields-file.js";
import { type Joined, joinColumn } from "../fields/join.js";
import { streamIds } from "../fields/stream-ids.js";
import type { Context } from "../pipeline/context.js";
import { openParquet } from "../table/parquet-file.js";

/** Polygons and the table of their areas; without one, areas are computed. */
export interface FieldSources {
  readonly fields: FieldsFile;
  readonly areas: AreaTable | undefined;
}

/** @throws {PipelineError} input, naming file and column. */
export async function openFieldSources(layout: Layout, options: Options): Promise<FieldSources> {
  const fields = await openFields(layout.fieldsRaw, options);
  return { fields, areas: await findAreas(layout, options) };
}

/** Hectares by row of the fields. */
export async function joinArea({ fields, areas }: FieldSources, run: Run): Promise<Joined> {
  const { options, pool, ctx } = run;
  if (areas === undefined) {
    ctx.log.info("no column of areas: they are computed from the polygons, on the ellipsoid", { path: fields.path });
    return computeAreas(fields, options.batch, pool(), ctx);
  }
  const area = await joinAreas(fields, areas, options, ctx);
  report(ctx, area, fields.path, areas.table.path);
  return area;
}

/** A year's crop codes by row of the fields. */
export async function joinCrop(fields: FieldsFile, zonalPath: string, options: Options, ctx: Context): Promise<Joined> {
  const zonal = await openParquet(zonalPath);
  const crop = await joinColumn(fields, zonal, "field_id", "crop_code", "float64", options, ctx);
  report(ctx, crop, fields.path, zonal.path);
  return crop;
}

/** Whether every id equals its row number, which features carry as their id. */
export async function idsAreRows(fields: FieldsFile, batch: number): Promise<boolean> {
  for await (const { firstRow, rows, id } of streamIds(fields, batch)) {
    for (let i = 0; i < rows; i++) if (id(i) !== BigInt(firstRow + i)) return false;
  }
  return true;
}

function report(ctx: Context, { missing, extra }: Joined, fields: string, table: string): void {
  if (missing.rows > 0) ctx.log.warn(`${missing.rows} fields are not in ${table}`, { firstIds: missing.ids.join(" ") });
  if (extra.rows > 0)
    ctx.log.warn(`${extra.rows} rows of ${table} are not in ${fields}`, { firstIds: extra.ids.join(" ") });
}
