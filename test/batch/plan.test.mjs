import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { Drain, parseUntil } from "../../dist/batch/drain.js";
import { failureOf } from "../../dist/batch/item-process.js";
import { ItemQueue } from "../../dist/batch/item-queue.js";
import { BatchLayout, itemPathOf } from "../../dist/batch/layout.js";
import { addTry, budgets, retryDelay } from "../../dist/batch/outcome.js";
import { SlowStart } from "../../dist/batch/slow-start.js";
import { hasJobEnded } from "../../dist/batch/slurm.js";
import { tempFolder } from "../support/temp-folder.mjs";

const DIGEST = "0123456789abcdef";
const items = (n) =>
  Array.from({ length: n }, (_, i) => ({ id: `f${i}`, fields: {}, digest: DIGEST, ...itemPathOf(`f${i}`) }));

test("only the item's own errors use up retries; no fault goes on for ever", () => {
  const limits = budgets(2);
  const lives = (fault) => {
    let tries = {};
    for (let n = 1; n < 100; n++) {
      tries = addTry(tries, fault);
      if (retryDelay(tries, fault, limits, 1_000) === undefined) return n;
    }
    return Infinity;
  };
  assert.equal(lives("item"), 3);
  for (const fault of ["oom", "timeout", "node", "container"]) assert.ok(lives(fault) > 1 && lives(fault) <= 20, fault);
  assert.notEqual(retryDelay({ node: 9, container: 5, item: 1 }, "item", limits, 1_000), undefined);
  const at = (n) => retryDelay({ item: n }, "item", budgets(9), 1_000, () => 0.5);
  assert.deepEqual([1, 2, 3, 4].map(at), [1_000, 2_000, 4_000, 8_000]);
  assert.equal(retryDelay({ node: 3 }, "node", limits, 1_000), 0);
});

test("how a process ended says whose fault it was", () => {
  const of = (ended, started = true) =>
    failureOf({ exit: null, signal: null, seconds: 1, outOfMemory: false, ...ended }, started)?.fault;
  assert.equal(of({ exit: 0 }), undefined);
  assert.equal(of({ exit: 1 }), "item");
  assert.equal(of({ exit: 255 }), "item");
  assert.equal(of({ exit: 255 }, false), "container");
  assert.equal(of({ signal: "SIGSEGV" }), "item");
  assert.equal(of({ exit: 139 }), "item");
  assert.equal(of({ signal: "SIGKILL" }), "oom");
  assert.equal(of({ exit: 137 }), "oom");
  assert.equal(of({ signal: "SIGTERM" }), "node");
  assert.equal(of({ exit: 143 }), "node");
  assert.equal(of({ signal: "SIGUSR1" }), "node");
  assert.equal(of({ signal: "SIGTERM", why: "timeout" }), "timeout");
  assert.equal(of({ why: "not started", error: Object.assign(new Error(), { code: "EAGAIN" }) }), "node");
  assert.equal(of({ why: "not started", error: Object.assign(new Error(), { code: "ENOENT" }) }), "item");
});

test("nothing is started that cannot end in time", () => {
  let now = 0;
  const notice = new AbortController();
  const drain = new Drain(100_000, undefined, notice.signal, () => now);
  assert.ok(drain.mayStart(), "nothing is known yet");
  drain.measured(20_000);
  drain.measured(10_000);
  now = 77_000;
  assert.ok(drain.mayStart());
  now = 78_000;
  assert.ok(!drain.mayStart(), "22 s are left, the longest item took 20 s and a margin");
  assert.ok(drain.draining);
  now = 0;
  const told = new Drain(100_000, 90_000, notice.signal, () => now);
  drain.measured(20_000_000);
  assert.ok(told.mayStart(), "what the user said stands");
  now = 10_000;
  assert.ok(!told.mayStart());
  const endless = new Drain(undefined, undefined, notice.signal, () => now);
  assert.ok(endless.mayStart());
  notice.abort();
  assert.ok(!endless.mayStart());
  assert.equal(parseUntil("+60", 1_000), 61_000);
  assert.equal(parseUntil("2026-11-30T06:00:00Z", 0), Date.UTC(2026, 10, 30, 6));
  assert.throws(() => parseUntil("soon", 0), { kind: "usage", message: /received=soon/ });
});

test("container starts: one at first, more as they succeed, half after a failure", async () => {
  const slowStart = new SlowStart();
  const open = [];
  let turns = 0;
  const ask = () =>
    slowStart.turn().then((tell) => {
      turns++;
      open.push(tell);
    });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 40; i++) void ask();
  const round = async (started) => {
    await settle();
    const now = open.splice(0);
    for (const tell of now) tell(started);
    return now.length;
  };
  assert.deepEqual([await round(true), await round(true), await round(true)], [1, 2, 4]);
  assert.equal(await round(false), 8);
  assert.equal(slowStart.failures, 8);
  assert.equal(await round(true), 1);
  assert.equal(slowStart.failures, 0);
  while (turns < 40) await round(true);
});

test("a queue gives out every open item once, and learns from listings alone", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("open", "done", "failed", "taken", "missing", "changed", "retry"), {
        minLength: 1,
        maxLength: 60,
      }),
      fc.integer(),
      async (states, seed) => {
        const layout = new BatchLayout(join(tempFolder(t), "b"));
        const all = items(states.length);
        for (const [i, state] of states.entries()) {
          const { shard, name } = all[i];
          for (const folder of [layout.records(shard), layout.claims(shard), layout.outputs(shard)])
            mkdirSync(folder, { recursive: true });
          const record = (digest, kind) => writeFileSync(join(layout.records(shard), `${name}@${digest}.${kind}`), "");
          if (state === "done" || state === "failed" || state === "retry") record(DIGEST, state);
          if (state === "missing") record(DIGEST, "done");
          if (state === "changed") record("f".repeat(16), "done");
          if (state === "done" || state === "changed") mkdirSync(layout.output(all[i]));
          if (state === "taken") symlinkSync("b1 d n", layout.claim(all[i]));
        }
        const of = (kind) => states.filter((state) => state === kind).length;
        const queue = new ItemQueue(all, layout, false, () => ((seed >>> 0) % 997) / 997);
        assert.deepEqual(await queue.open(), { missing: of("missing"), changed: of("changed") });
        const given = new Set();
        for (let item = queue.next(); item !== undefined; item = queue.next()) {
          assert.ok(!given.has(item.id));
          given.add(item.id);
        }
        const open = all.filter((_, i) => !["done", "failed", "taken"].includes(states[i]));
        assert.deepEqual(given, new Set(open.map(({ id }) => id)));
        assert.deepEqual([queue.counts().done, queue.counts().failed], [of("done"), of("failed")]);
        for (const item of all.filter(({ id }) => given.has(id)))
          queue.put(item, item.id.length % 2 ? "done" : { dueMs: 0 });
        for (const item of all)
          if (existsSync(layout.claims(item.shard))) execFileSync("rm", ["-f", layout.claim(item)]);
        await queue.refresh();
        let later = 0;
        while (queue.next()) later++;
        const { items: total, done, failed, running } = queue.counts();
        assert.equal(total - done - failed, running);
        assert.equal(running, later);
        const keeping = new ItemQueue(all, layout, true);
        await keeping.open();
        assert.equal(keeping.counts().done, of("done") + of("changed"));
      },
    ),
    { seed: 3, numRuns: 25 },
  );
});

test("without Slurm nothing is known of a job", async () => {
  const path = process.env.PATH;
  process.env.PATH = "/nowhere";
  try {
    assert.equal(await hasJobEnded("1"), undefined);
  } finally {
    process.env.PATH = path;
  }
});
