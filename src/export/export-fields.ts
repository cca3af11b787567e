import { existsSync } from "node:fs";
import { Type } from "apache-arrow";
import { layoutOf } from "../config/config.js";
import type { Run } from "../config/run.js";
import { findAreas } from "../fields/field-areas.js";
import { columnIds, type FieldId } from "../fields/field-id.js";
import { type FieldsFile, openFields } from "../fields/fields-file.js";
import { idReader } from "../fields/ids.js";
import type { FieldSlice } from "../fields/reader.js";
import { type Areas, tableAreas } from "../history/areas.js";
import { CropClasses } from "../history/crop-classes.js";
import { type MergedRows, mergeYears } from "../history/merge.js";
import { YearTable } from "../history/year-table.js";
import { coordinatesOf } from "../lookup/coordinates.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { type CsvValue, CsvWriter } from "../table/csv.js";
import { openParquet } from "../table/parquet-file.js";
import { allColumns, chosenColumns, type ExportColumn } from "./export-columns.js";
import { fiboaColumns, fiboaMetadata } from "./fiboa.js";
import { parseWhere } from "./filter.js";
import { type GeoParquetOptions, ROW_GROUP_ROWS, writeGeoParquet } from "./geoparquet.js";
import { type FieldRecord, RecordFiles } from "./record-file.js";
import { type Box, NO_BUCKET, type SpatialOrder, spatialOrder } from "./spatial-order.js";
import { polygonSlice } from "./tasks.js";

export type ExportFormat = "geoparquet" | "fgb" | "gpkg" | "csv";

/** Ids of fields without a polygon that the log names. */
const IDS_SHOWN = 20;

export interface ExportRequest {
  readonly years: readonly number[];
  readonly format: ExportFormat;
  /** Degrees: west, south, east, north. */
  readonly bbox: Box | undefined;
  readonly where: string | undefined;
  readonly columns: string | undefined;
  /** Columns and metadata of fiboa, with the crop of the last year; GeoParquet alone. */
  readonly fiboa: boolean;
}

export interface Exported {
  /** Fields written. */
  readonly rows: number;
  /** Fields among them without a polygon that can be read. */
  readonly withoutPolygon: number;
}

/**
 * Write fields with their crops and shares, ordered along a Hilbert curve: sorted into files of a row group's size
 * first, so that memory holds one row group and 6 bytes a field.
 *
 * @param folder  scratch, for as many bytes as the polygons have.
 * @throws {PipelineError} usage: an unknown column, a filter that cannot be read; input: no table of a year, tables
 *   of other fields, a damaged file.
 */
export async function exportFields(
  partial: string,
  folder: string,
  request: ExportRequest,
  run: Run,
): Promise<Exported> {
  const { options, layout, ctx } = run;
  const fields = await openFields(layout.fieldsRaw, options, ctx.log);
  const tables = await openTables(request.years, fields, run);
  const areaTable = await findAreas(layout, options);
  const areas = areaTable && (await tableAreas(tables[0] as YearTable, areaTable, options, ctx));
  const all = allColumns(request.years, areas !== undefined);
  const lastYear = request.years.length - 1;
  const columns = request.fiboa ? fiboaColumns(lastYear) : chosenColumns(request.columns, all);
  const where =
    request.where === undefined
      ? undefined
      : parseWhere(
          request.where,
          all.map(({ name }) => name),
        );
  const within = request.bbox && (await boxInFields(request.bbox, fields.crs));
  const order = await spatialOrder(fields, within, ROW_GROUP_ROWS, options.batch, run.pool(), ctx);
  const textIds = fields.idType.typeId !== Type.Int;
  const files = new RecordFiles(folder, order.bucketCount, request.years.length, textIds);
  const wanted = new Wanted(all, where, request.fiboa, request.format === "fgb" || request.fiboa);
  const withoutPolygon = await sortFields(fields, tables, areas, order, files, wanted, run);
  const parquet = request.fiboa
    ? { metadata: fiboaMetadata(options.region, request.years[lastYear] as number), allHavePolygons: true }
    : {};
  const rows = await write(partial, request.format, files, columns, fields, order.extent, textIds, parquet);
  if (rows !== wanted.rows) {
    throw new PipelineError("failed", "Export differs from what was written", {
      path: partial,
      expected: wanted.rows,
      received: rows,
    });
  }
  if (withoutPolygon.count > 0) {
    const fate = wanted.polygonsOnly ? "are left out" : "have no geometry";
    const ids = withoutPolygon.ids.join(" ") + (withoutPolygon.count > IDS_SHOWN ? " ..." : "");
    ctx.log.warn(`${withoutPolygon.count} fields without a polygon that can be read ${fate}`, { ids });
  }
  return { rows, withoutPolygon: withoutPolygon.count };
}

async function openTables(years: readonly number[], fields: FieldsFile, { options }: Run): Promise<YearTable[]> {
  const tables: YearTable[] = [];
  for (const year of years) {
    const path = layoutOf(options, year).zonal;
    if (!existsSync(path)) throw new PipelineError("input", "No zonal table found for this year", { year, path });
    const table = await YearTable.open({ year, path });
    tables.push(table);
    if (table.shape.rows === fields.rows) continue;
    throw new PipelineError("input", "Zonal table belongs to other fields: row counts differ", {
      year,
      path,
      expected: fields.rows,
      received: table.shape.rows,
    });
  }
  return tables;
}

/** Which of the fields that lie in the box are written. */
class Wanted {
  rows = 0;
  readonly #columns: ReadonlyMap<string, ExportColumn>;

  constructor(
    columns: readonly ExportColumn[],
    private readonly where: ReturnType<typeof parseWhere> | undefined,
    private readonly needsId: boolean,
    /** Whether fields without a polygon are left out. */
    readonly polygonsOnly: boolean,
  ) {
    this.#columns = new Map(columns.map((column) => [column.name, column]));
  }

  has(record: Parameters<ExportColumn["valueIn"]>[0]): boolean {
    const named = record.id !== null || !this.needsId;
    const wanted = named && (this.where?.((name) => (this.#columns.get(name) as ExportColumn).valueIn(record)) ?? true);
    if (wanted) this.rows++;
    return wanted;
  }
}

/** Read polygons and crops in step, and put each field into its bucket. @returns fields without a polygon. */
async function sortFields(
  fields: FieldsFile,
  tables: readonly YearTable[],
  areas: Areas | undefined,
  order: SpatialOrder,
  files: RecordFiles,
  wanted: Wanted,
  { pool, ctx }: Run,
): Promise<{ count: number; ids: string[] }> {
  const { path, idColumn, geometryColumn } = fields;
  const crops = new CropRows(mergeYears(tables, new CropClasses(), ctx), areas);
  const task = ctx.progress.start("fields sorted", fields.rows);
  const read = (slice: FieldSlice) =>
    pool()
      .run(polygonSlice, { path, slice, idColumn, geometryColumn })
      .then((polygons) => ({ slice, ...polygons }))
      .catch((cause: unknown) => {
        const range = `${slice.firstRow}..${slice.firstRow + slice.rows}`;
        throw asPipelineError(cause, "input", "Fields cannot be read", { path, rows: range });
      });
  const withoutPolygon = { count: 0, ids: [] as string[] };
  try {
    for await (const { slice, values, offsets, ids } of mapOrdered(order.slices, pool().threads + 2, read)) {
      const id = columnIds(ids);
      for (let i = 0; i < slice.rows; i++) {
        const row = slice.firstRow + i;
        const crop = await crops.of(row);
        if (crop.id !== id(i)) throw otherFields(tables[0] as YearTable, row, id(i), crop.id);
        const bucket = order.buckets[row] as number;
        if (bucket === NO_BUCKET || !wanted.has(crop)) continue;
        const wkb = values.subarray(offsets[i], offsets[i + 1]);
        if (wkb.length === 0) {
          withoutPolygon.count++;
          if (wanted.polygonsOnly) wanted.rows--;
          if (withoutPolygon.ids.length < IDS_SHOWN) withoutPolygon.ids.push(String(crop.id));
        }
        if (wkb.length > 0 || !wanted.polygonsOnly)
          files.add(bucket, { ...crop, key: order.keys[row] as number, row, wkb });
      }
      task.update(slice.firstRow + slice.rows);
      ctx.signal.throwIfAborted();
    }
  } finally {
    task.end();
  }
  return withoutPolygon;
}

function otherFields({ path, year }: YearTable, row: number, expected: FieldId | null, received: FieldId | null) {
  const ids = { expected: String(expected), received: String(received) };
  return new PipelineError("input", "Zonal table belongs to other fields: ids differ", { year, path, row, ...ids });
}

/** What is known of a row, of rows that are asked for one after the other. */
class CropRows {
  #rows: MergedRows | undefined;
  #id: (row: number) => FieldId | null = () => null;
  #areas: Float32Array | undefined;

  constructor(
    private readonly merged: AsyncGenerator<MergedRows>,
    private readonly areas: Areas | undefined,
  ) {}

  of(row: number): ReturnType<CropRows["at"]> | Promise<ReturnType<CropRows["at"]>> {
    const { firstRow = 0, rows = 0 } = this.#rows ?? {};
    return row < firstRow + rows ? this.at(row - firstRow) : this.#next().then(() => this.of(row));
  }

  at(i: number) {
    const { years } = this.#rows as MergedRows;
    const crops: (number | null)[] = [];
    const shares: (number | null)[] = [];
    for (const { codes, shares: percents, valid } of years) {
      const there = ((valid[i >> 3] as number) >> (i & 7)) & 1;
      crops.push(there ? (codes[i] as number) : null);
      shares.push(there ? (percents[i] as number) : null);
    }
    return { id: this.#id(i), areaHa: this.#areas?.[i] ?? Number.NaN, crops, shares };
  }

  async #next(): Promise<void> {
    const next = await this.merged.next();
    if (next.done) throw new Error("Zonal tables have fewer rows than the fields");
    this.#rows = next.value;
    this.#id = idReader(next.value.ids);
    this.#areas = this.areas?.of(next.value);
  }
}

async function write(
  path: string,
  format: ExportFormat,
  files: RecordFiles,
  columns: readonly ExportColumn[],
  fields: FieldsFile,
  extent: Box | null,
  textIds: boolean,
  options: GeoParquetOptions,
): Promise<number> {
  async function* records() {
    yield* files.read();
  }
  if (format === "geoparquet") {
    await writeGeoParquet(path, records(), columns, fields.idType, fields.crs, extent, options);
    return (await openParquet(path)).rows;
  }
  if (format === "csv") return writeCsv(path, records(), columns);
  const { countFeatures, writeVectorFile } = await import("./vector-file.js");
  await writeVectorFile(path, format, records(), columns, textIds, fields.crs);
  return countFeatures(path);
}

/** Without geometry. */
async function writeCsv(
  path: string,
  records: AsyncIterable<FieldRecord[]>,
  columns: readonly ExportColumn[],
): Promise<number> {
  const csv = await CsvWriter.open(
    path,
    columns.map(({ name }) => name),
  );
  let rows = 0;
  try {
    for await (const piece of records) {
      for (const record of piece) {
        await csv.write(columns.map((column): CsvValue => column.valueIn(record)));
        rows++;
      }
    }
  } finally {
    await csv.close();
  }
  return rows;
}

/** A box around a box of degrees in the fields' own coordinates: its sides may bend. */
async function boxInFields([west, south, east, north]: Box, crs: string): Promise<Box> {
  const coordinates = await coordinatesOf(crs);
  const steps = Array.from({ length: 21 }, (_, i) => i / 20);
  const sides = steps.flatMap((t) => {
    const [x, y] = [west + t * (east - west), south + t * (north - south)];
    return [
      coordinates.toFields([x, south]),
      coordinates.toFields([x, north]),
      coordinates.toFields([west, y]),
      coordinates.toFields([east, y]),
    ];
  });
  const [xs, ys] = [sides.map(([x]) => x), sides.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
