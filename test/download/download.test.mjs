import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { downloadStep, releaseCdl } from "../../dist/download/step.js";
import { readRecord, writeRecord } from "../../dist/pipeline/record.js";
import { judgeStep, runStep } from "../../dist/pipeline/step.js";
import { testContext } from "../support/context.mjs";
import { startFileServer } from "../support/file-server.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { randomBytes } from "../support/random-bytes.mjs";
import { hfaBytes, tiffBytes } from "../support/raster-bytes.mjs";
import { inScratch, scratchOf } from "../support/scratch.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const YEAR = 2020;
const TIF = tiffBytes(300_000);
const TFW = Buffer.from("30\n0\n0\n-30\n0\n0\n");
const ZIP = handmadeZip([
  { name: "2020_30m_cdls.tif", data: TIF },
  { name: "2020_30m_cdls.tfw", data: TFW },
]);
const ENTRY = fileURLToPath(new URL("../../dist/download.js", import.meta.url));

/** A pipeline root with its options; `run` makes the step anew, as each process does. */
function pipeline(t, cdlSource, more = {}) {
  const options = resolveOptions({ root: tempFolder(t), retries: 1, cdlSource, ...more });
  const layout = layoutOf(options, YEAR);
  const folder = join(layout.cdl, "us_2020");
  const step = (hooks = {}) => downloadStep(YEAR, options, layout, { timing: { backoffMs: 5 }, ...hooks });
  const run = async ({ force = false, ctx = testContext(), ...hooks } = {}) => {
    const facts = await runStep(step(hooks), ctx, { force });
    return { facts, ctx, skipped: ctx.lines.some(({ message }) => message.startsWith("valid, skipped")) };
  };
  const release = (others = {}) => releaseCdl(YEAR, { ...options, ...others }, layout, testContext());
  return { options, layout, folder, step, run, release };
}

/** All but the list of what was downloaded. */
const filesIn = (folder) =>
  readdirSync(folder)
    .filter((name) => name !== ".fields-pipeline")
    .sort();
const scratchIn = (folder) => readdirSync(folder).filter((name) => name.endsWith(".scratch"));

test("from a server: raster, companions and zip in a folder of their own; a rerun asks nothing", async (t) => {
  const server = await startFileServer(t, ZIP);
  const { run, folder, layout, step } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const { facts } = await run();
  assert.deepEqual(filesIn(folder), ["2020_30m_cdls.tfw", "2020_30m_cdls.tif", "2020_30m_cdls.zip"]);
  assert.equal(facts.raster, join(folder, "2020_30m_cdls.tif"));
  assert.deepEqual(readFileSync(facts.raster), TIF);
  assert.deepEqual(readFileSync(join(folder, "2020_30m_cdls.zip")), ZIP);
  assert.deepEqual([facts.bytes, facts.zipBytes, facts.format, facts.owned], [TIF.length, ZIP.length, "GeoTIFF", true]);
  assert.equal(facts.source, `${server.origin}/2020_30m_cdls.zip`);
  assert.deepEqual(JSON.parse(readFileSync(join(layout.cdl, "us_2020.json"))), facts);
  assert.deepEqual(readRecord(step().record).facts, facts);
  assert.deepEqual(scratchIn(layout.cdl), []);
  const again = await run();
  assert.ok(again.skipped);
  assert.deepEqual(again.facts, facts);
  assert.equal(server.requests.length, 1);
});

test("an .img keeps its name and its .ige; a changed .ige is noticed", async (t) => {
  const zip = handmadeZip([
    { name: "2020_30m_cdls.img", data: hfaBytes() },
    { name: "2020_30m_cdls.ige", data: randomBytes(80_000, 3) },
  ]);
  const server = await startFileServer(t, zip);
  const { run, folder } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const { facts } = await run();
  assert.equal(facts.format, "HFA");
  const ige = readFileSync(join(folder, "2020_30m_cdls.ige"));
  ige[5_000] ^= 1;
  writeFileSync(join(folder, "2020_30m_cdls.ige"), ige);
  const again = await run();
  assert.ok(again.ctx.lines.some(({ message }) => message === "started (raster was changed since it was made)"));
  assert.equal(again.facts.digest, facts.digest);
});

test("a raster from a server, without a zip", async (t) => {
  const server = await startFileServer(t, TIF);
  const { run, folder } = pipeline(t, `${server.origin}/cdl_{year}.tif`);
  const { facts } = await run();
  assert.deepEqual(filesIn(folder), ["2020_30m_cdls.tif"]);
  assert.deepEqual(readFileSync(facts.raster), TIF);
  assert.deepEqual([facts.zipBytes, facts.owned], [null, true]);
});

test("a local zip is unpacked, not copied, and never removed", async (t) => {
  const source = tempFolder(t);
  const zip = join(source, "2020_30m_cdls.zip");
  writeFileSync(zip, ZIP);
  const { run, folder, release } = pipeline(t, source);
  const { facts } = await run();
  assert.deepEqual(filesIn(folder), ["2020_30m_cdls.tfw", "2020_30m_cdls.tif"]);
  assert.equal(facts.source, zip);
  assert.equal(facts.zipBytes, ZIP.length);
  await release();
  assert.ok(!existsSync(folder));
  assert.deepEqual(readFileSync(zip), ZIP);
});

test("a changed local source is noticed; one that vanished does not spoil what was made of it", async (t) => {
  const source = tempFolder(t);
  const zip = join(source, "2020_30m_cdls.zip");
  writeFileSync(zip, ZIP);
  const { run } = pipeline(t, source);
  const { facts } = await run();
  writeFileSync(zip, handmadeZip([{ name: "2020_30m_cdls.tif", data: tiffBytes(300_000, 5) }]));
  const changed = await run();
  assert.ok(changed.ctx.lines.some(({ message }) => message.startsWith("started (sourceDigest changed")));
  assert.notEqual(changed.facts.digest, facts.digest);
  rmSync(zip);
  assert.ok((await run()).skipped);
  rmSync(changed.facts.raster);
  await assert.rejects(run(), {
    kind: "input",
    message:
      /^No raster of this year at the source \(.*expected=2020_30m_cdls.zip, .tif or .img, or one file whose name holds 2020, received=no zip or raster/,
  });
});

test("a raster that lies there already is used in place and never touched", async (t) => {
  const source = tempFolder(t);
  const raster = join(source, "2020_30m_cdls.tif");
  writeFileSync(raster, TIF);
  writeFileSync(join(source, "2020_30m_cdls.zip"), "not even looked at");
  const { run, folder, release, layout } = pipeline(t, source);
  const { facts } = await run();
  assert.deepEqual([facts.raster, facts.owned, facts.zipBytes], [raster, false, null]);
  assert.ok(!existsSync(folder));
  await release();
  assert.deepEqual(readFileSync(raster), TIF);
  assert.ok((await run()).skipped);
  assert.deepEqual(readdirSync(layout.cdl), ["us_2020.json"]);
});

test("a raster in place that comes after a zip leaves none of the zip's files behind", async (t) => {
  const source = tempFolder(t);
  writeFileSync(join(source, "2020_30m_cdls.zip"), ZIP);
  const { run, folder } = pipeline(t, source);
  await run();
  assert.ok(existsSync(folder));
  writeFileSync(join(source, "2020_30m_cdls.tif"), TIF);
  assert.equal((await run()).facts.owned, false);
  assert.ok(!existsSync(folder));
});

test("a user's file in the raster's folder is neither replaced nor removed", async (t) => {
  const source = tempFolder(t);
  writeFileSync(join(source, "2020_30m_cdls.zip"), ZIP);
  const { run, folder, release } = pipeline(t, source);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "2020_30m_cdls.tif"), "my own");
  await assert.rejects(run(), { kind: "usage", message: /holds a file that was not downloaded.*2020_30m_cdls\.tif/ });
  assert.equal(readFileSync(join(folder, "2020_30m_cdls.tif"), "utf8"), "my own");
  rmSync(folder, { recursive: true });
  await run();
  writeFileSync(join(folder, "notes.txt"), "keep me");
  await release();
  assert.deepEqual(readdirSync(folder), ["notes.txt"]);
  writeFileSync(join(source, "2020_30m_cdls.tif"), TIF);
  assert.equal((await run()).facts.owned, false);
  assert.deepEqual(readdirSync(folder), ["notes.txt"]);
});

test("released files are made again only where they are needed", async (t) => {
  const server = await startFileServer(t, ZIP);
  const { run, folder, release, layout } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const { facts } = await run();
  await release({ keepCdl: true });
  assert.ok(existsSync(folder), "--keep-cdl");
  await release();
  await release();
  assert.deepEqual(readdirSync(layout.cdl), []);

  const asked = [];
  const unneeded = await run({ rasterNeeded: async (known) => asked.push(known.digest) === 0 });
  assert.ok(unneeded.skipped);
  assert.deepEqual(asked, [facts.digest]);
  assert.equal(server.requests.length, 1);

  const needed = await run({ rasterNeeded: async () => true });
  assert.ok(
    needed.ctx.lines.some(({ message }) => message === "started (raster was removed after use and is needed again)"),
  );
  assert.deepEqual(needed.facts, facts);
  assert.deepEqual(readFileSync(facts.raster), TIF);
  await release();
  await run();
  assert.equal(server.requests.length, 3, "whoever asks for the raster alone gets it");
});

test("a raster removed by hand is missed only where it is needed", async (t) => {
  const server = await startFileServer(t, ZIP);
  const { run, folder, step } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  await run();
  rmSync(folder, { recursive: true });
  assert.ok((await judgeStep(step({ rasterNeeded: async () => false }), false)).skip);
  assert.equal((await judgeStep(step({ rasterNeeded: async () => true }), false)).reason, "raster is gone");
});

test("a release that was killed half way is finished by the next one", async (t) => {
  const server = await startFileServer(t, ZIP);
  const { run, folder, release, step } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const { facts } = await run();
  const { record } = step();
  writeRecord(record, { ...readRecord(record), facts: { ...facts, releasedAt: "2024-01-01T00:00:00.000Z" } });
  rmSync(facts.raster);
  assert.ok((await run({ rasterNeeded: async () => false })).skipped);
  await release();
  assert.ok(!existsSync(folder));
  assert.equal(readRecord(record).facts.releasedAt, "2024-01-01T00:00:00.000Z");
});

test("two regions of one root do not share files", async (t) => {
  const server = await startFileServer(t, ZIP);
  const first = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const second = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`, { root: first.options.root, region: "ks" });
  await first.run();
  const { facts } = await second.run();
  await first.release();
  assert.deepEqual(readFileSync(facts.raster), TIF);
});

test("a broken download is thrown away, the next run fetches anew", async (t) => {
  const broken = Buffer.from(ZIP);
  broken[60_000] ^= 0xff;
  const mend = (state) => Object.assign(state, { bytes: ZIP, etag: '"v2"' });
  const server = await startFileServer(t, broken, [{}, { run: mend }]);
  const { run, layout, folder } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  await assert.rejects(run(), {
    kind: "input",
    message: /corrupt.*year=2020, .*source=http:.*entry="2020_30m_cdls.tif"|corrupt.*source=http/,
  });
  assert.ok(!existsSync(folder));
  const [scratch] = scratchIn(layout.cdl);
  assert.ok(!existsSync(join(layout.cdl, scratch, "2020_30m_cdls.zip")));
  assert.deepEqual(readFileSync((await run()).facts.raster), TIF);
  assert.equal(server.requests[1].range, undefined);
});

test("a page in the place of the zip, and a text in the place of the raster", async (t) => {
  const server = await startFileServer(t, Buffer.from("<html>maintenance</html>"));
  await assert.rejects(pipeline(t, `${server.origin}/{year}_30m_cdls.zip`).run(), {
    kind: "input",
    message: /no zip at all.*received="<html>maint/,
  });
  server.bytes = handmadeZip([{ name: "2020_30m_cdls.tif", data: "version https://git-lfs.github.com/spec/v1" }]);
  await assert.rejects(pipeline(t, `${server.origin}/{year}_30m_cdls.zip`).run(), {
    kind: "input",
    message: /Unsupported raster file .*expected=TIFF or ERDAS Imagine, received="version https/,
  });
});

test("bad local input is found before anything is done", async (t) => {
  const source = tempFolder(t);
  writeFileSync(join(source, "2020_30m_cdls.zip"), handmadeZip([{ name: "readme.txt", data: "x" }]));
  const { run, layout } = pipeline(t, source);
  await assert.rejects(run(), { kind: "input", message: /Zip holds no raster .*received=readme.txt/ });
  writeFileSync(join(source, "2020_30m_cdls.zip"), ZIP.subarray(0, 50_000));
  await assert.rejects(run(), { kind: "input", message: /truncated/ });
  writeFileSync(join(source, "2020_30m_cdls.tif"), "no raster");
  await assert.rejects(run(), { kind: "input", message: /Unsupported raster file/ });
  assert.ok(!existsSync(layout.cdl));
});

test("an old output stands when a new one cannot be made", async (t) => {
  const server = await startFileServer(t, ZIP, [{}, { status: 404 }, {}]);
  const { run, folder } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  const { facts } = await run();
  await assert.rejects(run({ force: true }), { kind: "network" });
  server.bytes = ZIP.subarray(0, 70_000);
  await assert.rejects(run({ force: true }), { kind: "input" });
  assert.deepEqual(readFileSync(facts.raster), TIF);
  assert.equal(filesIn(folder).length, 3);
  assert.ok((await run()).skipped);
});

test("--force fetches again", async (t) => {
  const server = await startFileServer(t, ZIP);
  const { run } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  await run();
  const { ctx } = await run({ force: true });
  assert.ok(ctx.lines.some(({ message }) => message === "started (forced)"));
  assert.equal(server.requests.length, 2);
});

function start(root, origin, ...more) {
  const child = spawn(process.execPath, [
    ENTRY,
    "2020",
    "--root",
    root,
    "--cdl-source",
    `${origin}/{year}_30m_cdls.zip`,
    "--json",
    ...more,
  ]);
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data) => (output.stdout += data));
  child.stderr.on("data", (data) => (output.stderr += data));
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, ...output })));
  return { child, ended };
}

const partOf = (root) => inScratch(join(root, "data", "cdl", "us_2020.json"), "2020_30m_cdls.zip.part");
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

for (const [signal, code] of [
  ["SIGKILL", null],
  ["SIGTERM", 143],
  ["SIGINT", 130],
]) {
  test(`${signal} in mid download: the next process goes on from there`, async (t) => {
    const root = tempFolder(t);
    const server = await startFileServer(t, ZIP, [{ stallAfter: 100_000 }]);
    const { child, ended } = start(root, server.origin);
    await until(() => existsSync(partOf(root)) && statSync(partOf(root)).size > 0);
    child.kill(signal);
    const end = await ended;
    assert.equal(end.code, code, end.stderr);
    const { size } = statSync(partOf(root));
    const again = await start(root, server.origin).ended;
    assert.equal(again.code, 0, again.stderr);
    assert.equal(server.requests[1].range, `bytes=${size}-`);
    assert.equal(server.requests[1].sent, ZIP.length - size);
    const { raster } = JSON.parse(again.stdout)[YEAR];
    assert.deepEqual(readFileSync(raster), TIF);
    assert.deepEqual(readdirSync(join(root, "data", "cdl")).sort(), ["us_2020", "us_2020.json"]);
  });
}

test("kill -9 at any moment, again and again: nothing half made is ever seen, and the end is the same", async (t) => {
  const root = tempFolder(t);
  const tif = tiffBytes(8_000_000, 12);
  const server = await startFileServer(t, handmadeZip([{ name: "2020_30m_cdls.tif", data: tif }]), [
    { cut: 3_000_000 },
  ]);
  const raster = join(root, "data", "cdl", "us_2020", "2020_30m_cdls.tif");
  const delays = randomBytes(40, 13);
  let kills = 0;
  for (let i = 0; ; i++) {
    const { child, ended } = start(root, server.origin);
    // Up to half a second; later rounds get longer, so that one comes through on any machine.
    const timer = setTimeout(() => child.kill("SIGKILL"), 60 + (delays[i % 40] * 500 * (1 + i / 10)) / 256);
    const { code, signal, stderr } = await ended;
    clearTimeout(timer);
    if (existsSync(raster)) assert.ok(readFileSync(raster).equals(tif));
    if (signal === "SIGKILL") kills++;
    else assert.equal(code, 0, stderr);
    if (signal === null && kills >= 5) break;
    if (signal === null) rmSync(join(root, "outputs"), { recursive: true });
  }
  assert.ok(readFileSync(raster).equals(tif));
  assert.deepEqual(readdirSync(join(root, "data", "cdl")).sort(), ["us_2020", "us_2020.json"]);
});

test("two processes on one year: the second one says who is at it", async (t) => {
  const root = tempFolder(t);
  const server = await startFileServer(t, ZIP, [{ stallAfter: 1_000 }]);
  const { child, ended } = start(root, server.origin);
  await until(() => server.requests.length === 1);
  const second = await start(root, server.origin).ended;
  assert.equal(second.code, 6, second.stderr);
  assert.equal(JSON.parse(second.stdout).pid, child.pid);
  child.kill("SIGTERM");
  await ended;
});

test("the entry's errors: exit codes and JSON", async (t) => {
  const root = tempFolder(t);
  const server = await startFileServer(t, ZIP, [{ status: 404 }]);
  const refused = await start(root, server.origin).ended;
  assert.equal(refused.code, 9);
  const { error, kind, received, year } = JSON.parse(refused.stdout);
  assert.deepEqual(
    [error, kind, received, year],
    ["Download refused by the server", "network", "HTTP 404 Not Found", 2020],
  );
  assert.equal((await start(root, server.origin, "not-a-year").ended).code, 2);
});

test("a full disk: space, with the part kept; a bigger disk and it goes on", async (t) => {
  const big = handmadeZip([{ name: "2020_30m_cdls.tif", data: tiffBytes(1_500_000, 14) }]);
  const small = handmadeZip([
    { name: "2020_30m_cdls.tif", data: Buffer.concat([TIF.subarray(0, 4), Buffer.alloc(5_000_000)]) },
  ]);
  const server = await startFileServer(t, big, [{}, { chunked: true }]);
  const root = tinyDisk(t, "1m");
  if (root === undefined) return t.skip("no right to mount a small file system");
  const { run, layout } = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`, { root });
  await assert.rejects(run(), {
    kind: "space",
    exitCode: 7,
    message: /Not enough space for the download .*neededMiB=2, freeMiB=/,
  });
  await assert.rejects(run(), { kind: "space", message: /No space left on device .*\.part/ });
  const { size } = statSync(partOf(root));
  assert.ok(size > 500_000 && size < 2 ** 20, `${size} bytes kept`);
  assert.ok(!existsSync(join(layout.cdl, "us_2020.json")));

  const elsewhere = pipeline(t, `${server.origin}/{year}_30m_cdls.zip`);
  mkdirSync(elsewhere.layout.cdl, { recursive: true });
  execFileSync("cp", ["-a", ...scratchOf(join(layout.cdl, "us_2020.json")), elsewhere.layout.cdl]);
  assert.deepEqual(readFileSync((await elsewhere.run()).facts.raster), tiffBytes(1_500_000, 14));
  assert.equal(server.requests.at(-1).range, `bytes=${size}-`);

  for (const path of scratchOf(join(layout.cdl, "us_2020.json"))) rmSync(path, { recursive: true });
  Object.assign(server, { bytes: small, etag: '"small"' });
  await assert.rejects(run(), { kind: "space", message: /Not enough space for the raster .*neededMiB=5/ });
});

test("a source moved elsewhere with the same files: unpacked again, the same digest", async (t) => {
  const [here, there] = [tempFolder(t), tempFolder(t)];
  writeFileSync(join(here, "2020_30m_cdls.zip"), ZIP);
  const first = pipeline(t, here);
  const { facts } = await first.run();
  renameSync(join(here, "2020_30m_cdls.zip"), join(there, "2020_30m_cdls.zip"));
  const second = pipeline(t, there, { root: first.options.root });
  const moved = await second.run();
  assert.ok(moved.ctx.lines.some(({ message }) => message.startsWith("started (source changed")));
  assert.equal(moved.facts.digest, facts.digest);
});
