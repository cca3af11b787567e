import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { buildZones } from "../../dist/zones/build-zones.js";
import { ZoneReader } from "../../dist/zones/zone-reader.js";
import { testContext } from "../support/context.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const GRID = { crs: "EPSG:5070", geotransform: [0, 30, 0, 60_000, 0, -30], width: 2000, height: 2000 };
const FIELDS = 6000;
const OPTIONS = { batch: 250, bufferBytes: 2_000 };

const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

async function setUp(t, ids = (i) => i) {
  const folder = tempFolder(t);
  const rows = Array.from({ length: FIELDS }, (_, i) => {
    const [x, y] = [(i * 7919) % 59_000, (i * 104_729) % 59_000];
    return { id: ids(i), wkb: polygonWkb([box(x, y, x + 100 + (i % 400), y + 100 + (i % 300))]) };
  });
  await writeFields(join(folder, "fields.parquet"), rows);
  const fields = await openFields(join(folder, "fields.parquet"), { fieldsCrs: "EPSG:5070" });
  const pool = openPool(2);
  t.after(() => pool.close());
  return { folder, fields, pool };
}

/** A context that is aborted once `rows` fields are burned. */
function abortedAfter(rows) {
  const ctx = testContext();
  const start = () => ({ update: (done) => done >= rows && ctx.controller.abort(new Error("enough")), end() {} });
  return { ...ctx, progress: { start } };
}

test("an index that was cut off goes on from its checkpoint and ends with the same bytes", async (t) => {
  const { folder, fields, pool } = await setUp(t, (i) => (i === 5999 ? 17 : i));
  const whole = join(folder, "whole");
  await buildZones(fields, GRID, whole, OPTIONS, pool, testContext());

  const cut = join(folder, "cut");
  for (const rows of [1500, 4000]) {
    await assert.rejects(buildZones(fields, GRID, cut, OPTIONS, pool, abortedAfter(rows)), /enough/);
    assert.ok(existsSync(`${cut}.checkpoint`));
  }
  const ctx = testContext();
  await buildZones(fields, GRID, cut, OPTIONS, pool, ctx);
  assert.match(ctx.lines[0].message, /^goes on after \d+ of 6000 fields$/);
  assert.equal(hash(cut), hash(whole));
  assert.equal(existsSync(`${cut}.checkpoint`), false);
  const zones = await ZoneReader.open(cut);
  t.after(() => zones.close());
  assert.deepEqual([...(await zones.readDuplicates())], [5999]);
});

test("a checkpoint of another grid, or of batches that end elsewhere, is not used", async (t) => {
  const { folder, fields, pool } = await setUp(t);
  const path = join(folder, "zones");
  await assert.rejects(buildZones(fields, GRID, path, OPTIONS, pool, abortedAfter(3000)), /enough/);
  const ctx = testContext();
  const other = { ...GRID, width: 1900 };
  await buildZones(fields, other, path, OPTIONS, pool, ctx);
  assert.deepEqual(ctx.lines, []);

  // The kernel cuts slices at pages, of which each row group here has one; brotli it leaves to parquet-wasm.
  const brotli = join(folder, "brotli.parquet");
  await query(`copy (from '${fields.path}') to '${brotli}' (format parquet, row_group_size 2048, compression brotli)`);
  const byRows = await openFields(brotli, { fieldsCrs: "EPSG:5070" });
  await assert.rejects(buildZones(byRows, GRID, path, OPTIONS, pool, abortedAfter(3000)), /enough/);
  const again = testContext();
  await buildZones(byRows, GRID, path, { ...OPTIONS, batch: 333 }, pool, again);
  assert.ok(!again.lines.some(({ message }) => message.startsWith("goes on")));
  await (await ZoneReader.open(path)).close();
});
