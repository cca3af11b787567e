// How evenly work is cut for many workers: what the model of a large node rests on.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
let skew;

before(async () => {
  const tsc = join(PROJECT, "node_modules/typescript/bin/tsc");
  const run = spawnSync(process.execPath, [tsc, "-p", "bench"], { cwd: PROJECT, encoding: "utf8" });
  assert.equal(run.status, 0, run.stdout);
  skew = await import(new URL("../../dist-bench/skew.js", import.meta.url));
});

test("workers that take the next piece as they get free", () => {
  const { simulate } = skew;
  const { efficiency, largest } = simulate({ name: "", costs: [3, 1, 1, 1] }, 2);
  assert.deepEqual([efficiency, largest], [1, 2]);
  assert.equal(simulate({ name: "", costs: [1, 1, 1] }, 2).efficiency, 0.75);
  assert.equal(simulate({ name: "", costs: [1, 1, 6] }, 2).efficiency, 8 / (2 * 7));
});

test("a nation's fields, windows and buckets are all accounted for", () => {
  const fields = 29_100_000;
  const pieces = skew.nationalPieces({ fields, width: 153_811, height: 96_523, pixelsPerField: 0 });
  const [tiles, strips, groups, buckets] = pieces.map(({ costs }) => costs);
  const sum = (costs) => costs.reduce((total, cost) => total + cost, 0);
  // Of the last rows, where no field lies, nothing is read.
  for (const costs of [tiles, strips])
    assert.ok(sum(costs) > 0.99 * 153_811 * 96_523 && sum(costs) <= 153_811 * 96_523);
  assert.equal(groups.length, Math.ceil(fields / 122_880));
  assert.ok(Math.abs(sum(buckets) / fields - 1) < 0.05, `${sum(buckets)} fields in buckets`);
  assert.ok(Math.max(...buckets) > 2 * (sum(buckets) / buckets.length), "the Midwest's are fuller");
});
