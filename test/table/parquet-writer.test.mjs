import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import * as arrow from "apache-arrow";
import { writeParquet } from "../../dist/table/parquet-writer.js";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "parquet-writer-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const GEO = JSON.stringify({
  version: "1.0.0",
  primary_column: "geometry",
  columns: { geometry: { encoding: "WKB", geometry_types: ["Point"] } },
});

const SCHEMA = new arrow.Schema(
  [
    new arrow.Field("field_id", new arrow.Int64(), false),
    new arrow.Field("crop_code", new arrow.Uint8(), true),
    new arrow.Field("pixels", new arrow.Uint32(), false),
    new arrow.Field("year", new arrow.Uint16(), false),
    new arrow.Field("delta", new arrow.Int32(), true),
    new arrow.Field("share", new arrow.Float64(), true),
    new arrow.Field("rule", new arrow.Utf8(), true),
    new arrow.Field("irrigated", new arrow.Bool(), true),
    new arrow.Field("geometry", new arrow.Binary(), true),
    new arrow.Field("codes", new arrow.List(new arrow.Field("item", new arrow.Uint8(), true)), true),
  ],
  new Map([["geo", GEO]]),
);

/** Row i, as the readers should see it. */
function rowOf(i) {
  return {
    field_id: BigInt(i) * 3n + 9_007_199_254_740_993n,
    crop_code: i % 7 === 0 ? null : i % 250,
    pixels: (i * 40_503) % 4_294_967_296,
    year: 2000 + (i % 24),
    delta: i % 11 === 0 ? null : -i,
    share: i % 5 === 0 ? null : i / 3,
    rule: i % 3 === 0 ? null : ["centre", "touched", "größe"][i % 3],
    irrigated: i % 4 === 0 ? null : i % 2 === 1,
    geometry: i % 13 === 0 ? null : pointWkb(i, -i),
    codes: i % 6 === 0 ? null : Array.from({ length: i % 4 }, (_, k) => (k === 2 ? null : (i + k) % 256)),
  };
}

function pointWkb(x, y) {
  const wkb = Buffer.alloc(21);
  wkb.writeUInt8(1, 0);
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  return wkb;
}

/** Rows [from, to) as one record batch, built by Arrow's own builders. */
function batchOf(from, to, schema = SCHEMA, row = rowOf) {
  const rows = Array.from({ length: to - from }, (_, i) => row(from + i));
  const children = schema.fields.map((field) => {
    const builder = arrow.makeBuilder({ type: field.type, nullValues: [null] });
    for (const r of rows) builder.append(r[field.name]);
    return builder.finish().toVector().data[0] ?? arrow.makeData({ type: field.type, length: 0 });
  });
  const type = new arrow.Struct(schema.fields);
  return new arrow.RecordBatch(schema, arrow.makeData({ type, length: rows.length, nullCount: 0, children }));
}

async function* cut(total, sizes) {
  for (let from = 0, k = 0; from < total; k++) {
    const to = Math.min(total, from + sizes[k % sizes.length]);
    yield batchOf(from, to);
    from = to;
  }
}

async function query(sql) {
  const connection = await (await DuckDBInstance.create()).connect();
  const reader = await connection.runAndReadAll(sql);
  connection.closeSync();
  return reader.getRowObjects();
}

const sha = (file) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");
const plain = (value) => (value === null ? null : (value.items ?? value));

const OPTIONS = { rowGroupRows: 1000, dictionary: ["crop_code", "rule", "year"], delta: ["field_id"] };

test("every type, with nulls, reads back the same in DuckDB", async () => {
  const file = path.join(dir, "types.parquet");
  const size = await writeParquet(file, SCHEMA, cut(2500, [700]), OPTIONS);
  assert.deepEqual(size, { rows: 2500, rowGroups: 3, bytes: fs.statSync(file).size });
  const rows = await query(`select * from read_parquet('${file}', file_row_number = true) order by file_row_number`);
  assert.equal(rows.length, 2500);
  for (const [i, row] of rows.entries()) {
    const expected = rowOf(i);
    for (const name of ["field_id", "crop_code", "pixels", "year", "delta", "share", "rule", "irrigated"]) {
      assert.equal(row[name], expected[name], `row ${i} ${name}`);
    }
    assert.deepEqual(plain(row.codes), expected.codes, `row ${i} codes`);
    const wkb = row.geometry === null ? null : Buffer.from(row.geometry.bytes);
    assert.deepEqual(wkb, expected.geometry, `row ${i} geometry`);
  }
});

test("row groups, codec, encodings and the geo key are as asked for", async () => {
  const file = path.join(dir, "layout.parquet");
  await writeParquet(file, SCHEMA, cut(2500, [999, 1, 1500]), OPTIONS);
  const chunks = await query(`select * from parquet_metadata('${file}')`);
  const groups = new Map(chunks.map((chunk) => [Number(chunk.row_group_id), Number(chunk.row_group_num_rows)]));
  assert.deepEqual(
    [...groups],
    [
      [0, 1000],
      [1, 1000],
      [2, 500],
    ],
  );
  assert.deepEqual([...new Set(chunks.map((chunk) => chunk.compression))], ["ZSTD"]);
  const encodings = (column) => chunks.find((chunk) => chunk.path_in_schema === column).encodings;
  for (const column of OPTIONS.dictionary) assert.match(encodings(column), /RLE_DICTIONARY/, column);
  assert.match(encodings("field_id"), /DELTA_BINARY_PACKED/);
  assert.doesNotMatch(encodings("geometry"), /DICTIONARY/);
  const keys = await query(`select decode(key) as k, decode(value) as v from parquet_kv_metadata('${file}')`);
  const metadata = Object.fromEntries(keys.map(({ k, v }) => [k, v]));
  assert.equal(metadata.geo, GEO);
  const nullable = await query(`select name, repetition_type from parquet_schema('${file}')`);
  const repetition = Object.fromEntries(nullable.map((column) => [column.name, column.repetition_type]));
  assert.equal(repetition.field_id, "REQUIRED");
  assert.equal(repetition.crop_code, "OPTIONAL");
});

test("bytes depend on the rows, not on how they are cut into batches", async () => {
  const sums = new Set();
  for (const [k, sizes] of [[5000], [1], [1000], [999, 1, 3], [1500, 7, 64], [2049]].entries()) {
    const file = path.join(dir, `cut${k}.parquet`);
    await writeParquet(file, SCHEMA, cut(2500, sizes), OPTIONS);
    sums.add(sha(file));
  }
  assert.equal(sums.size, 1);
});

test("slices of a larger batch are written as the rows that they show", async () => {
  const file = path.join(dir, "slices.parquet");
  const whole = path.join(dir, "whole.parquet");
  const big = batchOf(0, 2500);
  const slices = [big.slice(0, 3), big.slice(3, 1301), big.slice(1301, 1302), big.slice(1302, 2500)];
  await writeParquet(file, SCHEMA, slices, OPTIONS);
  await writeParquet(whole, SCHEMA, cut(2500, [2500]), OPTIONS);
  assert.equal(sha(file), sha(whole));
});

test("no batch, and batches without rows, make a valid file of no rows", async () => {
  for (const [name, batches] of [
    ["none", []],
    ["empty", [batchOf(0, 0), batchOf(0, 0)]],
  ]) {
    const file = path.join(dir, `${name}.parquet`);
    const size = await writeParquet(file, SCHEMA, batches, OPTIONS);
    assert.equal(size.rows, 0);
    const [{ n }] = await query(`select count(*) as n from '${file}'`);
    assert.equal(n, 0n);
    const columns = await query(`describe select * from '${file}'`);
    assert.deepEqual(
      columns.map((column) => column.column_name),
      SCHEMA.fields.map((field) => field.name),
    );
  }
});

test("an error of the source is thrown, not taken for its end", async () => {
  async function* broken() {
    yield* cut(1500, [500]);
    throw new Error("source broke");
  }
  await assert.rejects(writeParquet(path.join(dir, "broken.parquet"), SCHEMA, broken(), OPTIONS), /source broke/);
  // The encoder still works after it.
  const size = await writeParquet(path.join(dir, "after.parquet"), SCHEMA, cut(100, [10]), OPTIONS);
  assert.equal(size.rows, 100);
});

test("a write error ends the source and is thrown with its code", {
  skip: !fs.existsSync("/dev/full") && "no /dev/full",
}, async () => {
  let ended = false;
  async function* watched() {
    try {
      yield* cut(200_000, [1000]);
    } finally {
      ended = true;
    }
  }
  await assert.rejects(writeParquet("/dev/full", SCHEMA, watched(), OPTIONS), { code: "ENOSPC" });
  assert.equal(ended, true);
});

test("wrong columns and nulls where none may be are refused", async () => {
  const file = path.join(dir, "refused.parquet");
  const other = new arrow.Schema([new arrow.Field("x", new arrow.Int32(), false)]);
  const batch = batchOf(0, 1, other, () => ({ x: 1 }));
  await assert.rejects(
    writeParquet(file, SCHEMA, [batch], OPTIONS),
    /columns \(x: Int32\), expected \(field_id: Int64/,
  );
  const withNull = batchOf(0, 2, other, (i) => ({ x: i === 0 ? null : 1 }));
  await assert.rejects(writeParquet(file, other, [withNull], OPTIONS), /x is not nullable, a batch has 1 null/);
});

test("a second metadata key is refused, as its place in the file would not be fixed", async () => {
  const schema = new arrow.Schema(
    SCHEMA.fields,
    new Map([
      ["geo", GEO],
      ["b", "2"],
    ]),
  );
  await assert.rejects(writeParquet(path.join(dir, "keys.parquet"), schema, [], OPTIONS), /one metadata key/);
});

test("memory holds a row group, not the file", async () => {
  const schema = new arrow.Schema([new arrow.Field("geometry", new arrow.Binary(), false)]);
  const rows = 4096;
  const bytesPerRow = 500;
  async function* batches(count) {
    const data = new Uint8Array(rows * bytesPerRow);
    const valueOffsets = Int32Array.from({ length: rows + 1 }, (_, i) => i * bytesPerRow);
    const child = arrow.makeData({ type: new arrow.Binary(), length: rows, nullCount: 0, valueOffsets, data });
    const struct = arrow.makeData({
      type: new arrow.Struct(schema.fields),
      length: rows,
      nullCount: 0,
      children: [child],
    });
    for (let i = 0; i < count; i++) yield new arrow.RecordBatch(schema, struct);
  }
  const options = { rowGroupRows: rows };
  await writeParquet(path.join(dir, "warm.parquet"), schema, batches(20), options);
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  // 800 MB of values, all told.
  const size = await writeParquet(path.join(dir, "long.parquet"), schema, batches(400), options);
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.equal(size.rows, 400 * rows);
  assert.ok(grown < 200, `resident memory grew by ${Math.round(grown)} MiB`);
});
