import { existsSync } from "node:fs";
import type { Data } from "apache-arrow";
import type gdal from "gdal-async";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { openParquet, type ParquetShape } from "../table/parquet-file.js";
import { planFields } from "./field-plan.js";
import { type FieldsFile, findColumn, ID_NAMES, usualColumn } from "./fields-file.js";
import { type IdRows, type Joined, joinColumn, numberReader } from "./join.js";
import { readFields } from "./reader.js";
import { streamColumns } from "./stream-column.js";
import { areasOf } from "./tasks.js";

/** Hectares of each unit of `--area-unit`; the acre is the international one. */
const HECTARES = { ha: 1, m2: 1e-4, acres: 0.40468564224 } as const;
type AreaUnit = keyof typeof HECTARES;

/** Columns of areas that are known by name, and their units: of this pipeline, of fiboa, of USDA's boundaries. */
const AREA_COLUMNS: readonly (readonly [string, AreaUnit])[] = [
  ["area_ha", "ha"],
  ["metrics:area", "m2"],
  ["CSBACRES", "acres"],
];

/** A column of areas, in a table with an id a row. */
export interface AreaTable {
  readonly table: ParquetShape;
  readonly idColumn: string;
  readonly column: string;
  /** Hectares of one unit of the column. */
  readonly hectares: number;
}

type AreaOptions = Pick<Options, "idColumn" | "areaColumn" | "areaUnit" | "fieldsClean">;

/**
 * Where areas stand: in the file of `--fields-clean`, which is there by default in a root of the old pipeline, else in
 * the fields' own file; in `--area-column`, else in a column that is known by name.
 *
 * @returns undefined where neither file has such a column and none is asked for.
 * @throws {PipelineError} input: `--fields-clean` is not there or has no such column; no file has `--area-column`.
 */
export async function findAreas(layout: Layout, options: AreaOptions): Promise<AreaTable | undefined> {
  const hasClean = existsSync(layout.fieldsClean);
  if (!hasClean && options.fieldsClean !== undefined) {
    throw new PipelineError("input", "File of field areas not found", { path: layout.fieldsClean });
  }
  const clean = hasClean ? await openParquet(layout.fieldsClean) : undefined;
  // A file that is given for its areas has them.
  const isGiven = options.fieldsClean !== undefined;
  const raw = !isGiven && existsSync(layout.fieldsRaw) ? await openParquet(layout.fieldsRaw) : undefined;
  for (const table of [clean, raw]) {
    const column = table && columnOfAreas(table, options.areaColumn);
    if (table === undefined || column === undefined) continue;
    const idColumn = findColumn(table, "id", options.idColumn, ID_NAMES);
    const known = AREA_COLUMNS.find(([name]) => name.toLowerCase() === column.toLowerCase());
    return { table, idColumn, column, hectares: HECTARES[options.areaUnit ?? known?.[1] ?? "ha"] };
  }
  const expected = clean ?? (options.areaColumn === undefined ? undefined : raw);
  if (expected !== undefined)
    findColumn(
      expected,
      "area",
      options.areaColumn,
      AREA_COLUMNS.map(([name]) => name),
    );
  return undefined;
}

function columnOfAreas({ columns }: ParquetShape, given: string | undefined): string | undefined {
  if (given !== undefined) return columns.has(given) ? given : undefined;
  return usualColumn(
    [...columns.keys()],
    AREA_COLUMNS.map(([name]) => name),
  );
}

/** Hectares by row, from a table of areas. */
export async function joinAreas(
  fields: IdRows,
  { table, idColumn, column, hectares }: AreaTable,
  options: Pick<Options, "batch">,
  ctx: Context,
): Promise<Joined> {
  const joined =
    table.path === fields.path
      ? await ownColumn(table, column, options.batch)
      : await joinColumn(fields, table, idColumn, column, "float32", options, ctx);
  const { values } = joined;
  if (hectares !== 1) for (let row = 0; row < values.length; row++) values[row] = (values[row] as number) * hectares;
  return joined;
}

async function ownColumn(table: ParquetShape, column: string, batch: number): Promise<Joined> {
  const values = new Float32Array(new SharedArrayBuffer(4 * table.rows));
  for await (const { firstRow, rows, data } of streamColumns(table, [column], batch)) {
    const read = numbersOf(table, column, data[0] as Data);
    for (let i = 0; i < rows; i++) values[firstRow + i] = read(i);
  }
  return { values, missing: NONE, extra: NONE };
}

function numbersOf({ path }: ParquetShape, column: string, data: Data): (row: number) => number {
  try {
    return numberReader(data);
  } catch (cause) {
    throw asPipelineError(cause, "input", "Areas cannot be read", { path, column });
  }
}

const NONE = { rows: 0, ids: [] };
/** Slices handed out beyond the number of workers. */
const AHEAD = 2;
const HECTARE_M2 = 10_000;

/**
 * Hectares by row, computed from the polygons on the ellipsoid of their CRS; NaN for what is no polygon.
 *
 * @throws {PipelineError} input, naming the rows, where the file is damaged.
 */
export async function computeAreas(fields: FieldsFile, batch: number, pool: Pool, ctx: Context): Promise<Joined> {
  const { path, idColumn, geometryColumn, crs } = fields;
  const values = new Float32Array(new SharedArrayBuffer(4 * fields.rows));
  const { planProjection, spatialReference } = await import("./projection.js");
  const source = spatialReference(crs);
  const degrees = source.isGeographic() ? source : source.cloneGeogCS();
  const ellipsoid = ellipsoidOf(degrees);
  const projection = planProjection(crs, source.isGeographic() ? crs : degrees.toWKT());
  const task = ctx.progress.start("areas computed", fields.rows);
  const { slices } = await planFields(fields, batch, pool, ctx);
  try {
    const compute = async (slice: (typeof slices)[number]) => {
      const columns = { path, slice, idColumn, geometryColumn };
      try {
        if (projection.kind !== "proj") return await pool.run(areasOf, { ...columns, ...ellipsoid });
        const { column } = await pool.run(readFields, columns);
        return await pool.run(areasOf, { column: projection.reproject(column), ...ellipsoid });
      } catch (cause) {
        const rows = `${slice.firstRow}..${slice.firstRow + slice.rows}`;
        throw asPipelineError(cause, "input", "Fields cannot be read", { path, rowGroup: slice.rowGroup, rows });
      }
    };
    let row = 0;
    for await (const areas of mapOrdered(slices, pool.threads + AHEAD, compute)) {
      ctx.signal.throwIfAborted();
      values.set(
        areas.map((area) => area / HECTARE_M2),
        row,
      );
      row += areas.length;
      task.update(row);
    }
  } finally {
    task.end();
  }
  return { values, missing: NONE, extra: NONE };
}

function ellipsoidOf(srs: gdal.SpatialReference): { semiMajor: number; inverseFlattening: number } {
  const [semiMajor, inverseFlattening] = [1, 2].map((child) => Number(srs.getAttrValue("SPHEROID", child)));
  return { semiMajor: semiMajor as number, inverseFlattening: inverseFlattening as number };
}
