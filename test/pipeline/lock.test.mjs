import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { clearDeadLock, withLock } from "../../dist/pipeline/lock.js";
import { testContext } from "../support/context.mjs";
import { ELSEWHERE } from "../support/elsewhere.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const WORKER = fileURLToPath(new URL("../support/lock-worker.mjs", import.meta.url));

/** A process that holds the lock; `line(text)` waits for a line of its output that contains the text. */
function holder(t, path, { options = {}, elsewhere = false } = {}) {
  const command = [process.execPath, WORKER, "hold", path, JSON.stringify(options)];
  const [program, ...args] = elsewhere ? [...ELSEWHERE, ...command] : command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  const exited = new Promise((resolve) => child.on("close", resolve));
  const line = async (text) => {
    while (!output.includes(text) && child.exitCode === null) await sleep(5);
    if (!output.includes(text)) throw new Error(`holder ended without "${text}": ${output}`);
    return output;
  };
  return { child, line, exited, release: () => child.stdin.end() };
}

const take = async (path, options = {}, ctx = testContext()) => withLock(path, ctx, async () => "mine", options);

test("held while the body runs, gone after it, also after an error", async (t) => {
  const path = join(tempFolder(t), "state", "y.lock");
  const result = await withLock(path, testContext(), async () => {
    const { pid, host, token } = JSON.parse(readFileSync(path));
    assert.deepEqual([pid, typeof host, typeof token], [process.pid, "string", "string"]);
    await assert.rejects(take(path), { kind: "locked" });
    return 42;
  });
  assert.equal(result, 42);
  await assert.rejects(
    withLock(path, testContext(), async () => {
      throw new Error("body failed");
    }),
    /body failed/,
  );
  assert.deepEqual(readdirSync(join(path, "..")), []);
});

test("another live process is named at once", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  const other = holder(t, path);
  await other.line("held");
  await assert.rejects(take(path, { staleMs: 600_000 }), (error) => {
    assert.equal(error.exitCode, 6);
    assert.ok(
      error.message.includes(`lock=${path}`) && error.message.includes(`pid=${other.child.pid}`),
      error.message,
    );
    return true;
  });
  other.release();
  await other.exited;
  assert.equal(await take(path), "mine");
});

test("the lock of a killed process of this host is taken over without waiting", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "y.lock");
  const other = holder(t, path, { options: { heartbeatMs: 5 } });
  await other.line("held");
  other.child.kill("SIGKILL");
  await other.exited;
  assert.ok(existsSync(path));
  const ctx = testContext();
  assert.equal(await take(path, { staleMs: 600_000 }, ctx), "mine");
  assert.match(ctx.lines[0].message, /took over the lock of a dead process/);
  assert.equal(ctx.lines[0].pid, other.child.pid);
  assert.deepEqual(readdirSync(folder), [], "nothing of the dead one is left");
});

test("a process id that another process has got since does not count as alive", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  const own = await withLock(path, testContext(), async () => JSON.parse(readFileSync(path)));
  writeFileSync(path, JSON.stringify({ ...own, token: "before" }));
  await assert.rejects(take(path, { staleMs: 600_000 }), { kind: "locked" });
  writeFileSync(path, JSON.stringify({ ...own, token: "before", startTicks: `${Number(own.startTicks) - 1}` }));
  assert.equal(await take(path, { staleMs: 600_000 }), "mine");
});

test("a lock file that makes no sense is watched, then taken over", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  for (const text of ["", "{", "null", '{"pid": 1}']) {
    writeFileSync(path, text);
    assert.equal(await take(path, { staleMs: 80 }), "mine", text);
  }
});

test("another host: respected while its beat moves, taken over when it stops", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "y.lock");
  const own = await withLock(path, testContext(), async () => JSON.parse(readFileSync(path)));
  // Its process id exists here too, and means nothing.
  const foreign = { ...own, host: "node-7", token: "foreign", namespace: "of node-7" };
  let beat = 0;
  const write = () => writeFileSync(path, JSON.stringify({ ...foreign, beat: beat++ }));
  write();
  const timer = setInterval(write, 50);
  const ctx = testContext();
  await assert.rejects(take(path, { staleMs: 2_000 }, ctx), { kind: "locked", message: /host=node-7/ });
  assert.match(ctx.lines[0].message, /lock of another host or container: waiting/);
  clearInterval(timer);
  assert.equal(await take(path, { staleMs: 200 }), "mine");
  assert.deepEqual(readdirSync(folder), []);
});

test("a real process elsewhere: respected alive, taken over killed", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  const other = holder(t, path, { elsewhere: true, options: { heartbeatMs: 50 } });
  try {
    await other.line("held");
  } catch (error) {
    return t.skip(`no right to make namespaces: ${error.message}`);
  }
  const { host, pid } = JSON.parse(readFileSync(path));
  assert.equal(host, "node-7");
  await assert.rejects(take(path, { staleMs: 5_000 }), {
    kind: "locked",
    message: new RegExp(`host=node-7, pid=${pid}`),
  });
  other.child.kill("SIGKILL");
  await other.exited;
  assert.equal(await take(path, { staleMs: 300 }), "mine");
});

test("on a full disk the holder still gives signs of life", async (t) => {
  const folder = tinyDisk(t, "64k");
  if (folder === undefined) return t.skip("no right to mount a small file system");
  const path = join(folder, "y.lock");
  const other = holder(t, path, { elsewhere: true, options: { heartbeatMs: 50 } });
  try {
    await other.line("held");
    const ctx = testContext();
    // Started before the disk is full, decided after.
    ctx.log.warn = () => {
      try {
        for (;;) appendFileSync(join(folder, "filler"), Buffer.alloc(4096));
      } catch (error) {
        assert.equal(error.code, "ENOSPC");
      }
    };
    await sleep(100);
    await assert.rejects(take(path, { staleMs: 15_000 }, ctx), { kind: "locked" });
    rmSync(join(folder, "filler"));
  } finally {
    other.release();
    await other.exited;
  }
  assert.deepEqual(readdirSync(folder), []);
});

test("a holder that lost its lock is told, and leaves the new one alone", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  for (const [usurp, expected] of [
    [(own) => writeFileSync(path, JSON.stringify({ ...own, token: "usurper", host: "node-9" })), "usurper"],
    [() => rmSync(path), undefined],
  ]) {
    await withLock(
      path,
      testContext(),
      async ({ signal }) => {
        usurp(JSON.parse(readFileSync(path)));
        while (!signal.aborted) await sleep(5);
        assert.equal(signal.reason.kind, "locked");
        assert.match(signal.reason.message, expected ? /Lost the lock during the run .*host=node-9/ : /Lost the lock/);
      },
      { heartbeatMs: 10 },
    );
    const left = existsSync(path) ? JSON.parse(readFileSync(path)).token : undefined;
    assert.equal(left, expected);
    rmSync(path, { force: true });
  }
});

test("what fails once the lock is lost is told as that; what failed before it is not", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  const failing = (usurp) =>
    withLock(path, testContext(), async () => {
      usurp();
      throw new Error("ENOENT: no such file");
    });
  await assert.rejects(
    failing(() => rmSync(path)),
    { kind: "locked", message: /Lost the lock during the run/ },
  );
  await assert.rejects(
    failing(() => {}),
    /^Error: ENOENT/,
  );
});

test("an abort ends the watch over a foreign lock with the signal's reason", async (t) => {
  const path = join(tempFolder(t), "y.lock");
  writeFileSync(path, "{");
  const ctx = testContext();
  const reason = new Error("stop now");
  setTimeout(() => ctx.controller.abort(reason), 30);
  await assert.rejects(take(path, { staleMs: 600_000 }, ctx), reason);
  assert.ok(existsSync(path), "what was not judged stays");
});

test("a claim that a killed process left does not keep the lock for ever", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "y.lock");
  const other = holder(t, path);
  await other.line("held");
  other.child.kill("SIGKILL");
  await other.exited;
  const dead = readFileSync(path);
  await take(path);
  // The same dead lock again, together with the claim of one who died while removing it.
  writeFileSync(path, dead);
  writeFileSync(`${path}.dead.${createHash("sha256").update(dead).digest("hex").slice(0, 16)}`, dead);
  assert.equal(await take(path, { staleMs: 100 }), "mine");
  assert.deepEqual(readdirSync(folder), []);
});

test("eight processes, holders killed on the way: never two inside", async (t) => {
  const folder = tempFolder(t);
  const [path, log] = [join(folder, "y.lock"), join(folder, "log")];
  writeFileSync(log, "");
  const lines = () => readFileSync(log, "utf8").trimEnd().split("\n");
  const workers = new Map();
  const start = () => {
    const child = spawn(process.execPath, [WORKER, "race", path, log, "25"], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stderr })));
    workers.set(child.pid, { child, ended });
    t.after(() => child.kill("SIGKILL"));
  };
  for (let i = 0; i < 8; i++) start();
  const killed = new Set();
  while (killed.size < 4) {
    await sleep(60);
    const [act, pid] = lines().at(-1).split(" ");
    if (act !== "enter" || killed.has(Number(pid))) continue;
    // Written before it is done: whoever enters after this line may find the killed one inside.
    appendFileSync(log, `kill ${pid}\n`);
    workers.get(Number(pid)).child.kill("SIGKILL");
    killed.add(Number(pid));
  }
  for (const [pid, { ended }] of workers) {
    const { code, signal, stderr } = await ended;
    if (!killed.has(pid)) assert.equal(code, 0, `${signal} ${stderr}`);
  }
  let inside;
  const dead = new Set();
  let entered = 0;
  for (const line of lines()) {
    const [act, pid] = line.split(" ");
    if (act === "kill") dead.add(pid);
    if (act === "enter") {
      assert.ok(inside === undefined || dead.has(inside), `${pid} entered while ${inside} was inside`);
      inside = pid;
      entered++;
    }
    if (act === "leave" && inside === pid) inside = undefined;
  }
  assert.ok(entered >= 4 * 25, `${entered} times inside`);
  assert.equal(await take(path), "mine");
  assert.deepEqual(readdirSync(folder), ["log"]);
});

test("what a kill leaves where nobody takes the lock again, and what one leaves of a lock that was being made", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "y.lock");
  const first = holder(t, path);
  await first.line("held");
  await clearDeadLock(path, testContext());
  assert.deepEqual(readdirSync(folder), ["y.lock"], "its holder lives");
  const { token } = JSON.parse(readFileSync(path, "utf8"));
  first.child.kill("SIGKILL");
  await first.exited;
  // As after a kill between writing and linking, or while it was renewed.
  writeFileSync(`${path}.${token}`, "");
  writeFileSync(`${path}.notes`, "the user's");
  await clearDeadLock(path, testContext());
  await clearDeadLock(path, testContext());
  assert.equal(await take(path), "mine");
  assert.deepEqual(readdirSync(folder), ["y.lock.notes"]);
  writeFileSync(`${path}.${token.replace(/[0-9a-f]{8}$/, "00000000")}`, "");
  assert.equal(await take(path), "mine");
  assert.deepEqual(readdirSync(folder), ["y.lock.notes"]);
});
