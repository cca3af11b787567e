// Lists of dirty rows as long as the fields: nothing grows with them but 5 bytes a row.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { checkDirtyShare, DIRTY_HEADER, DirtyRows, writeDirtyRows } from "../../dist/fields/dirty.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { writeFields } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const NULL_GEOMETRY = 1;
const SQUARE = gdal.Geometry.fromWKT("POLYGON ((0 0, 1 0, 1 1, 0 0))").toWKB();

test("problems by row; a row with two counts once", () => {
  const dirty = new DirtyRows(Uint8Array.of(0, NULL_GEOMETRY, 0, 4, 0, 7), Uint32Array.of(1, 2, 5));
  assert.deepEqual(dirty.slice(0, 9), [
    { row: 1, problem: "null geometry" },
    { row: 1, problem: "duplicate id" },
    { row: 2, problem: "duplicate id" },
    { row: 3, problem: "not a polygon" },
    { row: 5, problem: "duplicate id" },
  ]);
  assert.deepEqual([dirty.length, dirty.rowCount], [5, 4]);
  assert.deepEqual(dirty.counts(), { "null geometry": 1, "duplicate id": 3, "not a polygon": 1 });
});

test("more dirty rows than a Set or Map holds are counted", () => {
  // 2^24 entries are the most of both.
  const rows = 2 ** 24 + 10;
  const dirty = new DirtyRows(new Uint8Array(rows).fill(NULL_GEOMETRY), new Uint32Array(0));
  assert.deepEqual([dirty.rowCount, dirty.counts()], [rows, { "null geometry": rows }]);
});

test("a list is written in pieces, and says the same", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "fields.parquet");
  await writeFields(
    path,
    Array.from({ length: 50 }, (_, i) => ({ id: 100 + i, wkb: SQUARE })),
  );
  const fields = await openFields(path, { fieldsCrs: "EPSG:4326" });
  const dirty = new DirtyRows(new Uint8Array(50).fill(NULL_GEOMETRY), Uint32Array.of(7, 8));
  const list = async (name, atOnce) => {
    await writeDirtyRows(join(folder, name), fields, dirty, 1000, atOnce);
    return readFileSync(join(folder, name), "utf8");
  };
  const whole = await list("whole.csv");
  assert.equal(await list("pieces.csv", 4), whole);
  const lines = whole.slice(DIRTY_HEADER.length).trim().split("\n");
  assert.deepEqual([lines.length, lines[7], lines[8]], [52, "7,107,null geometry", "7,107,duplicate id"]);
  await assert.rejects(checkDirtyShare(fields, dirty, 0.5, 1000), {
    kind: "dirty",
    message: /dirty=50, of=50, .*problems="?null geometry 50; duplicate id 2"?, firstIds="?100 101 102 103 104/,
  });
});
