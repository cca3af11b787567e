// Bit rot and changed files: year.js --check and --verify-inputs full.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { command } from "../support/command.mjs";
import { leftovers, makeWorld, newRoot, runYear, snapshot, stagesOf } from "../support/sample-world.mjs";

const YEARS = [2019, 2020];
let world;
let root;
before(async () => {
  world = await makeWorld({ fields: 80, years: YEARS, args: ["--unzipped"] });
  root = newRoot(world, "checked");
  const made = await command("year", ["2019-2020", "--root", root, "--cdl-source", world.source]);
  assert.equal(made.code, 0, made.stderr);
});
after(() => world?.remove());

const check = (...args) => command("year", ["--check", "--root", root, ...args]);
const only = (folder, pattern) => {
  const names = readdirSync(join(root, folder)).filter((name) => pattern.test(name));
  assert.equal(names.length, 1, `${folder} ${pattern}`);
  return join(root, folder, names[0]);
};

/** One bit of a file's middle is flipped, and its time is as it was, while `body` runs. */
async function rotten(path, body) {
  const kept = `${path}.kept`;
  copyFileSync(path, kept);
  const touch = (reference, file) => assert.equal(spawnSync("touch", ["-r", reference, file]).status, 0);
  touch(path, kept);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] ^= 4;
  writeFileSync(path, bytes);
  touch(kept, path);
  try {
    return await body();
  } finally {
    writeFileSync(path, readFileSync(kept));
    touch(kept, path);
    rmSync(kept);
  }
}

describe("year --check", () => {
  test("all is well, of one year and of all; nothing is changed", async () => {
    const seen = snapshot(root);
    const all = await check();
    assert.equal(all.code, 0, all.stderr);
    assert.match(all.stdout, /^\d+ files read in full, 0 not as recorded$/m);
    const one = await check("2019", "--json");
    assert.equal(one.code, 0, one.stderr);
    assert.deepEqual(one.json.changed, []);
    assert.ok(one.json.records >= 6, one.stdout);
    assert.deepEqual(snapshot(root), seen);
    assert.deepEqual(leftovers(root, 2019), []);
  });

  test("one bit of any input or output", async () => {
    const files = [
      [join(root, "data", "fields_raw.parquet"), "input", undefined],
      [join(root, "data", "fields_clean.parquet"), "input", undefined],
      [only("data/base", /\.precompressed$/), "output", undefined],
      [only("data/zones", /\.zones$/), "output", undefined],
      [
        join(
          world.source,
          readdirSync(world.source).find((name) => /2019.*\.tif$/.test(name)),
        ),
        "input",
        2019,
      ],
      [join(root, "outputs", "zonal", "zonal_us_2019.parquet"), "output", 2019],
      [join(root, "outputs", "tiles", "fields_us_2019_full.pmtiles"), "output", 2019],
      [join(root, "outputs", "history", "us", "legend.json"), "output", undefined],
      [only("outputs/history/us", /^history_us\.parquet$/), "output", undefined],
    ];
    for (const [path, role, year] of files) {
      const seen = snapshot(root);
      const { code, json, stderr } = await rotten(path, () => check("--json"));
      assert.equal(code, 4, `${path}: ${stderr}`);
      const named = json.changed.filter((file) => file.path === path);
      assert.ok(named.length > 0, `${path}: ${stderr}`);
      assert.ok(
        named.some((file) => file.role === role && (year === undefined || file.year === year)),
        JSON.stringify(json.changed),
      );
      if (role === "input") assert.match(named[0].problem, /other bytes, though its size and time are as they were/);
      assert.ok(stderr.includes(`ERROR ${path} `), stderr);
      if (year === 2019) {
        const other = await rotten(path, () => check("2020"));
        const shared = json.changed.some((file) => file.year !== 2019);
        assert.equal(other.code, shared ? 4 : 0, other.stderr);
      }
      assert.deepEqual(Object.keys(snapshot(root)), Object.keys(seen));
    }
    assert.equal((await check()).code, 0);
  });

  test("the published copy, a file that is gone, a root that was moved", async () => {
    const archive = join(root, "outputs", "web", "fields_us_2020_full.pmtiles");
    const { json } = await rotten(archive, () => check("2020", "--json"));
    assert.ok(json.changed.some(({ path, step }) => path === archive && step === "publish"));
    const zonal = join(root, "outputs", "zonal", "zonal_us_2020.parquet");
    renameSync(zonal, `${zonal}.aside`);
    const gone = await check("2020");
    renameSync(`${zonal}.aside`, zonal);
    assert.equal(gone.code, 4);
    assert.match(gone.stderr, /^\[2020 zonal\] ERROR .*zonal_us_2020\.parquet is gone \(role=output\)$/m);
    const there = `${root}-moved`;
    renameSync(root, there);
    const moved = await command("year", ["--check", "--root", there]);
    renameSync(there, root);
    assert.equal(moved.code, 0, moved.stderr);
  });

  test("what it does not take", async () => {
    const none = await check("1999");
    assert.equal(none.code, 4);
    assert.match(none.stderr, /No records to check \(year=1999/);
    const both = await check("2019", "--force", "zonal");
    assert.equal(both.code, 2);
    assert.match(both.stderr, /--check and --force exclude each other/);
  });
});

describe("--verify-inputs full", () => {
  const year = (...args) => runYear(root, 2019, world.source, ["--verify-inputs", "full", ...args]);

  test("sound files: all is skipped, and the option is not kept", async () => {
    const run = await year();
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(stagesOf(run).done, []);
    assert.doesNotMatch(readFileSync(join(root, "fields.json"), "utf8"), /verify/i);
  });

  test("a damaged input ends the year before anything is made of it; a damaged output is made again", async () => {
    const seen = snapshot(root);
    const fields = join(root, "data", "fields_raw.parquet");
    const run = await rotten(fields, () => year());
    assert.equal(run.code, 4, run.stderr);
    assert.match(run.stderr, /Input is damaged: restore it from a copy, or replace it \(.*fields_raw\.parquet/);
    assert.deepEqual(Object.keys(snapshot(root)), Object.keys(seen));
    const base = only("data/base", /\.precompressed$/);
    const before = readFileSync(base);
    await rotten(base, async () => {
      const again = await year("--force", "tiles");
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stderr, /\[2019 base\] done in/);
      assert.deepEqual(readFileSync(base), before);
    });
  });
});
