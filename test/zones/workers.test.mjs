// Many workers on few cores, and workers that die: the same index.
import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { PipelineError } from "../../dist/pipeline/errors.js";
import { buildZones } from "../../dist/zones/build-zones.js";
import { testContext } from "../support/context.mjs";
import { nothing } from "../support/nothing-task.mjs";
import { writeByRust } from "../support/parquet-variants.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const GRID = { crs: "EPSG:5070", geotransform: [0, 30, 0, 60_000, 0, -30], width: 2000, height: 2000 };
const FIELDS = 60_000;

describe("workers", () => {
  const folder = tempFolder({ after: (remove) => process.on("exit", remove) });
  let fields;
  let expected;

  before(async () => {
    const rows = Array.from({ length: FIELDS }, (_, i) => {
      const [x, y] = [(i * 7919) % 59_000, (i * 104_729) % 59_000];
      return { id: BigInt(i), wkb: polygonWkb([box(x, y, x + 100 + (i % 400), y + 100 + (i % 300))]) };
    });
    writeByRust(join(folder, "fields.parquet"), rows, { rowGroup: 20_000, codec: "ZSTD" });
    fields = await openFields(join(folder, "fields.parquet"), { fieldsCrs: "EPSG:5070" });
    expected = await indexWith(openPool(1));
  });

  async function indexWith(pool) {
    const path = join(folder, "zones");
    try {
      await buildZones(fields, GRID, path, { batch: 1000 }, pool, testContext());
      return readFileSync(path);
    } finally {
      await pool.close();
    }
  }

  /** Calls back with every worker thread that this process starts. */
  function onWorker(t, callback) {
    const listen = ({ worker }) => callback(worker);
    diagnostics.subscribe("worker_threads", listen);
    t.after(() => diagnostics.unsubscribe("worker_threads", listen));
  }

  /** Ends a worker when it has told that it is ready, and so has been given a task. */
  function endAtWork(worker) {
    worker.once("message", () => setImmediate(() => worker.terminate()));
  }

  test("128 workers start, however few the cores are, and give the same bytes", async (t) => {
    let online = 0;
    onWorker(t, (worker) => worker.once("online", () => online++));
    const pool = openPool(128);
    // One that has started early may take several of them.
    while (online < 128) await Promise.all(Array.from({ length: 128 }, () => pool.run(nothing, undefined)));
    assert.equal(online, 128);
    assert.deepEqual(await indexWith(pool), expected);
    assert.equal(online, 128);
  });

  test("a worker that dies: what it did is done again", async (t) => {
    // One only: two that die may meet at the same task, which is then given up.
    let started = 0;
    let exitCode;
    onWorker(t, (worker) => {
      if (started++ > 0) return;
      endAtWork(worker);
      worker.once("exit", (code) => {
        exitCode = code;
      });
    });
    assert.deepEqual(await indexWith(openPool(2)), expected);
    assert.equal(exitCode, 1);
    assert.ok(started >= 2, `${started} workers`);
  });

  test("a task at which workers die twice is named, with its file and row group", async (t) => {
    onWorker(t, endAtWork);
    await assert.rejects(indexWith(openPool(2)), (error) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.kind, "failed");
      assert.match(error.message, /A worker died twice on the same task \(.*task=(burnSlice|findPages)/);
      assert.match(error.message, /fields\.parquet/);
      assert.match(error.message, /rowGroup=\d/);
      return true;
    });
  });
});
