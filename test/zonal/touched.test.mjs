// --all-touched and --small-fields=touched through the command, against rasterio.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { command } from "../support/command.mjs";
import { Random } from "../support/random.mjs";
import { GRID, rowsOf, writeWorld, zonalOf } from "../support/random-fields.mjs";
import { randomShape } from "../support/random-polygons.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";

const skip = rasterioMissing();
let folder;
let geometries;
let byCenter;
let byTouch;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-touched-"));
  const random = new Random(41);
  const shapes = Array.from({ length: 400 }, () => {
    const at = [random.pick([random.between(0, GRID.width), 2048]), random.between(0, GRID.height)];
    return [randomShape(random, "blob", [...at, random.pick([0.5, 1, 5, 20])])];
  });
  geometries = await writeWorld(folder, shapes);
  if (skip) return;
  [byCenter, byTouch] = [false, true].map((touched) =>
    rasterioHistograms(geometries, join(folder, "classes.tif"), touched),
  );
});
after(() => rmSync(folder, { recursive: true, force: true }));

const valid = (histogram) =>
  Object.entries(histogram ?? {}).reduce((sum, [code, n]) => sum + (code === "0" ? 0 : n), 0);

test("--all-touched: rasterio's pixels with all_touched", { skip }, async () => {
  const run = await zonalOf(folder, "touched", ["--all-touched"]);
  assert.equal(run.code, 0, run.stderr);
  const rows = await rowsOf(run.out);
  assert.deepEqual(
    rows.map((row) => row.valid_pixels),
    byTouch.map(valid),
  );
  assert.deepEqual(new Set(rows.map((row) => row.rule)), new Set(["touched", null]));
});

test("--small-fields=touched: only fields that miss every center, and the row says so", { skip }, async () => {
  const run = await zonalOf(folder, "small", ["--small-fields", "touched"]);
  assert.equal(run.code, 0, run.stderr);
  let small = 0;
  (await rowsOf(run.out)).forEach((row, i) => {
    const missed = byCenter[i] !== null && Object.keys(byCenter[i]).length === 0;
    const expected = valid((missed ? byTouch : byCenter)[i]);
    assert.equal(row.valid_pixels, expected, `field ${i}`);
    assert.equal(row.rule, expected === 0 ? null : missed ? "touched" : "centre", `field ${i}`);
    if (expected === 0) assert.ok(["outside the raster", "only background or nodata"].includes(row.null_reason));
    if (missed && expected > 0) small++;
  });
  assert.ok(small > 30, `${small} small fields`);
});

test("an index serves its own rule alone", async () => {
  const index = join(folder, "touched.zones");
  const made = await command("prepare", [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    join(folder, "classes.tif"),
    "--out",
    index,
    "--all-touched",
  ]);
  assert.equal(made.code, 0, made.stderr);
  const same = await zonalOf(folder, "same", ["--index", index, "--all-touched"]);
  assert.equal(same.code, 0, same.stderr);
  for (const args of [[], ["--small-fields", "touched"]]) {
    const other = await zonalOf(folder, "other", ["--index", index, ...args]);
    assert.equal(other.code, 4, other.stderr);
    assert.match(other.stderr, /belongs to other fields or another pixel rule/);
  }
});

test("rules that contradict one another are refused", async () => {
  const run = await zonalOf(folder, "both", ["--all-touched", "--small-fields", "touched"]);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /--all-touched and --small-fields exclude each other/);
});
