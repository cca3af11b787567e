import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Archive } from "../../dist/archive/reader.js";
import { rewriteMetadata } from "../../dist/archive/rewrite.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { sweepPrivate } from "../../dist/pipeline/private-folder.js";
import { runTippecanoe } from "../../dist/tiles/tippecanoe.js";
import { failureOf } from "../../dist/tiles/tippecanoe-errors.js";
import { planTippecanoe } from "../../dist/tiles/tippecanoe-plan.js";
import { testContext } from "../support/context.mjs";
import { cropOf, fieldChunks, fieldStream } from "../support/geojson-fields.mjs";
import { processesIn, tippecanoeIn } from "../support/processes.mjs";
import { tempDirIn, tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";
import { decodeZoom, noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

const PLAN = planTippecanoe({ onlineCpus: 2, maxThreadsWanted: 2, softNofile: 4096, hardNofile: 4096 });
const PRODUCER = fileURLToPath(new URL("../support/producer.mjs", import.meta.url));

function job(folder, change = {}) {
  const ctx = testContext();
  return {
    features: fieldStream(300),
    output: join(folder, "a.pmtiles"),
    tempDir: tempDirIn(folder),
    minZoom: 4,
    maxZoom: 14,
    program: "tippecanoe",
    plan: PLAN,
    signal: ctx.signal,
    log: ctx.log,
    lines: ctx.lines,
    ...change,
  };
}

/** A stand-in for the program: a shell script, for endings that the real one cannot be driven to. */
function script(folder, text) {
  const path = join(folder, "stand-in");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const nothingLeft = (run) => {
  assert.equal(existsSync(run.tempDir), false, "temporary folder is gone");
  for (const suffix of ["", ".tmp", "-journal"])
    assert.equal(existsSync(run.output + suffix), false, `output${suffix}`);
  assert.deepEqual(processesIn(run.tempDir), []);
};

test("fields become a sound archive: both layers, every field at z14 with its crop, all zooms", {
  skip: noTippecanoe,
}, async (t) => {
  const run = job(tempFolder(t));
  const progress = [];
  const { inputBytes } = await runTippecanoe({ ...run, onProgress: (percent) => progress.push(percent) });
  assert.equal(inputBytes, Buffer.concat([...fieldChunks(300)]).length);
  const layers = decodeZoom(run.output, 14);
  assert.deepEqual(Object.keys(layers).sort(), ["centroids", "fields"]);
  for (const features of Object.values(layers)) {
    assert.equal(features.size, 300);
    for (const [id, properties] of features) {
      assert.equal(properties.field_id, id);
      assert.equal(properties.crop_code, cropOf(id));
    }
  }
  // So few fields are all there at the lowest zoom too, as polygons or as what is left of them.
  assert.equal(decodeZoom(run.output, 4).centroids.size, 300);
  const values = Int16Array.from({ length: 300 }, (_, id) => cropOf(id));
  const audit = {
    rows: 300,
    layers: [
      { name: "fields", geometryType: 3 },
      { name: "centroids", geometryType: 1 },
    ],
    attribute: { key: "crop_code", values },
  };
  await verifyArchive(run.output, { minZoom: 4, maxZoom: 14, layers: ["fields", "centroids"], audit });
  assert.equal(existsSync(run.tempDir), false);
  assert.ok(progress.every((percent) => percent >= 0 && percent <= 100));
});

test("the same fields give the same archive, whatever the threads, the folder and the cut into chunks", {
  skip: noTippecanoe,
}, async (t) => {
  const made = [];
  for (const [threads, perChunk] of [
    [1, 100],
    [2, 1999],
    [2, 100],
  ]) {
    const folder = tempFolder(t);
    const plan = planTippecanoe({ onlineCpus: 2, maxThreadsWanted: threads, softNofile: 4096, hardNofile: 4096 });
    const run = job(folder, { features: fieldStream(1500, { perChunk }), plan });
    await runTippecanoe(run);
    const target = join(folder, "final.pmtiles");
    await rewriteMetadata(run.output, target, ({ vector_layers, tilestats }) => ({
      name: "fields",
      vector_layers,
      tilestats,
    }));
    made.push(readFileSync(target));
  }
  assert.ok(made[0].equals(made[1]), "1 thread and 2");
  assert.ok(made[1].equals(made[2]), "twice the same");
});

test("a producer that fails part of the way fails the run, though tippecanoe would call it success", {
  skip: noTippecanoe,
}, async (t) => {
  const run = job(tempFolder(t));
  const broken = new Error("field 200 cannot be read");
  async function* features() {
    yield* fieldChunks(200);
    await sleep(300);
    throw broken;
  }
  await assert.rejects(runTippecanoe({ ...run, features: features() }), {
    kind: "tool",
    cause: broken,
    message: /field 200/,
  });
  nothingLeft(run);
  // What would have been: the same bytes and the end of the input.
  const input = Buffer.concat([...fieldChunks(200)]);
  assert.equal(tippecanoe(["-q", "-P", "-z6", "-o", run.output], { input }).status, 0);
});

test("tippecanoe killed part of the way: the error names the signal, nothing is left", {
  skip: noTippecanoe,
}, async (t) => {
  const run = job(tempFolder(t));
  let cleaned = false;
  async function* features() {
    try {
      yield* fieldChunks(2000);
      process.kill(await tippecanoeIn(run.tempDir), "SIGKILL");
      yield* fieldChunks(1_000_000);
    } finally {
      cleaned = true;
    }
  }
  await assert.rejects(runTippecanoe({ ...run, features: features() }), { kind: "tool", message: /killed by SIGKILL/ });
  nothingLeft(run);
  assert.equal(cleaned, true);
});

test("the end of tippecanoe is seen though the producer hangs", { skip: noTippecanoe }, async (t) => {
  const run = job(tempFolder(t), { graceMs: 300 });
  async function* features() {
    yield* fieldChunks(2000);
    process.kill(await tippecanoeIn(run.tempDir), "SIGKILL");
    await new Promise(() => {});
  }
  await assert.rejects(runTippecanoe({ ...run, features: features() }), { kind: "tool", message: /killed by SIGKILL/ });
  nothingLeft(run);
});

test("abort ends tippecanoe, also a stopped one, and leaves nothing", { skip: noTippecanoe }, async (t) => {
  const run = job(tempFolder(t), { graceMs: 300 });
  const controller = new AbortController();
  const reason = new Error("told to end");
  async function* features() {
    yield* fieldChunks(2000);
    process.kill(await tippecanoeIn(run.tempDir), "SIGSTOP");
    controller.abort(reason);
    yield* fieldChunks(1_000_000);
  }
  await assert.rejects(runTippecanoe({ ...run, features: features(), signal: controller.signal }), reason);
  nothingLeft(run);
  await assert.rejects(runTippecanoe({ ...run, signal: AbortSignal.abort(reason) }), reason);
});

test("memory stays flat while tippecanoe does not read, and the run ends well when it goes on", {
  skip: noTippecanoe,
}, async (t) => {
  const folder = tempFolder(t);
  const { child, events } = produce(t, folder, "endless");
  const pid = await tippecanoeIn(tempDirIn(folder));
  await waitFor(() => (events.at(-1)?.bytes ?? 0) > 3e6, events);
  process.kill(pid, "SIGSTOP");
  const before = events.at(-1);
  await sleep(3000);
  const after = events.at(-1);
  // Pipe and buffers take some more; without backpressure it would be all that three seconds give.
  assert.ok(after.bytes < before.bytes + 4e6, `${before.bytes} -> ${after.bytes}: what is not read is not produced`);
  assert.ok(after.rss < before.rss + 16 * 2 ** 20, `${before.rss} -> ${after.rss}`);
  process.kill(pid, "SIGCONT");
  await waitFor(() => events.at(-1).bytes > after.bytes + 1e6, events);
  child.kill("SIGTERM");
  await waitFor(() => events.some(({ error }) => error !== undefined), events);
  assert.match(events.find(({ error }) => error !== undefined).error, /told to end/);
  assert.deepEqual(readdirSync(folder), []);
});

test("no orphan tiles on when this process is killed", { skip: noTippecanoe }, async (t) => {
  const folder = tempFolder(t);
  const { child, events } = produce(t, folder, "endless");
  const pid = await tippecanoeIn(tempDirIn(folder));
  await waitFor(() => (events.at(-1)?.bytes ?? 0) > 1e6, events);
  child.kill("SIGKILL");
  await waitFor(() => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8")));
  assert.throws(() => new Archive(join(folder, "a.pmtiles")), { kind: "input" }, "no archive of half the fields");
  // The next run finds the folder that was left, and clears it.
  rmSync(join(folder, "a.pmtiles"));
  assert.deepEqual(sweepPrivate([folder]), [tempDirIn(folder)]);
  const run = job(folder);
  await runTippecanoe(run);
  assert.equal(existsSync(run.tempDir), false);
  await verifyArchive(run.output);
});

test("SIGTERM at any time leaves nothing in /dev/shm, and nobody at work", {
  skip: noTippecanoe || (existsSync("/dev/shm") ? false : "no /dev/shm here"),
}, async (t) => {
  const folder = tempFolder(t);
  const temp = mkdtempSync("/dev/shm/fields-test-");
  t.after(() => rmSync(temp, { recursive: true, force: true }));
  const ends = new Set();
  // From the first moment to long after the last feature was written.
  for (const afterMs of [30, 150, 400, 900, 1800, 3500]) {
    const args = [PRODUCER, join(folder, "a.pmtiles"), join(temp, "tippecanoe"), "6000"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
    });
    // On a quick machine it may be done before the signal.
    const closed = new Promise((resolve) => child.once("close", resolve));
    await sleep(afterMs);
    child.kill("SIGTERM");
    await closed;
    ends.add(said.includes('"error"') ? "ended" : said.includes('"done"') ? "done" : "not begun");
    assert.deepEqual(readdirSync(temp), [], `after ${afterMs} ms`);
    assert.deepEqual(processesIn(temp), []);
    if (!said.includes('"done"')) assert.deepEqual(readdirSync(folder), []);
    rmSync(join(folder, "a.pmtiles"), { force: true });
  }
  assert.ok(ends.has("ended"), [...ends].join());
});

test("a full temporary folder is an error of kind space", { skip: noTippecanoe }, async (t) => {
  const disk = tinyDisk(t, "2m");
  if (disk === undefined) return t.skip("mount is not permitted here");
  const run = job(tempFolder(t), { features: fieldStream(20_000), tempDir: tempDirIn(disk) });
  await assert.rejects(runTippecanoe(run), { kind: "space" });
  nothingLeft(run);
});

test("a full disk under the output is an error of kind space", { skip: noTippecanoe }, async (t) => {
  // The second one is full only when the last copy is written, which tippecanoe does not notice.
  for (const size of ["400k", "2m"]) {
    const disk = tinyDisk(t, size);
    if (disk === undefined) return t.skip("mount is not permitted here");
    const run = job(tempFolder(t), { features: fieldStream(3000), output: join(disk, "a.pmtiles") });
    await assert.rejects(runTippecanoe(run), { kind: "space" }, size);
    nothingLeft(run);
  }
});

test("timers and signals get their turn after every chunk, though the pipe takes it at once", async (t) => {
  let turn = 0;
  let immediate = setImmediate(function count() {
    turn++;
    immediate = setImmediate(count);
  });
  t.after(() => clearImmediate(immediate));
  const folder = tempFolder(t);
  const seen = [];
  async function* features() {
    for (let i = 0; i < 100; i++) {
      yield Buffer.alloc(100, "x");
      seen.push(turn);
    }
  }
  // It says success and leaves no archive, which is not the point here.
  const run = job(folder, { program: script(folder, "cat > /dev/null"), features: features() });
  await assert.rejects(runTippecanoe(run), { kind: "tool", message: /no sound archive/ });
  assert.equal(new Set(seen).size, 100);
  nothingLeft(run);
});

test("no features: tippecanoe's own reason", { skip: noTippecanoe }, async (t) => {
  const run = job(tempFolder(t), { features: fieldStream(0) });
  await assert.rejects(runTippecanoe(run), (error) => {
    assert.equal(error.kind, "tool");
    assert.match(error.sentence, /no data/);
    assert.equal(error.where.exitCode, 110);
    return true;
  });
  nothingLeft(run);
});

test("a program that is not there, and one that does not read its input", async (t) => {
  const folder = tempFolder(t);
  const missing = job(folder, { program: join(folder, "missing") });
  await assert.rejects(runTippecanoe(missing), { kind: "tool", message: /cannot be started.*install-tippecanoe/ });
  nothingLeft(missing);
  const run = job(folder, {
    program: script(folder, "echo 'shards are odd today' >&2; exit 106"),
    features: fieldStream(20_000),
  });
  await assert.rejects(runTippecanoe(run), (error) => {
    assert.match(error.sentence, /internal error/);
    assert.equal(error.where.exitCode, 106);
    assert.match(error.where.stderr, /shards are odd today/);
    return true;
  });
  nothingLeft(run);
});

test("a program that ends early with exit code 0 has not read all features", async (t) => {
  const folder = tempFolder(t);
  const run = job(folder, {
    program: script(folder, "head -c 100000 > /dev/null; exit 0"),
    features: fieldStream(20_000),
  });
  await assert.rejects(runTippecanoe(run), { kind: "tool", message: /before it had read all features/ });
});

test("progress goes to its listener, everything else to the log, its last 50 lines into the error", async (t) => {
  const folder = tempFolder(t);
  const talk = `cat > /dev/null; i=0; while [ $i -lt 80 ]; do echo "line $i" >&2; i=$((i+1)); done
printf '{"progress":12.5}\\n{"progress":99.0}\\r\\nlast word' >&2; exit 101`;
  const progress = [];
  const run = job(folder, { program: script(folder, talk), onProgress: (percent) => progress.push(percent) });
  await assert.rejects(runTippecanoe(run), (error) => {
    assert.match(error.where.stderr, /line 79 \| last word$/);
    assert.match(error.where.stderr, /^line 30 /);
    return true;
  });
  assert.deepEqual(progress, [12.5, 99]);
  assert.equal(run.lines.filter(({ line }) => /^line \d+$/.test(line ?? "")).length, 80);
});

test("an output that exists is refused and left alone", async (t) => {
  const folder = tempFolder(t);
  const run = job(folder);
  writeFileSync(run.output, "precious");
  await assert.rejects(runTippecanoe(run), { kind: "usage", message: /there already/ });
  assert.equal(readFileSync(run.output, "utf8"), "precious");
});

test("every ending has a name: the real program's exit codes", { skip: noTippecanoe }, (t) => {
  const folder = tempFolder(t);
  const input = Buffer.concat([...fieldChunks(3000)]);
  writeFileSync(join(folder, "here.pmtiles"), "precious");
  const odd = { nofile: 4096, env: { TIPPECANOE_MAX_THREADS: "256" } };
  const endings = [
    [["-z14", "-Z0", "-M", 3000, "-o", join(folder, "stops.pmtiles")], /incomplete.*lower zoom/, 100],
    [["-z4", "-Z4", "-M", 2000, "-r1", "-o", join(folder, "big.pmtiles")], /no zoom could be made/, 110],
    [["-z4", "-o", join(folder, "empty.pmtiles")], /no feature was read/, 110, { input: "" }],
    [["-z4", "-o", join(folder, "here.pmtiles")], /exists already/, 104],
    [["-z4", "-P", "-o", join(folder, "odd.pmtiles")], /shards that are not a power of two/, 106, odd],
    [["--no-such-option"], /arguments/],
    [["-z4", "-o", join(folder, "none.pmtiles"), join(folder, "nothing.json")], /no feature was read/],
    [["-z4", "-t", join(folder, "nowhere"), "-o", join(folder, "t.pmtiles")], /opened/, 111],
    [["-z4", "-o", join(folder, "nowhere", "t.pmtiles")], /opened|SQLite/],
  ];
  for (const [args, name, code, more = {}] of endings) {
    const ended = tippecanoe(["-q", ...args], Object.assign({ input }, more));
    assert.notEqual(ended.status, 0, args.join(" "));
    if (code !== undefined) assert.equal(ended.status, code, args.join(" "));
    const error = failureOf({ exitCode: ended.status }, ended.stderr, true, {});
    assert.equal(error.kind, "tool");
    assert.match(error.sentence, name, `${ended.status}: ${ended.stderr}`);
    assert.doesNotMatch(error.sentence, /unknown code/);
  }
  const error = failureOf({ signal: "SIGKILL" }, "", false, {});
  assert.match(error.message, /killed by SIGKILL.*want of memory/);
  assert.equal(failureOf({ exitCode: 120 }, "write: No space left on device", true, {}).kind, "space");
  assert.match(failureOf({ exitCode: 99 }, "", true, {}).sentence, /unknown code/);
});

/** The producer as a process; its events as they come. */
function produce(t, folder, count) {
  const args = [PRODUCER, join(folder, "a.pmtiles"), tempDirIn(folder), count];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const events = [];
  createInterface({ input: child.stdout }).on("line", (line) => events.push(JSON.parse(line)));
  return { child, events };
}

async function waitFor(condition, events = []) {
  for (let tries = 0; tries < 400; tries++) {
    if (condition()) return;
    await sleep(50);
  }
  assert.fail(`waited 20 s for ${condition}; last came ${JSON.stringify(events.slice(-3))}`);
}
