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
import { Places } from "./place.js";
import { cropOf } from "./rotation.js";
import { areaOf } from "./shapes.js";
import { WkbBuffer } from "./wkb.js";
import type { World } from "./world.js";

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

/** fields_raw or fields_clean, batch by batch. */
export function* fieldBatches(world: World, file: "raw" | "clean", dirty: boolean): Generator<RecordBatch> {
  const schema = file === "raw" ? RAW_SCHEMA : CLEAN_SCHEMA;
  const wkb = new WkbBuffer();
  for (const rows of chunks(allRows(world, dirty))) {
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
        const outline = row.field.shape.outline();
        areas[length] = hectares(areaOf(outline));
        wkb.add(outline, row.x, row.y);
      }
      if (!("fault" in row) || row.wkb) valid[length >> 3] = (valid[length >> 3] as number) | (1 << (length & 7));
      offsets[++length] = wkb.length;
    }
    const id = makeData({ type: ID.type, length, nullCount: 0, data: ids });
    const area = makeData({ type: AREA.type, length, nullCount: 0, data: areas });
    const geometry = makeData({
      type: GEOMETRY.type,
      length,
      nullCount: nulls,
      ...(nulls > 0 && { nullBitmap: valid }),
      valueOffsets: offsets.subarray(0, length + 1),
      data: wkb.take(),
    });
    yield batch(schema, length, file === "raw" ? [id, geometry] : [id, area, geometry]);
  }
}

export function* truthBatches(world: World, years: readonly number[], dirty: boolean): Generator<RecordBatch> {
  const schema = truthSchema(years);
  const places = new Places(world);
  for (const rows of chunks(allRows(world, dirty))) {
    const told = rows.map((row) => ("fault" in row ? faultTruth(row) : fieldTruth(row, places)));
    const columns: unknown[][] = [
      rows.map((row) => row.id),
      told.map((t) => t.shape),
      told.map((t) => t.place),
      told.map((t) => t.sure),
      told.map((t) => t.centres),
      told.map((t) => t.area),
      told.map((t) => t.fault),
      ...years.map((year) =>
        rows.map((row) => ("fault" in row ? null : cropOf(row.field.rotation, row.field.phase, year))),
      ),
    ];
    const children = columns.map((values, i) => vectorFromArray(values, schema.fields[i]?.type).data[0] as Data);
    yield batch(schema, rows.length, children);
  }
}

function fieldTruth({ field: { shape, kind }, x, y }: FieldRow, places: Places) {
  const area = areaOf(shape.outline());
  const place = places.placeOf(shape, x, y);
  const sure = places.isSure(shape, area, place, x, y);
  return {
    shape: kind,
    place,
    sure,
    centres: places.centresIn(shape, x, y) ?? null,
    area: hectares(area),
    fault: null,
  };
}

function faultTruth({ fault }: DirtyRow) {
  return { shape: null, place: null, sure: false, centres: null, area: null, fault };
}

function* allRows(world: World, dirty: boolean): Generator<FieldRow | DirtyRow> {
  let firstId: bigint | undefined;
  for (const row of fieldRows(world)) {
    firstId ??= row.id;
    yield row;
  }
  if (dirty && firstId !== undefined) yield* dirtyRows(world, firstId);
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

function hectares(squareMetres: number): number {
  return Math.round(squareMetres) / 10_000;
}
