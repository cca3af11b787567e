// The real tippecanoe, made to stand still in every way that can be had here.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { verifyArchive } from "../../dist/archive/verify.js";
import { describeThreads, measureOpenFiles, viewProcess } from "../../dist/system/process-view.js";
import { runTippecanoe } from "../../dist/tiles/tippecanoe.js";
import { planTippecanoe } from "../../dist/tiles/tippecanoe-plan.js";
import { testContext } from "../support/context.mjs";
import { fieldChunks, fieldStream } from "../support/geojson-fields.mjs";
import { processesIn, tippecanoeIn } from "../support/processes.mjs";
import { tempDirIn, tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const PLAN = planTippecanoe({ onlineCpus: 2, maxThreadsWanted: 2, softNofile: 4096, hardNofile: 4096 });
const STALL_MS = 1500;

function job(folder, change = {}) {
  const ctx = testContext();
  return {
    features: fieldStream(300),
    output: join(folder, "a.pmtiles"),
    tempDir: tempDirIn(folder),
    minZoom: 4,
    maxZoom: 10,
    program: "tippecanoe",
    plan: PLAN,
    signal: ctx.signal,
    log: ctx.log,
    lines: ctx.lines,
    graceMs: 300,
    stallMs: STALL_MS,
    ...change,
  };
}

/** Stalled, said why before it was ended, and left nothing. */
async function assertStalls(run, check) {
  await assert.rejects(runTippecanoe(run), (error) => {
    assert.equal(error.kind, "tool", error.stack);
    assert.equal(error.sentence, "tippecanoe has stalled");
    assert.ok(error.where.stillSeconds >= 1, error.message);
    check(error.where, error);
    return true;
  });
  const warning = run.lines.find(({ level }) => level === "warn");
  assert.equal(warning?.message, "tippecanoe does not move");
  assert.equal(warning.waiting !== undefined && warning.threads !== undefined, true);
  assert.equal(existsSync(run.tempDir), false);
  assert.equal(existsSync(run.output), false);
  assert.deepEqual(processesIn(run.tempDir), []);
}

test("a stopped tippecanoe is found out, named and ended; a second run is whole", { skip: noTippecanoe }, async (t) => {
  const folder = tempFolder(t);
  async function* features() {
    yield* fieldChunks(2000);
    process.kill(await tippecanoeIn(run.tempDir), "SIGSTOP");
    yield* fieldChunks(1_000_000);
  }
  const run = job(folder, { features: features() });
  await assertStalls(run, (where) => {
    assert.match(where.threads, /\bT\b/);
    assert.match(where.hint, /stopped by a signal/);
    assert.match(where.waiting, /features wait for it/);
    assert.equal(where.tempDir, run.tempDir);
    assert.ok(where.fileSystem.length > 2 && where.fileSystem !== "unknown");
    assert.ok(where.tempFiles > 0 && where.openFiles >= where.tempFiles);
  });
  const again = job(folder);
  await runTippecanoe(again);
  await verifyArchive(again.output);
});

test("tippecanoe that waits for a FIFO which nobody writes to: where it blocks is named", {
  skip: noTippecanoe,
}, async (t) => {
  const folder = tempFolder(t);
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  // With a file to read it leaves its standard input alone.
  const program = join(folder, "reads-a-fifo");
  writeFileSync(program, `#!/bin/sh\nexec tippecanoe "$@" ${fifo}\n`);
  chmodSync(program, 0o755);
  // Both ends are open, so that it waits inside a read and not before the file is open.
  const end = openSync(fifo, "r+");
  t.after(() => closeSync(end));
  const run = job(folder, { program, features: fieldStream(20_000) });
  await assertStalls(run, (where) => {
    assert.match(where.waiting, /features wait for it/);
    assert.match(where.threads, /S in (pipe_|fifo_|wait_|anon_pipe|read of .*fifo)/);
    assert.doesNotMatch(where.threads, /\bT\b/);
  });
});

test("features that never come, from a FIFO that blocks: the wait is named", { skip: noTippecanoe }, async (t) => {
  const folder = tempFolder(t);
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  const end = openSync(fifo, "r+");
  let closed = false;
  const close = () => {
    if (!closed) closeSync(end);
    closed = true;
  };
  t.after(close);
  async function* features() {
    yield* fieldChunks(100);
    const handle = await open(fifo, "r");
    try {
      await handle.read(Buffer.alloc(100));
    } finally {
      await handle.close();
    }
  }
  const run = job(folder, { features: features() });
  await assertStalls(run, (where) => {
    // The read that blocks is let go, or the test would never end.
    writeSync(end, "x");
    assert.match(where.waiting, /waits for features/);
    assert.match(where.threads, /S in (unix_stream|sk_wait|pipe_|anon_pipe|read of)/);
  });
});

test("slow features are no stall: not chunks with long pauses, nor one that takes long and costs CPU", {
  skip: noTippecanoe,
}, async (t) => {
  const folder = tempFolder(t);
  async function* features() {
    let chunks = 0;
    for (const chunk of fieldChunks(300, { perChunk: 100 })) {
      yield chunk;
      if (chunks++ === 0) {
        // At work for twice the time that a stall takes, and nothing comes of it.
        const until = performance.now() + 2 * STALL_MS;
        while (performance.now() < until) {
          const busy = performance.now() + 40;
          while (performance.now() < busy);
          await sleep(10);
        }
      } else {
        await sleep(STALL_MS * 0.5);
      }
    }
  }
  const run = job(folder, { features: features() });
  await runTippecanoe(run);
  await verifyArchive(run.output);
});

test("a process with its threads and open files, nameless ones included", async (t) => {
  const folder = tempFolder(t);
  mkdirSync(join(folder, "temp"));
  const script = `
    const fs = require("fs");
    const fd = fs.openSync(${JSON.stringify(join(folder, "temp", "gone"))}, "w");
    fs.writeSync(fd, Buffer.alloc(300_000, 1));
    fs.fsyncSync(fd);
    fs.unlinkSync(${JSON.stringify(join(folder, "temp", "gone"))});
    const c = require("child_process").spawn("sleep", ["600"]);
    while (process.cpuUsage().user < 3e5);
    console.log("ready"); process.on("SIGTERM", () => { c.kill(); process.exit(); }); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGTERM"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  let view = viewProcess(child.pid);
  // The child of a child comes in a moment of its own.
  for (let i = 0; i < 1500 && !view.threads.some(({ pid }) => pid !== child.pid); i++) {
    await sleep(20);
    view = viewProcess(child.pid);
  }
  assert.ok(view.threads.length > 4, "Node's own threads, and sleep's one");
  assert.equal(new Set(view.threads.map(({ pid }) => pid)).size, 2);
  assert.ok(view.cpuSeconds >= 0.2, `${view.cpuSeconds}`);
  assert.ok(view.ioBytes >= 300_000);
  const open = await measureOpenFiles(view, join(folder, "temp"));
  assert.equal(open.files, 1);
  assert.ok(open.bytes >= 300_000 && open.bytes < 600_000, `${open.bytes}`);
  assert.match(describeThreads(view.threads), /S in (\w*futex|\w*epoll|ep_poll|\w*nanosleep)/);
  child.kill("SIGTERM");
  await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(viewProcess(child.pid), undefined);
});

test("equal threads are counted", () => {
  const thread = (state, waitsIn) => ({ pid: 1, tid: 1, state, waitsIn });
  const threads = [thread("S", "futex"), thread("D", "cl_sync_io_wait"), thread("S", "futex"), thread("R", undefined)];
  assert.equal(describeThreads(threads), "2 S in futex, 1 D in cl_sync_io_wait, 1 R");
});
