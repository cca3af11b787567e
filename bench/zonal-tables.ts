import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Data,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint32,
} from "apache-arrow";
import { publishFile } from "../dist/pipeline/output.js";
import { hash, Random } from "../dist/sample/random.js";
import { cropOf, drawRotation } from "../dist/sample/rotation.js";
import { writeParquet } from "../dist/table/parquet-writer.js";

const SEED = 1;
const BATCH_ROWS = 122_880;
/** Of a thousand fields without a crop, and with another one than their rotation has. */
const EMPTY_PERMILLE = 4;
const ODD_PERMILLE = 60;
/** What else grows now and then. */
const ODD_CODES = [1, 5, 24, 36, 37, 61, 176, 21, 23, 28, 4, 2, 43, 53, 59, 141, 121, 195];

const FIELD_ID = new Field("field_id", new Int64(), true);
const ZONAL = new Schema([
  FIELD_ID,
  new Field("crop_code", new Int32(), true),
  new Field("crop_pixels", new Uint32(), false),
  new Field("valid_pixels", new Uint32(), false),
  new Field("crop_share", new Float32(), true),
]);
const CLEAN = new Schema([FIELD_ID, new Field("area_ha", new Float64(), true)]);

/** The crop that a field has in a year; 0 for none. */
export function plantedCrop(row: number, year: number): number {
  const draw = hash(SEED, row, year, 1) % 1000;
  if (draw < EMPTY_PERMILLE) return 0;
  if (draw < EMPTY_PERMILLE + ODD_PERMILLE) return ODD_CODES[hash(SEED, row, year, 2) % ODD_CODES.length] as number;
  const random = new Random(hash(SEED, row, 0, 3));
  const region = (row % 100_000) / 100_000;
  return cropOf(drawRotation(random, region, random.next() < 0.05), hash(SEED, row, 0, 4) % 12, year);
}

/**
 * Zonal tables and a table of areas with no polygons behind them: what the history reads, at any
 * size, laid out as the zonal stage lays it out. Those that are there are kept.
 */
export async function makeZonalTables(root: string, fields: number, years: readonly number[]): Promise<void> {
  const folders = [join(root, "outputs", "zonal"), join(root, "data")] as const;
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  await write(join(folders[1], "fields_clean.parquet"), CLEAN, cleanBatches(fields), []);
  for (const year of years) {
    const dictionary = ["crop_code", "crop_pixels", "valid_pixels", "crop_share"];
    await write(join(folders[0], `zonal_us_${year}.parquet`), ZONAL, zonalBatches(fields, year), dictionary);
  }
}

async function write(path: string, schema: Schema, batches: Iterable<RecordBatch>, dictionary: string[]) {
  if (existsSync(path)) return;
  await writeParquet(`${path}.partial`, schema, batches, { rowGroupRows: BATCH_ROWS, dictionary, delta: ["field_id"] });
  publishFile(`${path}.partial`, path);
}

function* cleanBatches(fields: number): Generator<RecordBatch> {
  for (const [from, rows] of pieces(fields)) {
    const area = Float64Array.from({ length: rows }, (_, i) => pixelsOf(from + i) * 0.09);
    yield batchOf(CLEAN, rows, [ids(from, rows), column(CLEAN, 1, area)]);
  }
}

function* zonalBatches(fields: number, year: number): Generator<RecordBatch> {
  for (const [from, rows] of pieces(fields)) {
    const [code, pixels, valid, share] = [
      new Int32Array(rows),
      new Uint32Array(rows),
      new Uint32Array(rows),
      new Float32Array(rows),
    ];
    const bits = new Uint8Array(Math.ceil(rows / 8));
    let nulls = 0;
    for (let i = 0; i < rows; i++) {
      const crop = plantedCrop(from + i, year);
      if (crop === 0) {
        nulls++;
        continue;
      }
      code[i] = crop;
      valid[i] = pixelsOf(from + i);
      pixels[i] = Math.ceil((valid[i] as number) * (0.55 + (hash(SEED, from + i, year, 5) % 450) / 1000));
      share[i] = (pixels[i] as number) / (valid[i] as number);
      bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    }
    yield batchOf(ZONAL, rows, [
      ids(from, rows),
      column(ZONAL, 1, code, bits, nulls),
      column(ZONAL, 2, pixels),
      column(ZONAL, 3, valid),
      column(ZONAL, 4, share, bits, nulls),
    ]);
  }
}

function* pieces(fields: number): Generator<[number, number]> {
  for (let from = 0; from < fields; from += BATCH_ROWS) yield [from, Math.min(BATCH_ROWS, fields - from)];
}

function pixelsOf(row: number): number {
  return 10 + (hash(SEED, row, 0, 6) % 700);
}

/** As real ones are: rising within a county, above 32 bits. */
function ids(from: number, rows: number): Data {
  const values = BigInt64Array.from({ length: rows }, (_, i) => {
    const county = Math.floor((from + i) / 9_000);
    return BigInt(20_001 + 2 * ((county * 1_597) % 3_233)) * 1_000_000n + BigInt(10 + 7 * ((from + i) % 9_000));
  });
  return column(CLEAN, 0, values);
}

function column(schema: Schema, i: number, data: ArrayBufferView, bits?: Uint8Array, nullCount = 0): Data {
  const { type } = schema.fields[i] as Field;
  const length = data.byteLength / (data as Int32Array).BYTES_PER_ELEMENT;
  return makeData({ type, length, data, nullCount, ...(bits && { nullBitmap: bits }) } as never) as Data;
}

function batchOf(schema: Schema, length: number, children: Data[]): RecordBatch {
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}
