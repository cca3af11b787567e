// The benchmark suite works: its quick lane end to end, and what its figures rest on. No time is asserted.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadImage } from "@napi-rs/canvas";
import { command } from "../support/command.mjs";
import { rasterioMissing } from "../support/rasterio.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const BENCH = new URL("../../dist-bench/", import.meta.url);
const bench = (name) => import(new URL(`${name}.js`, BENCH));
const never = new AbortController().signal;

before(() => {
  const run = spawnSync(process.execPath, [join(PROJECT, "node_modules/typescript/bin/tsc"), "-p", "bench"], {
    cwd: PROJECT,
    encoding: "utf8",
  });
  assert.equal(run.status, 0, run.stdout);
});

function quickRun(folder, ...args) {
  return spawnSync(
    process.execPath,
    [fileURLToPath(new URL("bench.js", BENCH)), "--quick", "--data", folder, "--out", join(folder, "out"), ...args],
    { encoding: "utf8", maxBuffer: 2 ** 26 },
  );
}

test("the quick lane checks, times and writes its results; wrong answers are seen", { timeout: 600_000 }, async (t) => {
  const folder = tempFolder(t);
  const run = quickRun(folder, "--machine", "test", "--threads", "1,2", "--model", "betzy");
  assert.equal(run.status, 0, run.stderr);
  const files = readdirSync(join(folder, "out")).sort();
  const stem = files[0].replace(/-peers\.png$/, "");
  assert.match(stem, /^test-\d{4}-\d\d-\d\d$/);
  assert.deepEqual(files, [`${stem}-peers.png`, `${stem}-scaling.png`, `${stem}.json`, `${stem}.md`]);

  const results = JSON.parse(readFileSync(join(folder, "out", `${stem}.json`), "utf8"));
  const missing = rasterioMissing();
  const keys = results.outcomes.map(({ key }) => key);
  for (const stage of ["start tiled", "scan tiled", "scan strips", "scan large", "build tiled", "direct tiled"]) {
    for (const threads of [1, 2]) assert.ok(keys.includes(`${stage} ${threads}`), `${stage} ${threads} of ${keys}`);
  }
  assert.equal(keys.includes("rasterio.mask per field"), !missing);
  assert.equal(results.checks.length, 2 + results.peers.length);
  for (const { key, runs } of results.outcomes) {
    assert.equal(runs.length, 1, key);
    for (const { process, work } of runs) {
      assert.ok(process.cpuS > 0 && process.wallS > 0 && process.peakRssMiB > 20, key);
      assert.ok(work.cpuS <= process.cpuS + 0.05, `${key}: ${work.cpuS} of ${process.cpuS} s`);
    }
  }
  const phases = Object.fromEntries(results.outcomes.map(({ key, runs }) => [key, runs[0].phases.map((p) => p.name)]));
  assert.deepEqual(phases["direct tiled 2"], ["fields burned", "pixels counted", "rows written"]);
  assert.deepEqual(results.memory.map(({ stage, threads }) => `${stage} ${threads}`).sort(), [
    "direct 1",
    "direct 2",
    "scan 1",
    "scan 2",
  ]);

  const page = readFileSync(join(folder, "out", `${stem}.md`), "utf8");
  for (const part of ["A quick run", "## Goals", "## Times", "## Threads", "## Betzy, predicted", "1 GB/s"]) {
    assert.ok(page.includes(part), part);
  }
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  for (const name of files.slice(0, 2)) {
    const image = await loadImage(join(folder, "out", name));
    assert.deepEqual([image.width, image.height], [900, 520]);
  }
  assert.ok(!existsSync(join(folder, "scratch")), "scratch is left behind");

  const from = quickRun(folder, "--model", "betzy", "--from", join(folder, "out", `${stem}.json`), "--core-speed", "1");
  assert.equal(from.status, 0, from.stderr);
  assert.match(from.stdout, /4 nodes, 15 years/);

  if (missing) return t.diagnostic(missing);
  // A table of another rule: code 1 is background, too.
  const { openWorld } = await bench("world");
  const { openRasterio } = await bench("peers");
  const world = await openWorld(folder, 3000, "tiled", { signal: never });
  const table = join(folder, "other.parquet");
  const paths = ["--fields", world.fieldsPath, "--raster", world.rasterPath, "--out", table];
  assert.equal((await command("zonal", [...paths, "--nodata", "0,1"])).code, 0);
  const [peer] = await openRasterio("/usr/bin/python3", world, 100, folder);
  await assert.rejects(peer.run(table, never), (error) => {
    assert.equal(error.kind, "failed");
    assert.match(error.message, /differs from rasterio's \(row=\d+, expected=\{.*\}, received=\{.*\}\)/);
    return true;
  });
});

test("a process is measured with all that it started", async () => {
  const { measure } = await bench("measured");
  const busy =
    "while (process.cpuUsage().user < 4e5); Buffer.alloc(150 * 2 ** 20, 1); setTimeout(() => console.log('done'), 200)";
  const { usage, stdout } = await measure(["/bin/sh", "-c", '"$0" -e "$1"; true', process.execPath, busy], never);
  assert.equal(stdout, "done\n");
  assert.ok(usage.cpuS >= 0.4, `${usage.cpuS} s of the grandchild's`);
  const { usage: own } = await measure([process.execPath, "-e", busy], never);
  assert.ok(own.peakRssMiB > 150 && own.peakRssMiB < 1000, `${own.peakRssMiB} MiB`);

  await assert.rejects(
    measure([process.execPath, "-e", "console.error('no luck'); process.exit(3)"], never),
    (error) => {
      assert.equal(error.kind, "failed");
      assert.equal(error.where.code, 3);
      assert.match(error.where.said, /no luck/);
      return true;
    },
  );
});

test("a measured process ends when the suite is ended", async (t) => {
  const { measure } = await bench("measured");
  const folder = tempFolder(t);
  const pidFile = join(folder, "pid");
  const controller = new AbortController();
  const forever = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1e6)`;
  const ended = measure([process.execPath, "-e", forever], controller.signal);
  while (!existsSync(pidFile) || readFileSync(pidFile, "utf8") === "") await new Promise((r) => setTimeout(r, 20));
  controller.abort(new Error("enough"));
  await assert.rejects(ended, /enough/);
  const pid = Number(readFileSync(pidFile, "utf8"));
  const alive = () => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  for (let i = 0; i < 1500 && alive(); i++) await new Promise((r) => setTimeout(r, 20));
  assert.ok(!alive(), `process ${pid} lives on`);
});

test("statistics: spread, ratios within rounds, Amdahl's law", async () => {
  const { fitAmdahl, ratios, spread } = await bench("statistics");
  assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spread([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  // The second round was slow for both.
  assert.deepEqual(ratios([2, 20, 3], [1, 10, 1]), { median: 2, min: 2, max: 3 });
  const law = fitAmdahl(new Map([1, 2, 4, 8].map((n) => [n, 2 + 8 / n])));
  assert.ok(Math.abs(law.serialS - 2) < 1e-9 && Math.abs(law.parallelS - 8) < 1e-9);
  assert.ok(Math.abs(law.serialShare - 0.2) < 1e-9);
  assert.equal(fitAmdahl(new Map([[1, 5]])), undefined);
  // Slower with more threads: nothing is parallel; faster than linear: nothing is serial.
  assert.equal(
    fitAmdahl(
      new Map([
        [1, 1],
        [2, 2],
      ]),
    ).serialShare,
    1,
  );
  assert.equal(
    fitAmdahl(
      new Map([
        [1, 4],
        [2, 1],
      ]),
    ).serialShare,
    0,
  );
});

test("options: mistakes are named", async (t) => {
  const folder = tempFolder(t);
  for (const [args, message] of [
    [["--threads", "1,x"], /Option threads is wrong \(expected=a whole number from 1, received=x\)/],
    [["--model", "saga"], /Option model is wrong \(expected=betzy, received=saga\)/],
    [["--from", "x.json"], /--from goes with --model/],
    [["--core-speed", "0", "--model", "betzy"], /Option core-speed is wrong/],
    [["--exactextract", join(dirname(folder), "none")], /exactextract cannot be run/],
  ]) {
    const run = quickRun(folder, "--fields", "50", "--subset", "5", "--threads", "1", ...args);
    assert.notEqual(run.status, 0, args.join(" "));
    assert.match(run.stderr, message);
  }
});

test("the tiles' quick lane times precompressing, a year and tippecanoe and writes its results", {
  skip: noTippecanoe,
  timeout: 600_000,
}, (t) => {
  const folder = tempFolder(t);
  const program = fileURLToPath(new URL("tiles.js", BENCH));
  const args = ["--quick", "--fields", "400", "--data", folder, "--out", join(folder, "out"), "--machine", "test"];
  const run = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", maxBuffer: 2 ** 26 });
  assert.equal(run.status, 0, run.stderr);
  const [json, page] = readdirSync(join(folder, "out"))
    .sort()
    .map((name) => readFileSync(join(folder, "out", name), "utf8"));
  const { years, make, tippecanoeCpuS, bytes, fields } = JSON.parse(json);
  assert.equal(fields, 400);
  assert.ok(tippecanoeCpuS > 0 && bytes.filled > 0 && bytes.filled < 1.05 * bytes.rewrittenGzip6);
  for (const { precompress, gzip6, precompressedBytes, gzip6Bytes } of make) {
    assert.ok(precompress.cpuS > 0 && gzip6.cpuS > 0 && precompressedBytes > gzip6Bytes);
  }
  for (const { write, kernel, rewritten } of years.flatMap(({ runs }) => runs)) {
    const [, , compress, fill] = kernel;
    assert.ok(write.cpuS > 0 && fill > 0);
    assert.equal(compress > 0, rewritten > 0);
  }
  assert.ok(page.includes("tippecanoe's CPU by a year's"));
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
});

test("the history's lane checks its counts and times them", (t) => {
  const folder = tempFolder(t);
  const lane = fileURLToPath(new URL("history.js", BENCH));
  const run = spawnSync(
    process.execPath,
    [lane, "--fields", "4000", "--years", "2018-2021", "--data", folder, "--json", "--quiet"],
    { encoding: "utf8" },
  );
  assert.equal(run.status, 0, run.stderr);
  const { fields, years, cpuS, historyBytes, lookup } = JSON.parse(run.stdout);
  assert.deepEqual([fields, years], [4000, 4]);
  assert.ok(cpuS > 0 && historyBytes > 4000 && lookup.coldMs > 0 && lookup.warmMs > 0);
});
