// What goes wrong around the native tiler: no space, scratch that is damaged or left behind, workers that die.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import diagnostics from "node:diagnostics_channel";
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { tileNatively } from "../../dist/tiles/native-tiler.js";
import { testContext } from "../support/context.mjs";
import { writeFields } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";

const OPTIONS = { batch: 1024, minZoom: 4, maxZoom: 12 };
const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

async function setUp(t) {
  const folder = tempFolder(t);
  const path = join(folder, "fields.parquet");
  const random = new Random(3);
  const rows = Array.from({ length: 3000 }, (_, id) => {
    const [lng, lat] = [-100 + random.next() * 6, 38 + random.next() * 4];
    return { id, wkb: polygonWkb([box(lng, lat, lng + 0.01, lat + 0.008)]) };
  });
  await writeFields(path, rows);
  const fields = await openFields(path, { fieldsCrs: "OGC:CRS84" });
  const area = new SharedArrayBuffer(rows.length * 4);
  return async (out, { threads = 2, context = testContext() } = {}) => {
    const pool = openPool(threads);
    try {
      return await tileNatively(fields, { area, fieldId: false }, join(out, "partial"), OPTIONS, pool, context);
    } finally {
      await pool.close();
    }
  };
}

let expected;
const ends = [];
before(async () => {
  const whole = { after: (end) => ends.push(end) };
  const run = await setUp(whole);
  expected = digest((await run(tempFolder(whole))).path);
});
after(() => {
  for (const end of ends) end();
});

/** A context in which something happens once the tiles are begun: all fields lie in the scratch file then. */
function contextWhenTiling(act) {
  const context = testContext();
  const start = context.progress.start.bind(context.progress);
  context.progress.start = (label, total) => {
    if (label === "regions tiled") act();
    return start(label, total);
  };
  return context;
}

test("a full disk is told as such, whichever pass meets it", async (t) => {
  const run = await setUp(t);
  const disk = tinyDisk(t, "32m");
  if (disk === undefined) return t.skip("mount is not permitted here");
  const full = (error) => {
    assert.equal(error.kind, "space", error.message);
    return true;
  };
  leaveFree(disk, 16 * 1024);
  await assert.rejects(run(disk), full);
  leaveFree(disk, 8 * 2 ** 20);
  const context = contextWhenTiling(() => leaveFree(disk, 16 * 1024));
  await assert.rejects(run(disk, { context }), full);
});

test("scratch that changes under the tiler is an error that names it", async (t) => {
  const run = await setUp(t);
  for (const [damage, message] of [
    [(path) => truncateSync(path, 1000), /Tiles cannot be made \(bucket=\d+\): .*tiler\/fields ends at byte \d+/],
    [
      (path) => {
        const bytes = readFileSync(path);
        bytes[5000] ^= 1;
        writeFileSync(path, bytes);
      },
      /Tiles cannot be made \(bucket=\d+\): .*tiler\/fields is damaged between bytes \d+ and \d+/,
    ],
  ]) {
    const out = tempFolder(t);
    const context = contextWhenTiling(() => damage(join(out, "tiler", "fields")));
    await assert.rejects(run(out, { context }), message);
  }
});

test("scratch of a run that was killed is cleared; the bytes are the same", async (t) => {
  const run = await setUp(t);
  const out = tempFolder(t);
  mkdirSync(join(out, "tiler"));
  for (const name of ["fields", "z9", "cells", "other"]) writeFileSync(join(out, "tiler", name), "left");
  assert.equal(digest((await run(out)).path), expected);
  assert.deepEqual(readdirSync(out), ["tiled.pmtiles"]);
});

test("a worker that dies costs its task's time and nothing else", async (t) => {
  const run = await setUp(t);
  let left = 1;
  const listen = ({ worker }) => {
    if (left-- > 0) worker.once("message", () => setImmediate(() => worker.terminate()));
  };
  diagnostics.subscribe("worker_threads", listen);
  t.after(() => diagnostics.unsubscribe("worker_threads", listen));
  assert.equal(digest((await run(tempFolder(t))).path), expected);
  assert.ok(left <= 0, "no worker was ended");
});
