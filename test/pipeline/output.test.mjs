import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ensureStep } from "../../dist/pipeline/ensure.js";
import { holderNow } from "../../dist/pipeline/holder.js";
import { readLive } from "../../dist/pipeline/live.js";
import { clearEndedScratch, clearScratch, endScratch, makeOutput, openScratch } from "../../dist/pipeline/output.js";
import { testContext } from "../support/context.mjs";
import { ELSEWHERE, notElsewhere } from "../support/elsewhere.mjs";
import { asNobody, notRoot } from "../support/other-user.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { textStep } from "../support/text-step.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const WORKER = fileURLToPath(new URL("../support/lapsed-worker.mjs", import.meta.url));

/** Scratch of a process that is no more (or of another host, asleep or dead), with a file in it. */
function left(target, { owner = { startTicks: "1" }, name = "part", text = "half" } = {}) {
  const { path } = openScratch(target);
  writeFileSync(join(path, name), text);
  writeFileSync(join(path, ".owner.json"), JSON.stringify({ ...holderNow("t", 0), ...owner }));
  return path;
}
const ELSE = { host: "another-host" };

test("each scratch has a name of its own; it is removed with all in it, and no other", (t) => {
  const target = join(tempFolder(t), "out", "made");
  const [a, b] = [openScratch(target), openScratch(target)];
  assert.notEqual(a.path, b.path);
  assert.equal(dirname(a.partial), a.path);
  assert.equal(dirname(a.path), dirname(target));
  endScratch(a, false, testContext());
  assert.deepEqual([existsSync(a.path), existsSync(b.path)], [false, true], "one of a live process stays");
  clearScratch(target);
  assert.ok(existsSync(b.path));
  endScratch(b, false, testContext());
  assert.deepEqual(readdirSync(dirname(target)), []);
});

test("scratch of the dead goes; a resumable one is gone on with, the last one", async (t) => {
  const target = join(tempFolder(t), "made");
  left(target, { text: "older" });
  await sleep(5);
  left(target, { text: "newer" });
  const { path } = openScratch(target, true);
  assert.equal(readFileSync(join(path, "part"), "utf8"), "newer");
  assert.deepEqual(readdirSync(dirname(target)).length, 1);
  endScratch({ path, leave: () => {}, remove: () => assert.fail("kept") }, true, testContext());
  left(target);
  assert.deepEqual(readdirSync(openScratch(target).path), [".owner.json"], "not resumable: begun anew");
});

test("without the lock only scratch of the dead, and what was left on purpose, goes", async (t) => {
  const target = join(tempFolder(t), "made");
  const [dead, asleep, ended, lives] = [1, 2, 3, 4].map(() => openScratch(target));
  const other = left(`${target}.too`);
  for (const { path, owner } of [
    { path: dead.path, owner: { startTicks: "1" } },
    { path: asleep.path, owner: ELSE },
  ])
    writeFileSync(join(path, ".owner.json"), JSON.stringify({ ...holderNow("t", 0), ...owner }));
  ended.leave();
  clearEndedScratch(target);
  assert.deepEqual(
    [dead.path, asleep.path, ended.path, lives.path, other].map((path) => existsSync(path)),
    [false, true, false, true, true],
  );
  const step = textStep(dirname(target), "corn");
  const lock = join(dirname(target), "lock");
  await ensureStep(step, lock, testContext());
  const behind = left(step.target);
  await ensureStep(step, lock, testContext());
  assert.equal(existsSync(behind), false, "a kill between the record and the clean-up");
});

test("what a run left on purpose is gone on with by any host; of one that may be asleep a copy is taken", (t) => {
  const target = join(tempFolder(t), "made");
  const ended = openScratch(target);
  writeFileSync(join(ended.path, "part"), "by one that ended");
  ended.leave();
  const first = openScratch(target, true);
  assert.equal(readFileSync(join(first.path, "part"), "utf8"), "by one that ended");
  endScratch(first, false, testContext());

  const asleep = left(target, { owner: ELSE, text: "asleep" });
  const writing = join(tempFolder(t), "its file, open");
  const second = openScratch(target, true);
  assert.equal(existsSync(asleep), false);
  assert.equal(readFileSync(join(second.path, "part"), "utf8"), "asleep");
  assert.equal(existsSync(writing), false);
});

test("a folder or link of the name that is not known to be ours is neither used nor removed", (t) => {
  const folder = tempFolder(t);
  const target = join(folder, "made");
  const precious = join(folder, "precious");
  mkdirSync(precious, { mode: 0o700 });
  writeFileSync(join(precious, ".owner.json"), JSON.stringify({ ...holderNow("t", 0), startTicks: "1" }));
  symlinkSync(precious, join(folder, ".made.0123456789ab.scratch"));
  mkdirSync(join(folder, ".made.0123456789ac.scratch"), { mode: 0o700 }); // without an owner
  writeFileSync(join(folder, ".made.0123456789ac.scratch", "file"), "x");
  renameSync(left(target), join(folder, ".made.0123456789ad.scratch"));
  chmodSync(join(folder, ".made.0123456789ad.scratch"), 0o777);
  for (const name of [".made.scratch", ".made.of-mine.scratch", ".other.0123456789ab.scratch"])
    mkdirSync(join(folder, name));
  const before = readdirSync(folder).length;
  const { path } = openScratch(target, true);
  assert.deepEqual(readdirSync(path), [".owner.json"]);
  clearScratch(target);
  assert.equal(readdirSync(folder).length, before + 1);
  assert.deepEqual(readdirSync(precious), [".owner.json"]);
});

test("in a folder that all may write to, another user's scratch and links are left alone", {
  skip: notRoot,
}, async (t) => {
  const folder = join(tempFolder(t), "shared");
  chmodSync(dirname(folder), 0o755);
  mkdirSync(folder);
  chmodSync(folder, 0o1777);
  const precious = join(tempFolder(t), "precious");
  mkdirSync(precious, { mode: 0o700 });
  const note = JSON.stringify({ ...holderNow("t", 0), startTicks: "1" });
  writeFileSync(join(precious, ".owner.json"), note);
  const target = join(folder, "made");
  asNobody("ln", "-s", precious, join(folder, ".made.scratch"));
  asNobody("ln", "-s", precious, join(folder, ".made.0123456789ab.scratch"));
  asNobody("mkdir", "-m", "700", join(folder, ".made.0123456789ac.scratch"));
  asNobody("sh", "-c", 'printf %s "$1" > "$2"', "sh", note, join(folder, ".made.0123456789ac.scratch", ".owner.json"));
  asNobody("ln", "-s", precious, join(folder, ".made.0123456789ac.scratch", "link"));
  await makeOutput(target, testContext(), ({ partial }) => Promise.resolve(writeFileSync(partial, "x")), {
    resume: true,
  });
  assert.equal(readFileSync(target, "utf8"), "x");
  assert.deepEqual(readdirSync(precious), [".owner.json"]);
  assert.equal(readdirSync(folder).length, 4);
});

test("one process makes an output; another that wants to is told who it is", async (t) => {
  const target = join(tempFolder(t), "made");
  let others = 0;
  await makeOutput(target, testContext(), async ({ partial }) => {
    const another = () => makeOutput(target, testContext(), () => assert.fail("made twice"));
    for (let i = 0; i < 5; i++) {
      await assert.rejects(another(), (error) => error.kind === "locked" && error.where.pid === process.pid);
      others++;
    }
    writeFileSync(partial, "one");
  });
  assert.deepEqual([others, readFileSync(target, "utf8")], [5, "one"]);
  assert.deepEqual(readdirSync(dirname(target)), ["made"]);
  await assert.rejects(
    makeOutput(target, testContext(), async ({ partial }) => {
      writeFileSync(partial, "two");
      throw new Error("no");
    }),
    /no/,
  );
  assert.deepEqual(readdirSync(dirname(target)), ["made"]);
  assert.equal(readFileSync(target, "utf8"), "one");
});

for (const resumable of [false, true]) {
  test(`a run that was taken for dead and wakes up leaves its successor's work alone${resumable ? ", a resumed one too" : ""}`, {
    skip: notElsewhere,
  }, async (t) => {
    const folder = tempFolder(t);
    const start = (text, command = []) => {
      const argv = [...command, process.execPath, WORKER, folder, text, String(resumable)];
      const child = spawn(argv[0], argv.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
      t.after(() => child.kill("SIGKILL"));
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
      const exited = new Promise((resolve) => child.on("close", resolve));
      const says = async (words) => {
        while (!output.includes(words)) {
          if (child.exitCode !== null) throw new Error(`ended without "${words}": ${output}`);
          await sleep(5);
        }
      };
      return { child, says, exited, output: () => output, go: () => child.stdin.write("go\n") };
    };
    const first = start("first", ELSEWHERE);
    await first.says("working");
    // unshare's child is the process itself.
    const pid = Number(/working (\d+)/.exec(first.output())[1]);
    const asleep = pidOutside(first.child.pid, pid);
    process.kill(asleep, "SIGSTOP");
    const second = start("second");
    await second.says("working");
    process.kill(asleep, "SIGCONT");
    first.go();
    await first.exited;
    assert.match(first.output(), /ERROR Lost the lock during the run .*pid=\d+/);
    assert.equal(readLive(join(folder, "live.json")).pid, second.child.pid, "its successor's state is not overwritten");
    assert.equal(existsSync(join(folder, "out", "made.txt")), false);
    second.go();
    await second.exited;
    assert.match(second.output(), /done/, second.output());
    assert.equal(readFileSync(join(folder, "out", "made.txt"), "utf8"), "second");
    assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
    assert.deepEqual(readdirSync(folder).sort(), ["live.json", "out", "state"]);
  });
}

/** The process that has `pid` in a namespace below `ancestor`, as it is numbered here. */
function pidOutside(ancestor, pid) {
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      const numbers = /^NSpid:\s+(.*)$/m.exec(status)[1].split(/\s+/).map(Number);
      if (numbers.length > 1 && numbers.at(-1) === pid && isBelow(Number(name), ancestor)) return Number(name);
    } catch {
      // Gone by now.
    }
  }
  throw new Error(`no process ${pid} below ${ancestor}`);
}

function isBelow(pid, ancestor) {
  for (let at = pid; at > 1; ) {
    if (at === ancestor) return true;
    at = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, "utf8"))[1]);
  }
  return false;
}

test("on a full disk nothing is left that nobody owns, and what can be resumed is resumed later", (t) => {
  const disk = tinyDisk(t, "64k");
  if (disk === undefined) return t.skip("a small disk cannot be mounted here");
  const target = join(disk, "made");
  const first = openScratch(target, true);
  writeFileSync(join(first.path, "part"), "so far");
  const fill = () => {
    try {
      for (let i = 0; ; i++) writeFileSync(join(disk, `filler-${i}`), Buffer.alloc(4096));
    } catch (error) {
      assert.equal(error.code, "ENOSPC");
    }
  };
  fill();
  first.leave();
  assert.throws(() => openScratch(target, true), { code: "ENOSPC" });
  assert.throws(() => openScratch(join(disk, "other")), { code: "ENOSPC" });
  assert.equal(readdirSync(disk).filter((name) => name.includes("other")).length, 0);
  for (const name of readdirSync(disk).filter((entry) => entry.startsWith("filler"))) rmSync(join(disk, name));
  const again = openScratch(target, true);
  assert.equal(readFileSync(join(again.path, "part"), "utf8"), "so far");
  endScratch(again, false, testContext());
  assert.deepEqual(readdirSync(disk), []);
});
