import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BatchLayout, itemPathOf } from "../../dist/batch/layout.js";
import { buildExclusiveItem, readProof, readResults } from "../support/exclusive-item.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const BATCH = fileURLToPath(new URL("../../dist/batch.js", import.meta.url));
/** Another host, as far as a process can tell: its own host name, process ids and /proc. Its init is a shell. */
const ELSEWHERE = [
  "unshare",
  "--uts",
  "--pid",
  "--mount-proc",
  "--fork",
  "--kill-child",
  "sh",
  "-c",
  'hostname node-7; "$@"; exit $?',
  "sh",
];

/** A batch of exclusive items, and runners of it that the test may kill. */
function batch(t, { items, ms, options = [] }) {
  const folder = tempFolder(t);
  const [out, proof] = [join(folder, "out"), join(folder, "proof")];
  mkdirSync(proof);
  writeFileSync(join(folder, "items.txt"), Array.from({ length: items }, (_, i) => `f${i}`).join("\n"));
  const item = buildExclusiveItem(folder);
  const layout = new BatchLayout(out);
  const start = ({ elsewhere = false, workers = 3 } = {}) => {
    const command = [
      process.execPath,
      BATCH,
      "run",
      "--items",
      join(folder, "items.txt"),
      "--out",
      out,
      "--tmp",
      folder,
      "--workers",
      String(workers),
      "--stale",
      "3",
      "--backoff",
      "0.05",
      "--valid",
      "result=exists",
      ...options,
      "--",
      item,
      proof,
      "{id}",
      "{out}",
      String(ms),
      "0",
    ];
    const [program, ...args] = elsewhere ? [...ELSEWHERE, ...command] : command;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, output })));
    return { child, ended, output: () => output };
  };
  return { folder, out, proof, layout, start };
}

const names = (folder) => (existsSync(folder) ? readdirSync(folder) : []);
const claims = ({ out }) =>
  names(join(out, "claims")).flatMap((shard) =>
    readdirSync(join(out, "claims", shard)).map((name) => join(out, "claims", shard, name)),
  );

async function until(is, what) {
  for (let i = 0; i < 1_200; i++) {
    if (is()) return;
    await sleep(25);
  }
  throw new Error(`${what}: not within 30 s`);
}

/** Pids of node processes of this batch that run `script`, in whatever namespace. */
function pidsOf({ out }, script) {
  return readdirSync("/proc")
    .filter((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return (
          args[0] === process.execPath &&
          args[1]?.endsWith(script) &&
          args.some((arg) => arg.startsWith(join(out, "..")))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

function checkAll(b, n) {
  const { starts, twice } = readProof(b.proof);
  assert.deepEqual(twice, []);
  assert.equal(starts.size, n);
  const results = readResults(b.out);
  assert.equal(results.size, n);
  for (const [name, text] of results) assert.equal(text, name);
  assert.deepEqual(claims(b), []);
  // One that was killed within its first millisecond leaves a file that was not yet its heartbeat.
  assert.deepEqual(
    names(b.layout.runners()).filter((name) => !name.startsWith(".")),
    [],
  );
  assert.deepEqual(names(b.layout.scratch("")), []);
  return starts;
}

test("a runner of this host is killed: its items end with it, and another takes them at once", async (t) => {
  const b = batch(t, { items: 6, ms: 1_500 });
  const first = b.start();
  await until(() => readProof(b.proof).starts.size === 3, "three items");
  first.child.kill("SIGKILL");
  await first.ended;
  const { code, output } = await b.start().ended;
  assert.equal(code, 0, output);
  assert.match(output, /runner is dead.*its process is gone/);
  const starts = checkAll(b, 6);
  assert.equal([...starts.values()].filter((n) => n === 2).length, 3);
  const run = names(b.layout.runs()).map((name) => JSON.parse(readFileSync(join(b.layout.runs(), name))));
  assert.equal(run.filter(({ lost }) => lost).length, 1);
});

test("a host dies: silence tells, and its items are taken over", async (t) => {
  const b = batch(t, { items: 6, ms: 700 });
  const other = b.start({ elsewhere: true });
  await until(() => readProof(b.proof).starts.size >= 3 || other.child.exitCode !== null, "three items");
  if (other.child.exitCode !== null) return t.skip(`no right to make namespaces: ${other.output()}`);
  assert.match(readlinkSync(claims(b)[0]), /^node-7-/);
  other.child.kill("SIGKILL");
  await other.ended;
  const { code, output } = await b.start().ended;
  assert.equal(code, 0, output);
  assert.match(output, /runner is dead.*host=node-7, why=silent for \d+ s/);
  checkAll(b, 6);
});

test("a runner that stalls is taken for dead: its guard ends its items first; it wakes, changes nothing, and says so", async (t) => {
  const b = batch(t, { items: 8, ms: 12_000 });
  const stalled = b.start({ elsewhere: true });
  await until(() => readProof(b.proof).starts.size >= 3 || stalled.child.exitCode !== null, "three items");
  if (stalled.child.exitCode !== null) return t.skip(`no right to make namespaces: ${stalled.output()}`);
  const [pid] = pidsOf(b, "batch.js");
  process.kill(pid, "SIGSTOP");
  const healthy = b.start({ workers: 8 });
  await until(() => healthy.output().includes("runner is dead"), "takeover");
  process.kill(pid, "SIGCONT");
  const { code, output } = await stalled.ended;
  assert.equal(code, 6, output);
  assert.match(output, /Others took this runner for dead/);
  const end = await healthy.ended;
  assert.equal(end.code, 0, end.output);
  const starts = checkAll(b, 8);
  assert.equal([...starts.values()].filter((n) => n > 1).length, 3);
});

test("its guard is killed: the runner ends its items and itself", async (t) => {
  const b = batch(t, { items: 3, ms: 20_000 });
  const runner = b.start();
  await until(() => readProof(b.proof).starts.size === 3, "three items");
  for (const pid of pidsOf(b, "guard.js")) process.kill(pid, "SIGKILL");
  const { code, output } = await runner.ended;
  assert.equal(code, 1, output);
  assert.match(output, /guard process of this runner was killed/);
  assert.deepEqual(claims(b), []);
});

test("killed between putting the output in its place and recording it: it is done, and not made again", async (t) => {
  const b = batch(t, { items: 1, ms: 1 });
  assert.equal((await b.start().ended).code, 0);
  const place = itemPathOf("f0");
  const [record] = readdirSync(b.layout.records(place.shard));
  const ready = join(b.layout.records(place.shard), record.replace(/done$/, "ready"));
  const before = statSync(b.layout.output(place)).ino;
  const dead = "b9-1-0123456789ab";
  const die = () => {
    renameSync(ready.replace(/ready$/, "done"), ready);
    mkdirSync(join(b.layout.scratch(dead), `${place.shard}.f0`), { recursive: true });
    symlinkSync(`${dead} ${/@(.*)\./.exec(record)[1]} n`, b.layout.claim(place));
    const text = {
      token: dead,
      host: "b9",
      pid: 1,
      namespace: "x",
      startTicks: "1",
      since: new Date().toISOString(),
      at: new Date().toISOString(),
      beat: 1,
      workers: 1,
      staleMs: 300,
      draining: false,
      tally: { done: 0, found: 0, failed: 0, retries: 0, itemSeconds: 0, longestSeconds: 0, running: 1 },
    };
    writeFileSync(join(b.layout.runners(), dead), JSON.stringify(text));
  };
  die();
  const { code, output } = await b.start().ended;
  assert.equal(code, 0, output);
  assert.equal(statSync(b.layout.output(place)).ino, before);
  assert.equal(checkAll(b, 1).get("f0"), 1, "it ran once");
  // The same, but the output that lies there is another one's: it counts for nothing.
  die();
  renameSync(b.layout.output(place), `${b.layout.output(place)}.x`);
  mkdirSync(b.layout.output(place));
  writeFileSync(join(b.layout.output(place), "result"), "older");
  rmSync(`${b.layout.output(place)}.x`, { recursive: true });
  assert.equal((await b.start().ended).code, 0);
  assert.equal(checkAll(b, 1).get("f0"), 2);
});

test("the runner that reclaims a dead one dies too: a third one finishes", async (t) => {
  const b = batch(t, { items: 4, ms: 1 });
  const first = b.start();
  assert.equal((await first.ended).code, 0);
  rmSync(join(b.out, "records"), { recursive: true });
  rmSync(join(b.out, "items"), { recursive: true });
  const place = itemPathOf("f1");
  mkdirSync(join(b.layout.scratch("dead-1-a.reclaimed"), `${place.shard}.f1`, "out"), { recursive: true });
  symlinkSync("dead-1-a 0123456789abcdef n", b.layout.claim(place));
  writeFileSync(join(b.layout.runners(), "dead-1-a.reclaimed-by.dead-2-b"), "{}");
  const { code, output } = await b.start().ended;
  assert.equal(code, 0, output);
  checkAll(b, 4);
});

test("a claim of which nobody knows the owner is removed by a runner that is alone", async (t) => {
  const b = batch(t, { items: 2, ms: 1 });
  mkdirSync(b.layout.claims(itemPathOf("f1").shard), { recursive: true });
  symlinkSync("ghost-1-a 0123456789abcdef n", b.layout.claim(itemPathOf("f1")));
  const { code, output } = await b.start().ended;
  assert.equal(code, 0, output);
  assert.match(output, /claim of a runner that is unknown is removed.*ghost-1-a/);
  checkAll(b, 2);
});

test("half-made files of runners that were killed before they were there go; one that may yet be there stays", async (t) => {
  const b = batch(t, { items: 2, ms: 1 });
  mkdirSync(b.layout.runners(), { recursive: true });
  const here = `.${hostname().replace(/[^A-Za-z0-9-]/g, "-")}`;
  const file = (name, hoursAgo = 0) => {
    const path = join(b.layout.runners(), name);
    writeFileSync(path, "");
    const time = Date.now() / 1000 - 3600 * hoursAgo;
    utimesSync(path, time, time);
    return name;
  };
  file(`${here}-4194303-0123456789ab`);
  file(".elsewhere-7-0123456789ab", 2);
  const staying = [file(`${here}-${process.pid}-0123456789ab`), file(".elsewhere-8-0123456789ab"), file(".other")];
  const { code } = await b.start().ended;
  assert.equal(code, 0);
  assert.deepEqual(new Set(readdirSync(b.layout.runners())), new Set(staying));
});

test("eight runners over one folder, killed at random: every item is done, none runs twice at once", async (t) => {
  const b = batch(t, { items: 400, ms: 30 });
  let kills = 8;
  const live = new Set();
  const keep = async () => {
    for (;;) {
      const runner = b.start({ workers: 2 });
      live.add(runner);
      const { code, signal, output } = await runner.ended;
      live.delete(runner);
      if (code === 0) return;
      assert.equal(signal, "SIGKILL", output);
    }
  };
  const all = Promise.all(Array.from({ length: 8 }, keep));
  // One of them whenever another twentieth of the items is done.
  const killer = setInterval(() => {
    const done = names(join(b.out, "items")).flatMap((shard) => names(join(b.out, "items", shard))).length;
    const victim = [...live][(kills * 5) % live.size];
    if (kills > 0 && done >= 20 * (9 - kills)) {
      kills--;
      victim?.child.kill("SIGKILL");
    }
  }, 20);
  t.after(() => clearInterval(killer));
  await all;
  assert.equal(kills, 0);
  // One that was killed when all was done is nobody's concern until the next runner comes.
  const { code, output } = await b.start({ workers: 1 }).ended;
  assert.equal(code, 0, output);
  checkAll(b, 400);
});
