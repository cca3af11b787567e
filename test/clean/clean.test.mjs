// What clean removes from a root, and above all what it leaves: everything that a field set, a year or a process needs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { holderNow } from "../../dist/pipeline/holder.js";
import { openScratch } from "../../dist/pipeline/output.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const MADE_ONCE = /\.(zones|lookup|precompressed)$/;

async function ok(name, args) {
  const run = await command(name, args);
  assert.equal(run.code, 0, run.stderr);
  return run;
}

const madeOnce = (root) =>
  ["zones", "base"].flatMap((folder) => readdirSync(join(root, "data", folder)).filter((name) => MADE_ONCE.test(name)));

async function clean(root, ...args) {
  // Folders of ended processes come and go with the tests that run at the same time.
  const keep = args.includes("--keep") ? [] : ["--keep", "temporary"];
  const { json } = await ok("clean", ["--root", root, "--json", ...keep, ...args]);
  const of = (removed) => json.items.filter((item) => item.removed === removed).map(({ path }) => basename(path));
  return { ...json, gone: of(true), stay: of(false) };
}

describe("clean", () => {
  let made;
  before(async () => {
    // Two field sets in turn: 2019 was made from the first, 2020 from the second.
    made = mkdtempSync(join(tmpdir(), "fields-clean-"));
    const sample = (seed) => ["--root", made, "--fields", "150", "--years", "2019-2020", "--seed", seed, "--quiet"];
    const year = (y) => [y, "--root", made, "--cdl-source", join(made, "cdl-source"), "--until", "tiles", "--quiet"];
    await ok("sample", sample("1"));
    await ok("year", year("2019"));
    await ok("sample", sample("2"));
    await ok("year", year("2020"));
  });
  after(() => rmSync(made, { recursive: true, force: true }));

  const copied = (t) => {
    const root = join(tempFolder(t), "root");
    cpSync(made, root, { recursive: true });
    rmSync(join(root, "fields.json"), { force: true });
    return root;
  };
  const isValid = async (root) => {
    const years = ["2020", "--root", root, "--cdl-source", join(root, "cdl-source"), "--until", "tiles"];
    const { json } = await ok("year", [...years, "--dry-run", "--json"]);
    return JSON.stringify(json);
  };

  test("what the fields that are here need stays, and so does what a year was made from", async (t) => {
    const root = copied(t);
    const before = madeOnce(root);
    assert.ok(before.length >= 4, `${before}`);
    const { gone, stay } = await clean(root);
    assert.deepEqual(
      gone.filter((name) => MADE_ONCE.test(name) && !name.endsWith(".lookup")),
      [],
    );
    assert.deepEqual(
      before.filter((name) => !name.endsWith(".lookup") && !stay.includes(name)),
      [],
    );
  });

  test("what no year and no field set is of goes; the others' runs have nothing to do", async (t) => {
    const root = copied(t);
    const before = madeOnce(root);
    const planned = await isValid(root);
    for (const name of readdirSync(join(root, "outputs/state"))) {
      if (name.startsWith("us_2019_")) rmSync(join(root, "outputs/state", name));
    }
    const would = await clean(root, "--dry-run");
    assert.deepEqual(madeOnce(root), before, "a dry run removes nothing");
    assert.ok(would.bytes > 0);
    const { gone, bytes } = await clean(root);
    assert.equal(bytes, would.bytes);
    assert.equal(gone.filter((name) => name.endsWith(".zones")).length, 1);
    assert.equal(gone.filter((name) => name.endsWith(".precompressed")).length, 1);
    assert.deepEqual(madeOnce(root).sort(), before.filter((name) => !gone.includes(name)).sort());
    assert.equal(await isValid(root), planned);
    await ok("year", ["2019", "--root", root, "--cdl-source", join(root, "cdl-source"), "--until", "tiles", "--quiet"]);
    assert.deepEqual(madeOnce(root).sort(), before.filter((name) => !gone.includes(name)).sort(), "nothing made anew");
    assert.deepEqual((await clean(root)).gone, []);
  });

  test("--keep leaves kinds and files", async (t) => {
    const root = copied(t);
    for (const name of readdirSync(join(root, "outputs/state"))) {
      if (name.startsWith("us_2019_")) rmSync(join(root, "outputs/state", name));
    }
    const { gone } = await clean(root, "--dry-run");
    const zones = gone.find((name) => name.endsWith(".zones"));
    const kept = await clean(root, "--keep", `base,${zones}`);
    assert.ok(!kept.gone.some((name) => /\.(zones|precompressed)$/.test(name)), `${kept.gone}`);
    const wrong = await command("clean", ["--root", root, "--keep", "bases"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /Invalid --keep .*received=bases/);
  });

  test("while a process is at work here, or may be elsewhere, nothing goes", async (t) => {
    const root = copied(t);
    for (const name of readdirSync(join(root, "outputs/state"))) {
      if (name.startsWith("us_2019_")) rmSync(join(root, "outputs/state", name));
    }
    const before = madeOnce(root);
    const lock = join(root, "outputs/state/us_2021.lock");
    const holder = holderNow("token", 3);
    for (const who of [holder, { ...holder, host: "b12-3", namespace: "other boot" }]) {
      writeFileSync(lock, JSON.stringify(who));
      const { gone, items } = await clean(root);
      assert.deepEqual(gone, []);
      assert.ok(items.some(({ reason }) => reason.includes(`process ${process.pid} on ${who.host} is at work`)));
      assert.deepEqual(madeOnce(root), before);
    }
    const child = spawn("true");
    await new Promise((done) => child.on("close", done));
    writeFileSync(lock, JSON.stringify({ ...holder, pid: child.pid, startTicks: "1" }));
    assert.ok((await clean(root)).gone.length > 1, "a dead process holds nothing up");
  });

  test("unknown regions, unreadable fields and strange files stay", async (t) => {
    const root = copied(t);
    const zones = join(root, "data/zones");
    const [some] = readdirSync(zones).filter((name) => name.endsWith(".zones"));
    cpSync(join(zones, some), join(zones, "alaska_0123456789ab.zones"));
    writeFileSync(join(zones, "notes.txt"), "mine");
    writeFileSync(join(root, "data/base/mine.pmtiles"), "mine");
    writeFileSync(join(root, "data/my_0123456789ab.parquet"), "mine");
    const first = await clean(root);
    assert.ok(first.stay.includes("alaska_0123456789ab.zones"));
    for (const name of ["zones/notes.txt", "base/mine.pmtiles", "my_0123456789ab.parquet"]) {
      assert.ok(existsSync(join(root, "data", name)), name);
    }
    for (const name of readdirSync(join(root, "outputs/state"))) {
      if (/^us_\d/.test(name)) rmSync(join(root, "outputs/state", name));
    }
    writeFileSync(join(root, "data/fields_raw.parquet"), "not parquet any more");
    const { gone } = await clean(root);
    assert.deepEqual(
      gone.filter((name) => MADE_ONCE.test(name)),
      [],
    );
  });

  test("scratch of ended runs goes, but not what a later run goes on from, nor a live process's", async (t) => {
    const root = copied(t);
    const scratchOf = (target, owner) => {
      mkdirSync(join(root, target, ".."), { recursive: true });
      const { path } = openScratch(join(root, target));
      writeFileSync(join(path, "part"), Buffer.alloc(100_000));
      if (owner) writeFileSync(join(path, ".owner.json"), JSON.stringify({ ...holderNow("t", 0), ...owner }));
      return path;
    };
    const dead = { pid: 2 ** 22 - 1, startTicks: "1" };
    const goes = [
      scratchOf("outputs/tiles/fields_us_2015_full.pmtiles", dead),
      scratchOf("outputs/zonal/zonal_us_2015.parquet", dead),
      scratchOf("data/base/us_0123456789ab.precompressed", dead),
    ];
    const stays = [
      scratchOf("data/zones/us_0123456789ab.zones", dead),
      scratchOf("data/cdl/us_2015.json", dead),
      scratchOf("outputs/tiles/fields_us_2014_full.pmtiles"),
      scratchOf("outputs/tiles/fields_us_2013_full.pmtiles", { ...dead, host: "b12-3" }),
    ];
    const { items } = await clean(root, "--keep", "zones,base,lookup,fields");
    for (const path of goes) assert.ok(!existsSync(path), path);
    for (const path of stays) assert.ok(existsSync(path), path);
    const sizes = items.filter(({ path }) => goes.includes(path)).map(({ bytes }) => bytes);
    assert.ok(
      sizes.every((bytes) => bytes >= 100_000 && bytes < 200_000),
      `${sizes}`,
    );
    assert.ok(readFileSync(join(stays[0], "part")).length === 100_000);
  });
});
