import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { planTippecanoe, tippecanoeArithmetic } from "../../dist/tiles/tippecanoe-plan.js";
import { fieldChunks } from "../support/geojson-fields.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

const limits = { onlineCpus: 2, maxThreadsWanted: 2, softNofile: 20_000, hardNofile: 20_000 };

test("threads are a power of two, no more than wanted, online and 128", () => {
  for (const [onlineCpus, maxThreadsWanted, threads] of [
    [2, 2, 2],
    [1, 8, 1],
    [3, 3, 2],
    [64, 40, 32],
    [256, 128, 128],
    [256, 256, 128],
  ]) {
    const plan = planTippecanoe({ ...limits, onlineCpus, maxThreadsWanted });
    assert.equal(plan.threads, threads);
    assert.equal(plan.shards, 4);
    assert.equal(plan.nofile, 4096);
    assert.deepEqual(plan.env, { TIPPECANOE_MAX_THREADS: String(threads) });
    assert.deepEqual([plan.ok, plan.reason], [true, undefined]);
  }
});

test("a soft limit is raised as far as the hard one lets it; threads are fewer where that is too low", () => {
  const many = { onlineCpus: 256, maxThreadsWanted: 128 };
  assert.equal(planTippecanoe({ ...many, softNofile: 1024, hardNofile: Infinity }).nofile, 4096);
  assert.equal(planTippecanoe({ ...many, softNofile: 1024, hardNofile: 2048 }).threads, 128);
  const fewer = planTippecanoe({ ...many, softNofile: 1024, hardNofile: 1024 });
  assert.deepEqual([fewer.threads, fewer.nofile, fewer.ok], [64, 1024, true]);
  assert.match(fewer.reason, /64 threads instead of 128/);
  const none = planTippecanoe({ ...many, softNofile: 40, hardNofile: 40 });
  assert.equal(none.ok, false);
  assert.match(none.reason, /open files/);
});

test("every plan that is called sound has a power of two of temporary files", () => {
  for (let nofile = 8; nofile <= 5000; nofile += 7) {
    for (const wanted of [1, 2, 5, 16, 64, 100, 128, 300]) {
      const plan = planTippecanoe({
        onlineCpus: 512,
        maxThreadsWanted: wanted,
        softNofile: nofile,
        hardNofile: nofile,
      });
      if (!plan.ok) continue;
      assert.equal(plan.tempFiles & (plan.tempFiles - 1), 0);
      assert.equal(plan.tempFiles, 4 * plan.threads);
    }
  }
});

test("the arithmetic is tippecanoe's own: what it calls unsound fails, what it calls sound runs", {
  skip: noTippecanoe,
}, (t) => {
  const folder = tempFolder(t);
  // Hundreds of temporary files are made and removed at once: memory is kinder to that than a disk.
  const temp = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : folder, "fields-test-"));
  t.after(() => rmSync(temp, { recursive: true }));
  const input = Buffer.concat([...fieldChunks(20)]);
  // Threads, open files, and how tippecanoe ends.
  const tried = [
    [256, 4096, 106],
    [128, 1350, 106],
    [128, 1500, 111],
    [128, 2000, 0],
    [64, 800, 111],
    [64, 1024, 0],
    [2, 100, 0],
  ];
  for (const [threads, nofile, status] of tried) {
    const plan = tippecanoeArithmetic(threads, nofile);
    const name = `${threads} threads, ${nofile} files: ${plan.reason ?? "sound"}`;
    assert.equal(plan.ok, status === 0, name);
    const args = ["-q", "-f", "-P", "-z5", "-Z4", "-t", temp, "-o", join(folder, "a.pmtiles")];
    const ended = tippecanoe(args, { input, nofile, env: { TIPPECANOE_MAX_THREADS: String(threads) } });
    assert.equal(ended.status, status, `${name}; ${ended.stderr}`);
    if (status === 106) {
      const shards = Number(/(\d+) shards not a power of 2/.exec(ended.stderr)?.[1]);
      // A file more or less may be open when it starts.
      assert.ok(Math.abs(shards - plan.tempFiles) <= 1, `${name}; ${ended.stderr}`);
    }
    if (status === 111) assert.match(ended.stderr, /Too many open files/);
  }
});
