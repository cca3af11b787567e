// The disk fills up while tippecanoe is at work: by somebody else, in every folder that it writes to.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Archive } from "../../dist/archive/reader.js";
import { rewriteMetadata } from "../../dist/archive/rewrite.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { runTippecanoe } from "../../dist/tiles/tippecanoe.js";
import { failureOf } from "../../dist/tiles/tippecanoe-errors.js";
import { planTippecanoe } from "../../dist/tiles/tippecanoe-plan.js";
import { testContext } from "../support/context.mjs";
import { writeFields } from "../support/field-tiles.mjs";
import { fieldChunks, fieldStream } from "../support/geojson-fields.mjs";
import { processesIn, tippecanoeIn } from "../support/processes.mjs";
import { tempDirIn, tempFolder } from "../support/temp-folder.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const PLAN = planTippecanoe({ onlineCpus: 2, maxThreadsWanted: 2, softNofile: 4096, hardNofile: 4096 });
/** A tmpfs, as /dev/shm is one. */
const SIZE = "64m";

function job(change) {
  const { signal, log } = testContext();
  return { minZoom: 4, maxZoom: 12, program: "tippecanoe", plan: PLAN, signal, log, graceMs: 2000, ...change };
}

async function assertNoSpace(run, folder) {
  await assert.rejects(runTippecanoe(run), (error) => {
    assert.equal(error.kind, "space", error.message);
    assert.match(error.message, /tempDir=|path=/);
    return true;
  });
  assert.deepEqual(readdirSync(folder), []);
  assert.equal(existsSync(run.tempDir), false);
  assert.deepEqual(processesIn(run.tempDir), []);
}

for (const [moment, fields, kib] of [
  ["while the first features are read", 4000, 0],
  ["while features are read", 12_000, 256],
]) {
  test(`the temporary folder's disk is full ${moment}`, { skip: noTippecanoe }, async (t) => {
    const disk = tinyDisk(t, SIZE);
    if (disk === undefined) return t.skip("mount is not permitted here");
    const folder = tempFolder(t);
    async function* features() {
      yield* fieldChunks(fields);
      await tippecanoeIn(run.tempDir);
      // It has what it was given: now there is no more room than this.
      await sleep(300);
      leaveFree(disk, kib * 1024);
      yield* fieldChunks(15_000, { seed: 2 });
    }
    const run = job({ output: join(folder, "a.pmtiles"), tempDir: tempDirIn(disk), features: features() });
    await assertNoSpace(run, folder);
  });
}

test("the temporary folder's disk is full while tiles are made: told, or enough room became free", {
  skip: noTippecanoe,
}, async (t) => {
  let told = 0;
  // It tells its progress once a second, so these strike somewhere after the features were read.
  for (const percent of [0, 20, 60]) {
    const disk = tinyDisk(t, SIZE);
    if (disk === undefined) return t.skip("mount is not permitted here");
    const folder = tempFolder(t);
    let full = false;
    const run = job({
      output: join(folder, "a.pmtiles"),
      tempDir: tempDirIn(disk),
      features: fieldStream(20_000),
      onProgress(now) {
        if (full || now < percent) return;
        full = true;
        leaveFree(disk, 0);
      },
    });
    try {
      await runTippecanoe(run);
      await verifyArchive(run.output, { minZoom: 4, maxZoom: 12 });
    } catch (error) {
      assert.equal(error.kind, "space", error.message);
      assert.deepEqual(readdirSync(folder), []);
      told++;
    }
    assert.ok(full);
    assert.equal(existsSync(run.tempDir), false);
    assert.deepEqual(processesIn(run.tempDir), []);
  }
  assert.ok(told > 0);
});

test("a full disk under the copy with its own metadata", async (t) => {
  const source = join(tempFolder(t), "a.pmtiles");
  writeFields(source, { maxZoom: 12 });
  const disk = tinyDisk(t, "64k");
  if (disk === undefined) return t.skip("mount is not permitted here");
  const target = join(disk, "b.pmtiles");
  await assert.rejects(
    rewriteMetadata(source, target, (metadata) => metadata),
    { kind: "space", message: /b\.pmtiles/ },
  );
  assert.throws(() => new Archive(target), { kind: "input" });
});

test("a process that a mapped file without room has killed", () => {
  const error = failureOf({ signal: "SIGBUS" }, "", false, { tempDir: "/dev/shm/x" });
  assert.deepEqual([error.kind, error.where.tempDir], ["space", "/dev/shm/x"]);
  assert.match(error.message, /SIGBUS/);
});
