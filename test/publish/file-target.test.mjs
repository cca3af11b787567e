import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { runStep } from "../../dist/pipeline/step.js";
import { buildDiskFaults, noDiskFaults } from "../support/disk-faults.mjs";
import {
  BOUNDS,
  BUILT_AT,
  makeContext,
  makeRoot,
  makeYear,
  readJson,
  readyYear,
  sha256,
} from "../support/published-year.mjs";

const run = promisify(execFile);
const ENTRY = new URL("../../dist/publish.js", import.meta.url).pathname;

test("locks of manifest and STAC files that a kill left go with the rerun, which has nothing to write", async (t) => {
  const root = makeRoot(t);
  const { step } = makeYear(root, 2020);
  await runStep(step, makeContext());
  const web = join(root, "outputs/web");
  const script = `
    import { withLock } from ${JSON.stringify(new URL("../../dist/pipeline/lock.js", import.meta.url))};
    const ctx = { signal: new AbortController().signal, log: {} };
    await withLock(process.argv[1], ctx, () => process.kill(process.pid, "SIGKILL"));`;
  for (const name of ["us_full_years.json", "us_2020_item.json", "us_collection.json"]) {
    const lock = join(web, `.${name}.lock`);
    spawnSync(process.execPath, ["--input-type=module", "-e", script, lock]);
    assert.ok(existsSync(lock));
  }
  await runStep(step, makeContext(), { force: true });
  assert.deepEqual(
    readdirSync(web).filter((name) => name.includes(".lock")),
    [],
  );
});

test("a run that lost its lock does not put its archive in the place of its successor's", async (t) => {
  const root = makeRoot(t);
  const { step, layout, archive } = makeYear(root, 2020);
  await runStep(step, makeContext());
  const published = join(root, "outputs/web/fields_us_2020_full.pmtiles");
  const before = sha256(readFileSync(published));
  const { step: late } = makeYear(join(root, "late"), 2020, {
    seed: 7,
    options: { target: `file:${root}/outputs/web` },
  });
  await assert.rejects(runStep(late, { ...makeContext(), held: () => false }), { kind: "locked" });
  assert.equal(sha256(readFileSync(published)), before);
  assert.equal(sha256(readFileSync(archive.path)), before);
  assert.deepEqual(readJson(layout.manifest).years, [2020]);
  assert.ok(!readdirSync(join(root, "outputs/web")).some((name) => name.endsWith(".partial")));
});

test("the default target: archive, manifest and receipt; a rerun does nothing", async (t) => {
  const root = makeRoot(t);
  const { step, layout, archive } = makeYear(root, 2020);
  const facts = await runStep(step, makeContext());
  const web = join(root, "outputs/web");
  const published = join(web, "fields_us_2020_full.pmtiles");
  assert.equal(facts.transfer, "linked");
  assert.equal(statSync(published).ino, statSync(archive.path).ino);
  const manifest = readJson(join(web, "us_full_years.json"));
  assert.deepEqual(manifest.years, [2020]);
  assert.deepEqual(manifest.archives[2020], {
    url: "fields_us_2020_full.pmtiles",
    key: "fields_us_2020_full.pmtiles",
    bytes: statSync(archive.path).size,
    checksum: `sha256:${sha256(readFileSync(archive.path))}`,
    bounds: BOUNDS,
    center: [-98, 39, 9],
    minzoom: 4,
    maxzoom: 14,
    layers: ["fields", "centroids"],
    builtAt: BUILT_AT,
    featureCounts: { fields: 7, centroids: 7 },
  });
  assert.equal(readJson(join(layout.state, "us_2020_published.json")).checksum, facts.checksum);
  assert.deepEqual(readdirSync(web).sort(), [
    "fields_us_2020_full.pmtiles",
    "us_2020_item.json",
    "us_collection.json",
    "us_full_years.json",
  ]);

  const again = makeContext();
  await runStep(readyYear(root, 2020).step, again);
  assert.match(again.lines.join("\n"), /valid, skipped/);
});

test("what was taken away or replaced at the target is put back", async (t) => {
  const root = makeRoot(t);
  makeYear(root, 2019);
  await runStep(readyYear(root, 2019).step, makeContext());
  const web = join(root, "outputs/web");
  const manifestBefore = readFileSync(join(web, "us_full_years.json"), "utf8");
  const cases = [
    [() => rmSync(join(web, "fields_us_2019_full.pmtiles")), /started \(the archive is not at the target/],
    [
      () => {
        rmSync(join(web, "fields_us_2019_full.pmtiles"));
        writeFileSync(join(web, "fields_us_2019_full.pmtiles"), "x");
      },
      /started \(the target holds another archive/,
    ],
    [() => rmSync(join(web, "us_full_years.json")), /started \(the manifest does not list the year/],
  ];
  for (const [damage, reason] of cases) {
    damage();
    const ctx = makeContext();
    await runStep(readyYear(root, 2019).step, ctx);
    assert.match(ctx.lines.join("\n"), reason);
    assert.equal(readFileSync(join(web, "us_full_years.json"), "utf8"), manifestBefore);
    assert.equal(
      statSync(join(web, "fields_us_2019_full.pmtiles")).ino,
      statSync(readyYear(root, 2019).archive.path).ino,
    );
  }
});

test("a new archive of the year replaces the old one", async (t) => {
  const root = makeRoot(t);
  await runStep(makeYear(root, 2020, { seed: 1 }).step, makeContext());
  rmSync(readyYear(root, 2020).archive.path);
  const second = makeYear(root, 2020, { seed: 2 });
  const ctx = makeContext();
  const facts = await runStep(second.step, ctx);
  assert.match(ctx.lines.join("\n"), /started \(archive changed/);
  const published = readFileSync(join(root, "outputs/web/fields_us_2020_full.pmtiles"));
  assert.equal(facts.checksum, `sha256:${sha256(published)}`);
  assert.deepEqual(published, readFileSync(second.archive.path));
});

test("ten processes publish ten years at once and lose none", async (t) => {
  const root = makeRoot(t);
  const years = Array.from({ length: 10 }, (_, i) => 2010 + i);
  for (const year of years) makeYear(root, year);
  await Promise.all(years.map((year) => run(process.execPath, [ENTRY, String(year), "--root", root, "--quiet"])));
  const path = join(root, "outputs/web/us_full_years.json");
  const manifest = readJson(path);
  assert.deepEqual(manifest.years, years);
  assert.deepEqual(Object.keys(manifest.archives), years.map(String));

  const orderly = makeRoot(t);
  for (const year of years) await runStep(makeYear(orderly, year).step, makeContext());
  const expected = readJson(join(orderly, "outputs/web/us_full_years.json"));
  // The command finds no record of the tiles step here: no counts, and the file's own time.
  for (const [year, { builtAt }] of Object.entries(manifest.archives)) {
    assert.equal(builtAt, statSync(layoutOf(resolveOptions({ root }), Number(year)).archive).mtime.toISOString());
    delete manifest.archives[year].builtAt;
  }
  for (const entry of Object.values(expected.archives)) {
    delete entry.featureCounts;
    delete entry.builtAt;
  }
  assert.deepEqual(manifest, expected);
});

test("a lock that a killed writer left is taken over", async (t) => {
  const root = makeRoot(t);
  const { step } = makeYear(root, 2020);
  const lock = join(root, "outputs/web/.us_full_years.json.lock");
  const script = `
    import { withLock } from ${JSON.stringify(new URL("../../dist/pipeline/lock.js", import.meta.url).href)};
    await withLock(${JSON.stringify(lock)}, { signal: new AbortController().signal }, async () => process.kill(process.pid, "SIGKILL"));
  `;
  // The second time the manifest is as it should be already, and nobody needs the lock.
  for (const guard of ["conditional write", "unchanged"]) {
    const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    assert.equal(killed.signal, "SIGKILL");
    assert.ok(existsSync(lock));
    const facts = await runStep(step, makeContext(), { force: true });
    assert.equal(facts.guard, guard);
    assert.deepEqual(readJson(join(root, "outputs/web/us_full_years.json")).years, [2020]);
    assert.ok(!existsSync(lock));
  }
});

test("killed again and again at any moment: nothing is half done, and the end is the same", async (t) => {
  const options = { publicUrl: "https://maps.example.org" };
  const [root, calm] = [makeRoot(t), makeRoot(t)];
  for (const place of [root, calm]) await runStep(makeYear(place, 2019, { options }).step, makeContext());
  const next = makeYear(root, 2020, { options, bytes: 3_000_000 });
  makeYear(calm, 2020, { options, bytes: 3_000_000 });
  const began = performance.now();
  await run(process.execPath, [ENTRY, "2020", "--root", calm, "--public-url", options.publicUrl]);
  const wholeMs = performance.now() - began;
  const web = join(root, "outputs/web");
  const words = [ENTRY, "2020", "--root", root, "--public-url", options.publicUrl];
  // Later and later, until it comes to its own end; the first moments are before it has begun.
  let killed = 0;
  for (let timeout = 50, done = false; !done; timeout += Math.max(10, Math.round(wholeMs / 16))) {
    const child = spawnSync(process.execPath, words, { timeout, killSignal: "SIGKILL", stdio: "ignore" });
    if (child.signal === "SIGKILL") killed++;
    else done = true;
    const { years } = readJson(join(web, "us_full_years.json"));
    assert.ok(years.includes(2019));
    const published = join(web, "fields_us_2020_full.pmtiles");
    if (years.includes(2020)) assert.deepEqual(readFileSync(published), readFileSync(next.archive.path));
  }
  assert.ok(killed > 1);
  await run(process.execPath, words);
  const [text, expected] = [root, calm].map((place) =>
    readFileSync(join(place, "outputs/web/us_full_years.json"), "utf8").replace(/"builtAt": "[^"]*"/g, ""),
  );
  assert.equal(text, expected);
  const files = [
    "fields_us_2019_full.pmtiles",
    "fields_us_2020_full.pmtiles",
    "us_2019_item.json",
    "us_2020_item.json",
    "us_collection.json",
    "us_full_years.json",
  ];
  assert.deepEqual(
    readdirSync(web)
      .filter((name) => !name.includes(".lock."))
      .sort(),
    files,
  );
});

test("a foreign manifest is never overwritten, and nothing is sent", async (t) => {
  for (const text of ["", '{"name": "other"}', '{"version": 1, "region": "eu", "years": [], "archives": {}}']) {
    const root = makeRoot(t);
    const { step, layout } = makeYear(root, 2020);
    mkdirSync(dirname(layout.manifest), { recursive: true });
    writeFileSync(layout.manifest, text);
    await assert.rejects(runStep(step, makeContext()), (error) => {
      assert.equal(error.exitCode, 10);
      assert.match(
        error.message,
        /not written by this program and is left unchanged.*year=2020.*manifest=us_full_years\.json/,
      );
      return true;
    });
    assert.equal(readFileSync(layout.manifest, "utf8"), text);
    assert.deepEqual(readdirSync(dirname(layout.manifest)), ["us_full_years.json"]);
  }
});

test("an old list of years is taken over", async (t) => {
  const root = makeRoot(t);
  const { step, layout } = makeYear(root, 2020);
  mkdirSync(dirname(layout.manifest), { recursive: true });
  writeFileSync(layout.manifest, "[2018, 2019]");
  await runStep(step, makeContext());
  assert.deepEqual(readJson(layout.manifest).years, [2018, 2019, 2020]);
});

test("the bare list of years, for viewers that want no more", async (t) => {
  const root = makeRoot(t);
  const options = { manifestFormat: "list" };
  for (const year of [2020, 2018]) await runStep(makeYear(root, year, { options }).step, makeContext());
  const { layout } = readyYear(root, 2018, { options });
  assert.equal(readFileSync(layout.manifest, "utf8"), "[2018,2020]\n");
  const again = makeContext();
  await runStep(readyYear(root, 2018, { options }).step, again);
  assert.match(again.lines.join("\n"), /valid, skipped/);

  // From the list to the full form is no loss; the way back would be one.
  await runStep(readyYear(root, 2018).step, makeContext());
  const full = readFileSync(layout.manifest, "utf8");
  assert.deepEqual(JSON.parse(full).years, [2018, 2020]);
  await assert.rejects(runStep(readyYear(root, 2018, { options }).step, makeContext()), (error) => {
    assert.equal(error.kind, "publish");
    assert.match(error.message, /a bare list would lose.*year=2018/);
    return true;
  });
  assert.equal(readFileSync(layout.manifest, "utf8"), full);
});

test("a public URL goes into the manifest, and the local copy is kept beside another folder's", async (t) => {
  const root = makeRoot(t);
  const elsewhere = join(makeRoot(t), "site");
  const options = { target: `file:${elsewhere}`, publicUrl: "https://maps.example.org/fields/" };
  const { step, layout } = makeYear(root, 2020, { options });
  await runStep(step, makeContext());
  const manifest = readFileSync(join(elsewhere, "us_full_years.json"), "utf8");
  assert.equal(JSON.parse(manifest).archives[2020].url, "https://maps.example.org/fields/fields_us_2020_full.pmtiles");
  assert.equal(readFileSync(layout.manifest, "utf8"), manifest);

  // Years of the default target are not forgotten for those of another one.
  await runStep(makeYear(root, 2012).step, makeContext());
  const ctx = makeContext();
  await runStep(makeYear(root, 2021, { options }).step, ctx);
  assert.match(ctx.lines.join("\n"), /lists years that the target does not: 2012/);
  assert.deepEqual(readJson(layout.manifest).years, [2012, 2020]);
  assert.deepEqual(readJson(join(elsewhere, "us_full_years.json")).years, [2020, 2021]);
});

test("archives that cannot be published are refused with a reason", async (t) => {
  const root = makeRoot(t);
  const { archive } = makeYear(root, 2020);
  const whole = readFileSync(archive.path);
  for (const [bytes, sentence] of [
    [whole.subarray(0, whole.length - 1), /cut short.*expected=\d+, received=\d+/],
    [whole.subarray(0, 60), /cannot be read as PMTiles/],
    [Buffer.from("not an archive, but long enough to hold a header of one".repeat(9)), /cannot be read as PMTiles/],
  ]) {
    writeFileSync(archive.path, bytes);
    await assert.rejects(runStep(readyYear(root, 2020).step, makeContext()), (error) => {
      assert.equal(error.kind, "input");
      assert.match(error.message, sentence);
      assert.match(error.message, /fields_us_2020_full\.pmtiles/);
      return true;
    });
  }
  assert.ok(!existsSync(join(root, "outputs/web/us_full_years.json")));
  rmSync(archive.path);
  const child = spawnSync(process.execPath, [ENTRY, "2020", "--root", root], { encoding: "utf8" });
  assert.equal(child.status, 4);
  assert.match(child.stderr, /Archive to publish not found.*year=2020/);
});

for (const [target, received] of [
  ["ftp://host/x", "ftp://host/x"],
  ["s3://", "s3://"],
  ["s3:///x", "s3:///x"],
  ["file:", "file:"],
]) {
  test(`refuses the target ${target}`, (t) => {
    const root = makeRoot(t);
    assert.throws(() => makeYear(root, 2020, { options: { target } }), {
      kind: "usage",
      message: `Option target must be s3://bucket/prefix or file:folder (received=${received})`,
    });
  });
}

test("refuses an endpoint with a password in it, without showing it", (t) => {
  const options = { target: "s3://maps", endpoint: "http://me:hunter2@localhost:1" };
  const root = makeRoot(t);
  assert.throws(
    () => makeYear(root, 2020, { options }),
    (error) => error.kind === "usage" && !error.message.includes("hunter2"),
  );
});

/** A file system of `kib` KiB, or undefined where mounting is not permitted. */
function smallDisk(t, kib) {
  const disk = mkdtempSync(join(tmpdir(), "small-disk-"));
  let mounted = false;
  t.after(() => {
    if (mounted) execFileSync("umount", [disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", disk], { stdio: "pipe" });
    mounted = true;
    return disk;
  } catch {
    return undefined;
  }
}

test("another file system gets a checked copy; a full one keeps what it has", async (t) => {
  const disk = smallDisk(t, 256);
  if (disk === undefined) return t.skip("mounting a small file system is not permitted here");
  const root = makeRoot(t);
  const options = { target: `file:${disk}/web` };
  const facts = await runStep(makeYear(root, 2020, { options, bytes: 100_000 }).step, makeContext());
  assert.equal(facts.transfer, "copied");
  const published = join(disk, "web/fields_us_2020_full.pmtiles");
  assert.equal(facts.checksum, `sha256:${sha256(readFileSync(published))}`);
  const manifest = readFileSync(join(disk, "web/us_full_years.json"), "utf8");

  await assert.rejects(runStep(makeYear(root, 2020, { options, bytes: 200_000, seed: 5 }).step, makeContext()), {
    kind: "space",
    exitCode: 7,
  });
  assert.equal(facts.checksum, `sha256:${sha256(readFileSync(published))}`);

  // The archive fits, its line in the manifest does not.
  writeFileSync(join(disk, "ballast"), Buffer.alloc(1));
  const fill = () => {
    for (let size = 2 ** 17; size >= 1; size /= 2) {
      try {
        for (;;) writeFileSync(join(disk, "ballast"), Buffer.alloc(size), { flag: "a" });
      } catch {}
    }
  };
  const next = makeYear(root, 2021, { options, bytes: 1_000 });
  mkdirSync(join(disk, "web"), { recursive: true });
  writeFileSync(join(disk, "web/fields_us_2021_full.pmtiles"), readFileSync(next.archive.path));
  fill();
  await assert.rejects(runStep(next.step, makeContext()), { kind: "space" });
  assert.equal(readFileSync(join(disk, "web/us_full_years.json"), "utf8"), manifest);
  assert.deepEqual(readdirSync(join(disk, "web")).sort(), [
    "fields_us_2020_full.pmtiles",
    "fields_us_2021_full.pmtiles",
    "us_2020_item.json",
    "us_collection.json",
    "us_full_years.json",
  ]);
  rmSync(join(disk, "ballast"));
  await runStep(next.step, makeContext());
  assert.deepEqual(readJson(join(disk, "web/us_full_years.json")).years, [2020, 2021]);
});

test("a target whose disk fails under the archive's link is told as that, not as a changed archive", {
  skip: noDiskFaults,
}, async (t) => {
  const root = makeRoot(t);
  makeYear(root, 2020, { bytes: 1_000 });
  const shim = buildDiskFaults(root);
  for (const [errno, code] of [
    [28, 7],
    [5, 10],
  ]) {
    const fault = { FAULT_CALL: "fsync", FAULT_PATH: "/web", FAULT_AT: "1", FAULT_ERRNO: String(errno) };
    const env = { ...process.env, LD_PRELOAD: shim, FAULT_ROOT: root, ...fault };
    const { status, stderr } = spawnSync(process.execPath, [ENTRY, "2020", "--root", root], { env, encoding: "utf8" });
    assert.equal(status, code, stderr);
    assert.doesNotMatch(stderr, /changed/);
  }
});
