import {
  Binary,
  Bool,
  type Data,
  Field,
  Float64,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint8,
  Uint32,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { type DirtyRow, dirtyRows } from "./dirty.js";
import { type FieldRow, fieldRows } from "./field-rows.js";
import { cropOf } from "./rotation.js";
import { WkbBuffer } from "./wkb.js";
import type { Part, World } from "./world.js";

/** Rows of a batch. */
const BATCH_ROWS = 16_384;

/** What GeoParquet 1.0 says of the geometry column: WKB in longitude and latitude. */
const GEO = JSON.stringify({
  version: "1.0.0",
  primary_column: "geometry",
  columns: {
    geometry: {
      encoding: "WKB",
      geometry_types: ["Polygon", "MultiPolygon"],
      crs: { type: "GeographicCRS", name: "WGS 84 (CRS84)", id: { authority: "OGC", code: "CRS84" } },
    },
  },
});

const ID = new Field("field_id", new Int64(), true);
const AREA = new Field("area_ha", new Float64(), true);
const GEOMETRY = new Field("geometry", new Binary(), true);
const GEO_METADATA = new Map([["geo", GEO]]);

export const RAW_SCHEMA = new Schema([ID, GEOMETRY], GEO_METADATA);
export const CLEAN_SCHEMA = new Schema([ID, AREA, GEOMETRY], GEO_METADATA);

/** One row per row of fields_raw (and those of fields_clean alone): what it is, where, and what grew there. */
export function truthSchema(years: readonly number[]): Schema {
  return new Schema([
    new Field("field_id", new Int64(), false),
    new Field("shape", new Utf8(), true),
    new Field("place", new Utf8(), true),
    new Field("sure", new Bool(), false),
    new Field("centres", new Uint32(), true),
    new Field("area_ha", new Float64(), true),
    new Field("fault", new Utf8(), true),
    ...years.map((year) => new Field(cropColumn(year), new Uint8(), true)),
  ]);
}

export function cropColumn(year: number): string {
  return `crop_${year}`;
}

/** Some rows of all three tables. */
export interface TableBatch {
  readonly raw: RecordBatch;
  readonly clean: RecordBatch;
  readonly truth: RecordBatch;
}

/** A part's rows of all tables in one pass over its land, batch by batch. The last part has the broken rows, if any. */
export function* tableBatches(
  world: World,
  part: Part,
  years: readonly number[],
  dirty: boolean,
): Generator<TableBatch> {
  const truth = truthSchema(years);
  const wkb = new WkbBuffer();
  for (const rows of chunks(allRows(world, part, dirty))) {
    // Every field's polygon, and its clean rows' too; they differ in broken rows alone.
    const raw = fieldBatch(rows, "raw", wkb);
    const broken = rows.some((row) => "fault" in row);
    const clean = broken ? fieldBatch(rows, "clean", wkb) : raw;
    yield {
      raw: batch(RAW_SCHEMA, raw.id.length, [raw.id, raw.geometry]),
      clean: batch(CLEAN_SCHEMA, clean.id.length, [clean.id, clean.area, clean.geometry]),
      truth: truthBatch(rows, truth, years),
    };
  }
}

/** The columns of fields_raw or fields_clean. */
function fieldBatch(rows: readonly (FieldRow | DirtyRow)[], file: "raw" | "clean", wkb: WkbBuffer) {
  const ids = new BigInt64Array(rows.length);
  const areas = new Float64Array(rows.length);
  const offsets = new Int32Array(rows.length + 1);
  const valid = new Uint8Array(Math.ceil(rows.length / 8));
  let [length, nulls] = [0, 0];
  for (const row of rows) {
    if ("fault" in row && !row.files.includes(file)) continue;
    ids[length] = row.id;
    if ("fault" in row) {
      areas[length] = 9;
      if (row.wkb) wkb.addBytes(row.wkb);
      else nulls++;
    } else {
      areas[length] = hectares(row.areaM2);
      row.addTo(wkb);
    }
    if (!("fault" in row) || row.wkb) valid[length >> 3] = (valid[length >> 3] as number) | (1 << (length & 7));
    offsets[++length] = wkb.length;
  }
  const geometry = makeData({
    type: GEOMETRY.type,
    length,
    nullCount: nulls,
    ...(nulls > 0 && { nullBitmap: valid }),
    valueOffsets: offsets.subarray(0, length + 1),
    data: wkb.take(),
  });
  const id = makeData({ type: ID.type, length, nullCount: 0, data: ids });
  return { id, area: makeData({ type: AREA.type, length, nullCount: 0, data: areas }), geometry };
}

function truthBatch(rows: readonly (FieldRow | DirtyRow)[], schema: Schema, years: readonly number[]): RecordBatch {
  const told = rows.map((row) => ("fault" in row ? faultTruth(row) : fieldTruth(row)));
  const columns: unknown[][] = [
    rows.map((row) => row.id),
    told.map((t) => t.shape),
    told.map((t) => t.place),
    told.map((t) => t.sure),
    told.map((t) => t.centres),
    told.map((t) => t.area),
    told.map((t) => t.fault),
    ...years.map((year) => rows.map((row) => ("fault" in row ? null : cropOf(row.rotation, row.phase, year)))),
  ];
  const children = columns.map((values, i) => vectorFromArray(values, schema.fields[i]?.type).data[0] as Data);
  return batch(schema, rows.length, children);
}

function fieldTruth(row: FieldRow) {
  return { shape: row.kind, ...row.truth(), area: hectares(row.areaM2), fault: null };
}

function faultTruth({ fault }: DirtyRow) {
  return { shape: null, place: null, sure: false, centres: null, area: null, fault };
}

function* allRows(world: World, part: Part, dirty: boolean): Generator<FieldRow | DirtyRow> {
  yield* fieldRows(world, part);
  if (!dirty || part.to !== world.parts.at(-1)?.to) return;
  for (const { id } of fieldRows(world)) {
    yield* dirtyRows(world, id);
    return;
  }
}

function* chunks<T>(rows: Iterable<T>): Generator<T[]> {
  let chunk: T[] = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < BATCH_ROWS) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

function batch(schema: Schema, length: number, children: Data[]): RecordBatch {
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}

function hectares(squareMeters: number): number {
  return Math.round(squareMeters) / 10_000;
}
