// One field set made by several processes: parts that a join puts together, byte for byte as one process would.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Binary, Field, Int64, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import gdal from "gdal-async";
import { resolveOptions } from "../../dist/config/config.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { partPath } from "../../dist/pipeline/part.js";
import { writeParquet } from "../../dist/table/parquet-writer.js";
import { zonal } from "../../dist/zonal/command.js";
import { buildZonePart, buildZones, joinZones } from "../../dist/zones/build-zones.js";
import { ID_GROUP_ROWS } from "../../dist/zones/format.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SIDE = 2500;
const [X0, Y0] = [-300015, 2000025];
const GRID = { crs: "EPSG:5070", geotransform: [X0, 30, 0, Y0, 0, -30], width: SIDE, height: SIDE };
const COUNTS = [1, 2, 3, 7];

const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const parts = (count) => Array.from({ length: count }, (_, i) => ({ number: i + 1, count }));

/** Fields from north to south; some lie in two or four chunks, and each problem that a row can have is there. */
function wkbOf(i, rows) {
  if (i % 997 === 5) return Buffer.from([1, 3, 0]);
  const [col, row] = [(i * 7) % (SIDE - 4), Math.floor((i / rows) * (SIDE - 4))];
  const [x, y] = i % 991 === 3 ? [X0 - 1e6, Y0] : [X0 + 30 * col, Y0 - 30 * row];
  return polygonWkb([box(x, y - 90, x + 90, y)]);
}

async function writeFields(path, rows, rowGroupRows) {
  const wkbs = Array.from({ length: rows }, (_, i) => wkbOf(i, rows));
  const offsets = new Int32Array(rows + 1);
  for (const [i, wkb] of wkbs.entries()) offsets[i + 1] = offsets[i] + wkb.length;
  const valid = new Uint8Array(Math.ceil(rows / 8)).fill(255);
  valid[0] = 0b11101111;
  const geometry = makeData({
    type: new Binary(),
    length: rows,
    nullCount: 1,
    nullBitmap: valid,
    valueOffsets: offsets,
    data: Buffer.concat(wkbs),
  });
  // The last id repeats the first one, in another part.
  const ids = BigInt64Array.from({ length: rows }, (_, i) => BigInt(i === rows - 1 ? 0 : i * 3));
  const id = makeData({ type: new Int64(), length: rows, nullCount: 0, data: ids });
  const schema = new Schema([new Field("field_id", new Int64(), true), new Field("geometry", new Binary(), true)]);
  const type = new Struct(schema.fields);
  const batch = new RecordBatch(schema, makeData({ type, length: rows, nullCount: 0, children: [id, geometry] }));
  await writeParquet(path, schema, [batch], { rowGroupRows });
}

function writeRaster(path, shift = 0) {
  const raster = gdal.open(path, "w", "GTiff", SIDE, SIDE, 1, gdal.GDT_Byte, ["COMPRESS=LZW", "TILED=YES"]);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [X0, 30, 0, Y0, 0, -30];
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => ((i % SIDE) * 7 + (i >> 11) * 3 + shift) % 61);
  raster.bands.get(1).pixels.write(0, 0, SIDE, SIDE, pixels);
  raster.close();
}

async function setUpZones(t) {
  const folder = tempFolder(t);
  const path = join(folder, "fields.parquet");
  await writeFields(path, 6000, 900);
  const fields = await openFields(path, { fieldsCrs: "EPSG:5070" });
  const pool = openPool(2);
  t.after(() => pool.close());
  // Small buffers: many segments for each chunk.
  return { folder, fields, pool, options: { batch: 250, bufferBytes: 20_000 } };
}

test("a zone index joined from parts has the bytes of an undivided one", async (t) => {
  const { folder, fields, pool, options } = await setUpZones(t);
  const whole = join(folder, "whole");
  const header = await buildZones(fields, GRID, whole, options, pool, testContext());
  assert.equal(header.rows, 6000);
  for (const count of COUNTS) {
    const out = join(folder, `of-${count}`);
    let rows = 0;
    for (const part of parts(count)) {
      rows += await buildZonePart(fields, GRID, part, partPath(out, part), options, pool, testContext());
    }
    assert.equal(rows, 6000);
    await joinZones(fields, GRID, out, count, out, options, pool, testContext());
    assert.equal(hash(out), hash(whole), `${count} parts`);
  }
});

test("a part that was cut off goes on after its whole slices and ends with the same bytes", async (t) => {
  const { folder, fields, pool, options } = await setUpZones(t);
  const part = { number: 1, count: 2 };
  const [whole, cut] = [join(folder, "whole"), join(folder, "cut")];
  await buildZonePart(fields, GRID, part, whole, options, pool, testContext());
  const ctx = testContext();
  const start = () => ({ update: (done) => done >= 1500 && ctx.controller.abort(new Error("enough")), end() {} });
  const aborted = { ...ctx, progress: { start } };
  await assert.rejects(buildZonePart(fields, GRID, part, cut, options, pool, aborted), /enough/);
  assert.ok(statSync(cut).size < statSync(whole).size);
  // A kill in the middle of a write.
  truncateSync(cut, statSync(cut).size - 7);
  const again = testContext();
  await buildZonePart(fields, GRID, part, cut, options, pool, again);
  assert.match(again.lines[0].message, /^goes on after \d+ of \d+ slices$/);
  assert.equal(hash(cut), hash(whole));

  // Of another grid: nothing is kept.
  truncateSync(cut, statSync(cut).size - 7);
  const other = testContext();
  await buildZonePart(fields, { ...GRID, width: 2400 }, part, cut, options, pool, other);
  assert.deepEqual(other.lines, []);
});

test("parts that are missing, damaged, of other inputs or of other options are named, and nothing is joined", async (t) => {
  const { folder, fields, pool, options } = await setUpZones(t);
  const out = join(folder, "zones");
  const [first, second, third] = parts(3).map((part) => partPath(out, part));
  const join3 = (own = options, grid = GRID) =>
    joinZones(fields, grid, out, 3, join(folder, "joined"), own, pool, testContext());
  for (const part of parts(3)) {
    if (part.number !== 2) await buildZonePart(fields, GRID, part, partPath(out, part), options, pool, testContext());
  }
  await assert.rejects(join3(), { kind: "input", where: { path: out, missing: "2/3" } });
  copyFileSync(first, second);
  await assert.rejects(join3(), { where: { path: second, expected: "2/3", received: "1/3" } });
  rmSync(second);
  await buildZonePart(fields, GRID, { number: 2, count: 3 }, second, options, pool, testContext());
  await assert.rejects(join3(options, { ...GRID, width: 2400 }), (error) => {
    assert.match(error.message, /other inputs or with other options/);
    return error.where.path === first;
  });
  await assert.rejects(join3({ ...options, allTouched: true }), /other inputs or with other options/);
  const bytes = readFileSync(third);
  truncateSync(third, bytes.length - 20);
  await assert.rejects(join3(), { where: { path: third, bytes: bytes.length - 20 } });
});

test("zonal tables joined from parts have the bytes of undivided ones, with dirty rows and empty parts", async (t) => {
  const folder = tempFolder(t);
  const at = (name) => join(folder, name);
  await writeFields(at("fields.parquet"), 2 * ID_GROUP_ROWS + 10_000, 100_000);
  const years = [2020, 2021];
  for (const year of years) writeRaster(at(`${year}.tif`), year);
  const prepare = async (...args) => {
    const common = ["--fields", at("fields.parquet"), "--fields-crs", "EPSG:5070", "--raster", at("2020.tif")];
    const result = await command("prepare", [...common, "--out", at("us.zones"), ...args, "--json"]);
    assert.equal(result.code, 0, result.stderr);
    return result.json;
  };
  assert.equal((await prepare("--part", "1/2")).made, true);
  assert.equal((await prepare("--part", "2/2")).made, true);
  assert.equal((await prepare("--part", "2/2")).made, false);
  await prepare("--join", "2");
  const joined = hash(at("us.zones"));
  rmSync(at("us.zones"));
  await prepare();
  assert.equal(hash(at("us.zones")), joined);

  const options = resolveOptions({ fieldsCrs: "EPSG:5070", threads: 2 });
  const count = (name, own = {}) => {
    const jobs = years.map((year) => ({ year, rasterPath: at(`${year}.tif`), out: at(name.replace("{year}", year)) }));
    return zonal(
      at("fields.parquet"),
      at("us.zones"),
      jobs,
      { options, own, given: {}, positionals: [] },
      testContext(),
    );
  };
  const whole = await count("whole_{year}.parquet");
  // Two row groups and a short one: most of seven parts are empty.
  for (const n of COUNTS) {
    for (const { number } of parts(n)) await count("joined_{year}.parquet", { part: `${number}/${n}` });
    const facts = await count("joined_{year}.parquet", { join: String(n) });
    for (const [i, year] of years.entries()) {
      assert.equal(hash(at(`joined_${year}.parquet`)), hash(at(`whole_${year}.parquet`)), `${n} parts, ${year}`);
      assert.equal(hash(at(`joined_${year}.dirty.csv`)), hash(at(`whole_${year}.dirty.csv`)));
      assert.deepEqual({ ...facts.years[i], out: "" }, { ...whole.years[i], out: "" });
    }
  }
  const [{ rows, reasons }] = await query(
    `select count(*) as rows, count(distinct null_reason) as reasons from '${at("joined_2021.parquet")}'`,
  );
  assert.equal(Number(rows), 2 * ID_GROUP_ROWS + 10_000);
  assert.ok(Number(reasons) >= 3);

  const columns = "crop_code=crop:int16";
  await count("columns_{year}.csv", { columns, part: "1/2" });
  await assert.rejects(count("columns_{year}.csv", { columns, join: "2" }), /Parts are missing.*missing=2\/2/);
  assert.equal(existsSync(at("columns_2020.csv")), false);
  // Other columns make another table, another raster other answers.
  await count("columns_{year}.csv", { part: "2/2" });
  await assert.rejects(
    count("columns_{year}.csv", { columns, join: "2" }),
    /other inputs or with other options.*2-of-2/,
  );
  writeRaster(at("2021.tif"), 1);
  await assert.rejects(count("joined_{year}.parquet", { join: "3" }), /other inputs.*joined_2021.parquet.1-of-3.part/);
});
