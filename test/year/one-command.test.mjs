// Several years by one command, what a root remembers, and what is looked at before anything is downloaded.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { withLock } from "../../dist/pipeline/lock.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { logLines, makeWorld, newRoot, stagesOf } from "../support/sample-world.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEARS = [2018, 2020];
let world;
before(async () => {
  world = await makeWorld({ fields: 80, years: YEARS });
});
after(() => world?.remove());

const fieldsJson = (root) => JSON.parse(readFileSync(join(root, "fields.json"), "utf8")).regions;

describe("several years", { skip: noTippecanoe }, () => {
  let root;
  before(async () => {
    root = newRoot(world, "several");
    const run = await command("year", [
      "2018-2020",
      "--root",
      root,
      "--cdl-source",
      world.source,
      "--max-zoom",
      "10",
      "--json",
    ]);
    assert.equal(run.code, 3, run.stderr);
    assert.match(run.stderr, /Some years failed \(failed=2019, done=2018 2020\)/);
    assert.match(run.stderr, /No raster of this year at the source/);
  });

  test("a year that fails does not end the others; each has its log; the history is made of those that are there", () => {
    for (const year of YEARS) {
      assert.ok(existsSync(join(root, "outputs", "tiles", `fields_us_${year}_full.pmtiles`)));
      assert.ok(logLines(root, year).some(({ msg }) => msg === `year ${year} is done`));
    }
    assert.ok(logLines(root, 2019).some(({ msg }) => /No raster of this year/.test(msg)));
    const legend = JSON.parse(readFileSync(join(root, "outputs", "history", "us", "legend.json"), "utf8"));
    assert.deepEqual([legend.years, legend.missing], [YEARS, []]);
  });

  test("the root remembers its options: a rerun needs none, check and status agree", async () => {
    assert.deepEqual(fieldsJson(root), { us: { cdlSource: world.source, maxZoom: 10 } });
    const again = await command("year", ["2018", "--root", root]);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(stagesOf(again), { done: [], skipped: ["download", "zonal", "tiles", "publish"] });
    const check = await command("cluster", ["check", "2018,2020", "--root", root]);
    assert.equal(check.code, 0, check.stdout);
    const status = await command("status", ["--root", root]);
    assert.match(status.stdout, /^made with --cdl-source .*cdl-source --max-zoom 10$/m);
    assert.match(status.stdout, /2018 +done/);
    const tiles = await command("tiles", ["2018", "--root", root]);
    assert.match(tiles.stderr, /valid, skipped/);
  });

  test("an explicit option changes it, with a notice", async () => {
    const run = await command("year", ["2018", "--root", root, "--ties", "highest", "--until", "zonal"]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /--ties of this root changes from lowest to highest/);
    assert.equal(fieldsJson(root).us.ties, "highest");
    const back = await command("year", ["2018", "--root", root, "--ties", "lowest"]);
    assert.equal(back.code, 0, back.stderr);
  });

  test("a dry run of several years names each, and keeps nothing", async () => {
    const kept = readFileSync(join(root, "fields.json"), "utf8");
    const run = await command("year", ["2018,2020", "--root", root, "--max-zoom", "9", "--dry-run"]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /^2018 download +skipped/m);
    assert.match(run.stdout, /^2020 tiles +runs: maxZoom changed/m);
    assert.equal(readFileSync(join(root, "fields.json"), "utf8"), kept);
  });

  test("publish takes an archive of several years", async () => {
    const made = await command("tiles", ["--years", "2018,2020", "--single-archive", "--root", root]);
    assert.equal(made.code, 0, made.stderr);
    for (const year of YEARS) rmSync(join(root, "outputs", "tiles", `fields_us_${year}_full.pmtiles`));
    const target = join(root, "maps");
    const run = await command("publish", ["2018,2020", "--root", root, "--target", `file:${target}`, "--json"]);
    assert.equal(run.code, 0, run.stderr);
    const manifest = JSON.parse(readFileSync(join(target, "us_full_years.json"), "utf8"));
    assert.deepEqual(manifest.years, YEARS);
    for (const year of YEARS) assert.equal(manifest.archives[year].key, "fields_us_2018-2020_full.pmtiles");
    assert.ok(existsSync(join(target, "fields_us_2018-2020_full.pmtiles")));
    const list = await command("publish", ["2018", "--root", root, "--manifest-format", "list"]);
    assert.equal(list.code, 2, list.stderr);
    assert.match(list.stderr, /manifest-format list/);
  });
});

test("a root of one region needs no --region; of several, one must be named", async () => {
  const root = newRoot(world, "regions");
  const year = (...args) =>
    command("year", ["2018", "--root", root, "--until", "zonal", "--cdl-source", world.source, ...args]);
  assert.equal((await year("--region", "ks")).code, 0);
  const again = await command("year", ["2018", "--root", root, "--until", "zonal"]);
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(stagesOf(again).skipped, ["download", "zonal"]);
  assert.equal((await year("--region", "ne")).code, 0);
  const which = await command("status", ["--root", root]);
  assert.equal(which.code, 2);
  assert.match(which.stderr, /several regions; choose one with --region .*regions=ks ne/);
});

describe("everything is looked at before the download", () => {
  /** A year of a root of its own: it fails, and nothing was downloaded. */
  async function refused(name, args, code, message, { options = {}, without = [] } = {}) {
    const root = newRoot(world, name);
    for (const file of without) rmSync(join(root, "data", file));
    const run = await command("year", ["2018", "--root", root, "--cdl-source", world.source].concat(args), options);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, message);
    assert.ok(!existsSync(join(root, "data", "cdl")), run.stderr);
  }

  test("fields, their columns and CRS", async () => {
    await refused("no-fields", [], 4, /File not found .*fields_raw\.parquet/, { without: ["fields_raw.parquet"] });
    await refused("no-column", ["--id-column", "gid"], 4, /gid/);
    await refused("no-crs", ["--fields-crs", "EPSG:0"], 4, /CRS/);
  });

  test("areas, tiler, target", async () => {
    await refused("no-areas", ["--area-column", "acres"], 4, /acres/);
    await refused(
      "no-tiler",
      ["--tiler", "tippecanoe", "--tippecanoe", "/nowhere/tippecanoe"],
      8,
      /tippecanoe not found/,
    );
    await refused(
      "no-target",
      ["--target", "file:/proc/nowhere"],
      10,
      /Cannot write to the target folder|Cannot create the folder/,
    );
    const env = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const s3 = ["--target", "s3://maps/fields", "--endpoint", "http://127.0.0.1:1", "--retries", "0"];
    await refused("no-bucket", s3, 10, /Cannot reach the S3 server/, { options: { env } });
  });

  test("a year that no server has", async () => {
    const root = newRoot(world, "no-year");
    const run = await command("year", ["1890", "--root", root]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /The Cropland Data Layer does not cover this year/);
  });
});

describe("what a root remembers is changed by one command at a time", () => {
  test("a command that is refused because of another changes nothing", async () => {
    const root = newRoot(world, "refused");
    const year = (...args) => command("year", ["2018", "--root", root, "--until", "download", ...args]);
    assert.equal((await year("--cdl-source", world.source)).code, 0);
    const kept = fieldsJson(root);
    await withLock(layoutOf(resolveOptions({ root }), 2018).lock, testContext(), async () => {
      const refused = await year("--max-zoom", "9");
      assert.equal(refused.code, 6, refused.stderr);
      assert.doesNotMatch(refused.stderr, /of this root changes/);
    });
    assert.deepEqual(fieldsJson(root), kept);
    assert.equal((await year("--max-zoom", "9")).code, 0);
    assert.equal(fieldsJson(root).us.maxZoom, 9);
  });

  test("an option that a command could not use is not kept; the root stays as it was", async () => {
    const root = newRoot(world, "unusable");
    const year = (...args) => command("year", ["2018", "--root", root, "--until", "zonal", ...args]);
    assert.equal((await year("--cdl-source", world.source)).code, 0);
    const kept = fieldsJson(root);
    const nowhere = join(root, "nowhere");
    for (const [name, args, option] of [
      ["year", ["2018", "--until", "download", "--force", "download"], "cdl-source"],
      ["download", ["2018", "--force"], "cdl-source"],
      ["year", ["2018", "--until", "zonal"], "fields-raw"],
      ["prepare", ["--base"], "fields-raw"],
    ]) {
      const refused = await command(name, ["--root", root, `--${option}`, nowhere].concat(args));
      assert.ok(refused.code === 2 || refused.code === 4, `${name}: ${refused.code} ${refused.stderr}`);
      assert.match(refused.stderr, new RegExp(`--${option} of this root stays`));
      assert.deepEqual(fieldsJson(root), kept, name);
    }
    const again = await year();
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(stagesOf(again).skipped, ["download", "zonal"]);
  });

  test("a lock that a kill has left goes, also where nothing is to be changed", async () => {
    const root = newRoot(world, "left");
    const year = () => command("year", ["2018", "--root", root, "--until", "download", "--cdl-source", world.source]);
    assert.equal((await year()).code, 0);
    const lock = join(root, ".fields.json.lock");
    const script = `
      import { withLock } from ${JSON.stringify(new URL("../../dist/pipeline/lock.js", import.meta.url))};
      await withLock(process.argv[1], { signal: new AbortController().signal, log: {} }, () => process.kill(process.pid, 9));`;
    await assert.rejects(promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, lock]));
    assert.ok(existsSync(lock));
    assert.equal((await year()).code, 0);
    assert.ok(!existsSync(lock));
  });

  test("several at once lose nothing of each other's", async () => {
    const root = newRoot(world, "at-once");
    const text = `
      import { keepRootOptions } from ${JSON.stringify(new URL("../../dist/config/root-options.js", import.meta.url))};
      const quiet = { info() {}, warn() {}, error() {} };
      const ctx = { signal: new AbortController().signal, log: quiet };
      for (let i = 0; i < 20; i++)
        await keepRootOptions({ root: process.argv[1], region: process.argv[2] + i }, { maxZoom: i }, ctx);`;
    const runs = ["a", "b", "c", "d"].map((name) =>
      promisify(execFile)(process.execPath, ["--input-type=module", "-e", text, root, name]),
    );
    await Promise.all(runs);
    assert.equal(Object.keys(fieldsJson(root)).length, 80);
    assert.deepEqual(readdirSync(root).sort(), ["data", "fields.json"]);
  });
});
