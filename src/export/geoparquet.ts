import {
  Binary,
  type DataType,
  Field,
  Float32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint8,
  Uint16,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { crsIdentifier } from "../fields/crs-identifier.js";
import { spatialReference } from "../fields/projection.js";
import { toProjjson } from "../fields/projjson.js";
import { Polygons, readWkb, STATUS } from "../fields/wkb.js";
import { float32Above, float32Below } from "../lookup/boxes.js";
import { writeParquet } from "../table/parquet-writer.js";
import type { ExportColumn } from "./export-columns.js";
import type { FieldRecord } from "./record-file.js";
import type { Box } from "./spatial-order.js";

/** Rows of a row group; the GeoParquet guide recommends 50,000 to 150,000. */
export const ROW_GROUP_ROWS = 100_000;
const SIDES = ["xmin", "ymin", "xmax", "ymax"] as const;
const BBOX = new Struct(SIDES.map((name) => new Field(name, new Float32(), false)));

export interface GeoParquetOptions {
  /** Further keys of the file's metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** No record is without a polygon. */
  readonly allHavePolygons?: boolean;
}

/**
 * GeoParquet 1.1 with a `bbox` column as covering, zstd.
 *
 * @param records  in the order in which they are to stand.
 * @see https://geoparquet.org/releases/v1.1.0/
 */
export async function writeGeoParquet(
  path: string,
  records: AsyncIterable<FieldRecord[]>,
  columns: readonly ExportColumn[],
  idType: DataType,
  crs: string,
  extent: Box | null,
  { metadata = {}, allHavePolygons = false }: GeoParquetOptions = {},
): Promise<number> {
  const types = { id: idType, area: new Float32(), crop: new Uint16(), share: new Uint8(), text: new Utf8() };
  const schema = new Schema(
    [
      ...columns.map(({ name, kind, required }) => new Field(name, types[kind], required !== true)),
      new Field("geometry", new Binary(), !allHavePolygons),
      new Field("bbox", BBOX, true),
    ],
    new Map([["geo", JSON.stringify(geoMetadata(crs, extent))], ...Object.entries(metadata)]),
  );
  const bare = new Schema(schema.fields);
  async function* batches() {
    for await (const group of regroup(records, ROW_GROUP_ROWS)) yield batchOf(bare, group, columns);
  }
  const dictionary = columns
    .filter(({ kind, name }) => kind === "crop" || kind === "share" || name.startsWith("crop:"))
    .map(({ name }) => name);
  const { rows } = await writeParquet(path, schema, batches(), {
    rowGroupRows: ROW_GROUP_ROWS,
    dictionary,
    anyMetadataOrder: true,
  });
  return rows;
}

/** PROJJSON cut down to its id, which some writers have, is unknown to PROJ and so to GeoPandas. */
function wholeProjjson(crs: string): object | string | null {
  const given = crs.startsWith("{") ? (JSON.parse(crs) as { readonly id?: object }) : undefined;
  if (given !== undefined && crsIdentifier(crs) === undefined) return given;
  const whole = toProjjson(spatialReference(crs));
  return given?.id !== undefined && whole !== null && typeof whole === "object" ? { ...whole, id: given.id } : whole;
}

function geoMetadata(crs: string, extent: Box | null): object {
  return {
    version: "1.1.0",
    primary_column: "geometry",
    columns: {
      geometry: {
        encoding: "WKB",
        geometry_types: ["MultiPolygon"],
        crs: wholeProjjson(crs),
        ...(extent !== null && { bbox: extent }),
        covering: { bbox: Object.fromEntries(SIDES.map((side) => [side, ["bbox", side]])) },
      },
    },
  };
}

async function* regroup(pieces: AsyncIterable<FieldRecord[]>, rows: number): AsyncGenerator<FieldRecord[]> {
  let waiting: FieldRecord[] = [];
  for await (const piece of pieces) {
    for (const record of piece) {
      waiting.push(record);
      if (waiting.length < rows) continue;
      yield waiting;
      waiting = [];
    }
  }
  if (waiting.length > 0) yield waiting;
}

function batchOf(schema: Schema, records: readonly FieldRecord[], columns: readonly ExportColumn[]): RecordBatch {
  const length = records.length;
  const children = [
    ...columns.map(({ name, valueIn }) => {
      const { type } = schema.fields.find((field) => field.name === name) as Field;
      return vectorFromArray(records.map((record) => valueIn(record)) as never[], type).data[0] as never;
    }),
    wkbData(records),
    boxData(records),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}

/** Bits set where a record has a polygon. */
function polygonBits(records: readonly FieldRecord[]): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array(Math.ceil(records.length / 8));
  let nullCount = 0;
  records.forEach(({ wkb }, i) => {
    if (wkb.length === 0) nullCount++;
    else nullBitmap[i >> 3] = (nullBitmap[i >> 3] as number) | (1 << (i & 7));
  });
  return { nullBitmap, nullCount };
}

function wkbData(records: readonly FieldRecord[]) {
  const valueOffsets = new Int32Array(records.length + 1);
  records.forEach(({ wkb }, i) => {
    valueOffsets[i + 1] = (valueOffsets[i] as number) + wkb.length;
  });
  const data = new Uint8Array(valueOffsets[records.length] as number);
  records.forEach(({ wkb }, i) => {
    data.set(wkb, valueOffsets[i]);
  });
  return makeData({ type: new Binary(), length: records.length, ...polygonBits(records), valueOffsets, data });
}

function boxData(records: readonly FieldRecord[]) {
  const length = records.length;
  const sides = SIDES.map(() => new Float32Array(length));
  const polygons = new Polygons();
  records.forEach(({ wkb }, i) => {
    boxOf(wkb, polygons)?.forEach((value, side) => {
      (sides[side] as Float32Array)[i] = value;
    });
  });
  const children = sides.map((data) => makeData({ type: new Float32(), length, nullCount: 0, data }));
  return makeData({ type: BBOX, length, ...polygonBits(records), children });
}

/** Rounded outward; undefined without a polygon. */
function boxOf(wkb: Uint8Array, polygons: Polygons): number[] | undefined {
  if (wkb.length === 0 || readWkb(wkb, polygons) !== STATUS.ok) return undefined;
  const box = [Infinity, Infinity, -Infinity, -Infinity] as [number, number, number, number];
  for (let i = 0; i < polygons.x.length; i++) {
    const [x, y] = [polygons.x.data[i] as number, polygons.y.data[i] as number];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return [float32Below(box[0]), float32Below(box[1]), float32Above(box[2]), float32Above(box[3])];
}
