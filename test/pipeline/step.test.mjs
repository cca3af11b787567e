import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { PipelineError } from "../../dist/pipeline/errors.js";
import { processTag } from "../../dist/pipeline/holder.js";
import { writeJsonAtomic } from "../../dist/pipeline/json-file.js";
import { openScratch, SCRATCH_OWNER } from "../../dist/pipeline/output.js";
import { readRecord } from "../../dist/pipeline/record.js";
import { judgeStep, runStep } from "../../dist/pipeline/step.js";
import { testContext } from "../support/context.mjs";
import { inScratch, scratchOf } from "../support/scratch.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { textStep } from "../support/text-step.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

/** Run, and tell why it ran: undefined when it was skipped. */
async function reasonOf(step, options) {
  const ctx = testContext();
  await runStep(step, ctx, options);
  return ctx.lines.find(({ message }) => message.startsWith("started ("))?.message.slice("started (".length, -1);
}

const made = (folder) => readFileSync(join(folder, "out", "made.txt"), "utf8");

test("made once, then skipped with the same facts; the record tells how it came", async (t) => {
  const folder = tempFolder(t);
  const step = textStep(folder, "corn");
  assert.equal(await reasonOf(step), "no output yet");
  const record = readRecord(step.record);
  assert.deepEqual(
    [record.step, record.version, record.inputs, record.facts],
    ["copy", 1, { text: "corn" }, { letters: 4 }],
  );
  assert.equal(record.output.path, step.target);
  const ctx = testContext();
  const untouchable = textStep(folder, "corn", {
    run: () => assert.fail("ran again"),
    validate: () => assert.fail("validated"),
  });
  assert.deepEqual(await runStep(untouchable, ctx), { letters: 4 });
  assert.deepEqual(
    [ctx.lines[0].message, ctx.lines[0].year, ctx.lines[0].step],
    [`valid, skipped: ${step.target}`, 2020, "copy"],
  );
});

test("every reason to make it again, in words", async (t) => {
  const folder = tempFolder(t);
  const step = textStep(folder, "corn");
  const { target, record } = step;
  await reasonOf(step);
  assert.equal(await reasonOf(step, { force: true }), "forced");
  assert.equal(await reasonOf(textStep(folder, "soy")), "text changed: corn -> soy");
  assert.equal(made(folder), "soy");
  assert.equal(
    await reasonOf(textStep(folder, "soy", { inputs: { text: "soy", zoom: 14 } })),
    "zoom changed: none -> 14",
  );
  assert.equal(await reasonOf(textStep(folder, "soy")), "zoom changed: 14 -> none");
  assert.equal(await reasonOf(textStep(folder, "soy", { version: 2 })), "made by version 1 of this step, now 2");
  const soy = textStep(folder, "soy", { version: 2 });
  writeFileSync(target, "sox");
  assert.equal(await reasonOf(soy), "output was changed since it was made");
  assert.equal(made(folder), "soy");
  rmSync(target);
  assert.equal(await reasonOf(soy), "output is gone");
  rmSync(record);
  assert.equal(await reasonOf(soy), "output has no record");
  assert.equal(await reasonOf(soy), undefined);
});

test("long values are cut in the reason, and the order of keys is no change", async (t) => {
  const folder = tempFolder(t);
  await reasonOf(textStep(folder, "corn", { inputs: { a: { x: 1, y: [1, 2] }, b: "b".repeat(100) } }));
  assert.equal(
    await reasonOf(textStep(folder, "corn", { inputs: { b: "b".repeat(100), a: { y: [1, 2], x: 1 } } })),
    undefined,
  );
  const reason = await reasonOf(textStep(folder, "corn", { inputs: { a: { x: 1, y: [2, 1] }, b: "b".repeat(100) } }));
  assert.equal(reason, 'a changed: {"x":1,"y":[1,2]} -> {"x":1,"y":[2,1]}');
  const long = await reasonOf(textStep(folder, "corn", { inputs: { a: { x: 1, y: [2, 1] }, b: "c".repeat(100) } }));
  assert.equal(long, `b changed: ${"b".repeat(57)}... -> ${"c".repeat(57)}...`);
});

test("a record that cannot be read counts as none", async (t) => {
  const folder = tempFolder(t);
  const step = textStep(folder, "corn");
  await reasonOf(step);
  const whole = JSON.parse(readFileSync(step.record, "utf8"));
  const broken = [
    "",
    "{",
    "null",
    "[]",
    '{"step":"copy"}',
    JSON.stringify({ ...whole, inputs: null }),
    JSON.stringify({ ...whole, output: null }),
  ];
  for (const text of broken) {
    writeFileSync(step.record, text);
    assert.equal(await reasonOf(step), "output has no record", text);
  }
});

test("an old output outlives a failing check, run and verification", async (t) => {
  const folder = tempFolder(t);
  await reasonOf(textStep(folder, "old"));
  const broken = {
    validate: async () => {
      throw new PipelineError("input", "Bad input", { path: "a.tif" });
    },
    async run(partial) {
      writeFileSync(partial, "half");
      throw new Error("broke");
    },
    verify: async () => {
      throw new Error("is not what it should be");
    },
  };
  const where = `year=2020, step=copy, output=${join(folder, "out", "made.txt")}`;
  for (const [part, kind, message] of [
    ["validate", "input", "Bad input (year=2020, step=copy, path=a.tif)"],
    ["run", "failed", `Step copy failed (${where}): broke`],
    ["verify", "failed", `Step copy failed (${where}): is not what it should be`],
  ]) {
    await assert.rejects(runStep(textStep(folder, "new", { [part]: broken[part] }), testContext()), { kind, message });
    assert.equal(made(folder), "old");
    assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"], "no scratch is left");
    assert.equal(await reasonOf(textStep(folder, "old")), undefined, "the old record still holds");
  }
});

test("scratch: empty at the start, kept where resumable, gone at the end", async (t) => {
  const folder = tempFolder(t);
  const seen = [];
  const failing = (resumable) =>
    textStep(folder, "corn", {
      resumable,
      async run(partial) {
        seen.push(readdirSync(dirname(partial)).filter((name) => name !== SCRATCH_OWNER));
        writeFileSync(join(dirname(partial), "part"), "so far");
        throw new Error("broke");
      },
    });
  for (const resumable of [false, false, true, true])
    await assert.rejects(runStep(failing(resumable), testContext()), /broke/);
  assert.deepEqual(seen, [[], [], [], ["part"]]);
  assert.equal(scratchOf(join(folder, "out", "made.txt")).length, 1);
  await reasonOf(textStep(folder, "corn", { resumable: true }));
  assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
});

test("scratch beside a valid output is removed when the step is skipped", async (t) => {
  const folder = tempFolder(t);
  const step = textStep(folder, "corn");
  await reasonOf(step);
  const { path } = openScratch(step.target);
  const owner = JSON.parse(readFileSync(join(path, SCRATCH_OWNER), "utf8"));
  writeFileSync(join(path, SCRATCH_OWNER), JSON.stringify({ ...owner, startTicks: "1" }));
  assert.equal(await reasonOf(step), undefined);
  assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
});

test("recheck has the last word over an output with a right fingerprint", async (t) => {
  const folder = tempFolder(t);
  const step = textStep(folder, "corn");
  await reasonOf(step);
  let asked;
  const recheck = (answer) => ({
    recheck(record) {
      asked = record;
      return answer;
    },
  });
  assert.equal(await reasonOf(textStep(folder, "corn", recheck("needed again"))), "needed again");
  assert.deepEqual(asked.facts, { letters: 4 });
  rmSync(step.target);
  assert.equal(await reasonOf(textStep(folder, "corn", recheck(undefined))), undefined);
  assert.deepEqual(await judgeStep(textStep(folder, "soy", recheck(undefined)), false), {
    skip: false,
    reason: "text changed: corn -> soy",
    record: asked,
  });
});

test("a step that fails while finishing has no record: it is made again, side files included", async (t) => {
  const folder = tempFolder(t);
  const side = join(folder, "out", "side.txt");
  const finish = async () => {
    throw new Error("no side file");
  };
  await assert.rejects(runStep(textStep(folder, "corn", { finish }), testContext()), /no side file/);
  const better = textStep(folder, "corn", { finish: async ({ letters }) => writeFileSync(side, `${letters}`) });
  assert.equal(await reasonOf(better), "output has no record");
  assert.equal(readFileSync(side, "utf8"), "4");
});

test("an abort: before, and while running; its reason is the error", async (t) => {
  const folder = tempFolder(t);
  const reason = new PipelineError("terminated", "Ended by SIGTERM");
  const before = testContext();
  before.controller.abort(reason);
  await assert.rejects(runStep(textStep(folder, "corn"), before), { kind: "terminated", exitCode: 143 });
  assert.ok(!existsSync(join(folder, "out")));
  const during = testContext();
  const step = textStep(folder, "corn", {
    async run(partial) {
      writeFileSync(partial, "corn");
      during.controller.abort(reason);
      return { letters: 4 };
    },
  });
  await assert.rejects(runStep(step, during), {
    kind: "terminated",
    message: "Ended by SIGTERM (year=2020, step=copy)",
  });
  assert.deepEqual(readdirSync(join(folder, "out")), []);
});

test("a full disk, also deep inside another error, is kind space and leaves the old output", async (t) => {
  const disk = tinyDisk(t, "64k");
  if (disk === undefined) return t.skip("no right to mount a small file system");
  await reasonOf(textStep(disk, "old"));
  const big = "x".repeat(200_000);
  await assert.rejects(runStep(textStep(disk, big), testContext()), {
    kind: "space",
    exitCode: 7,
    message: /No space left on device .*step=copy/,
  });
  const wrapped = textStep(disk, big, {
    async run(partial) {
      try {
        writeFileSync(partial, big);
      } catch (cause) {
        throw new Error("writer gave up", { cause });
      }
    },
  });
  await assert.rejects(runStep(wrapped, testContext()), { kind: "space" });
  assert.equal(made(disk), "old");
  assert.equal(await reasonOf(textStep(disk, "old")), undefined);
});

test("a disk that is full when the record is written: no half record, the step is made again", async (t) => {
  const [folder, disk] = [tempFolder(t), tinyDisk(t, "16k")];
  if (disk === undefined) return t.skip("no right to mount a small file system");
  writeFileSync(join(disk, "filler"), Buffer.alloc(4096 * 3 - 1));
  const step = (more) => textStep(folder, "corn", { record: join(disk, "state.json"), ...more });
  await reasonOf(step());
  // The filler takes what is left only after the old record is there.
  const fill = async () => {
    try {
      writeFileSync(join(disk, "more"), Buffer.alloc(16_384));
    } catch {}
  };
  await assert.rejects(runStep(step({ version: 2, finish: fill }), testContext()), { kind: "space" });
  assert.deepEqual(
    readdirSync(disk).filter((name) => name.includes("state")),
    [],
  );
  rmSync(join(disk, "more"));
  assert.equal(await reasonOf(step({ version: 2 })), "output has no record");
});

const PROCESS = fileURLToPath(new URL("../support/step-process.mjs", import.meta.url));

async function startStep(folder, text, moment = "") {
  const child = spawn(process.execPath, [PROCESS, folder, text, ...(moment ? [moment] : [])]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, output })));
  while (moment && !output.includes("waiting")) await sleep(5);
  return { child, ended };
}

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
]) {
  test(`${signal} ends the step with exit code ${code}, without scratch, the old output in place`, async (t) => {
    const folder = tempFolder(t);
    await reasonOf(textStep(folder, "old"));
    for (const moment of ["run", "verify"]) {
      const { child, ended } = await startStep(folder, "new", moment);
      assert.ok(existsSync(inScratch(join(folder, "out", "made.txt"), "made.txt.beside")));
      child.kill(signal);
      const end = await ended;
      assert.equal(end.code, code, end.output);
      assert.match(end.output, new RegExp(`Ended by ${signal}; finished work is kept .*step=copy`));
      assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
      assert.equal(made(folder), "old");
    }
  });
}

test("kill -9 at any moment: the old output or the new one, and a rerun mends the rest", async (t) => {
  for (const [moment, left] of [
    ["run", "old"],
    ["verify", "old"],
    ["finish", "new"],
  ]) {
    const folder = tempFolder(t);
    await reasonOf(textStep(folder, "old"));
    const { child, ended } = await startStep(folder, "new", moment);
    child.kill("SIGKILL");
    assert.equal((await ended).signal, "SIGKILL");
    assert.equal(made(folder), left);
    const again = await (await startStep(folder, "new")).ended;
    assert.equal(again.code, 0, again.output);
    assert.equal(made(folder), "new");
    assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
    assert.equal(await reasonOf(textStep(folder, "new")), undefined);
  }
});

test("a notice to end: no step begins, but one under way makes all that it is made of", async (t) => {
  const folder = tempFolder(t);
  const notice = new AbortController();
  const ctx = { ...testContext(), drain: notice.signal };
  const paused = new PipelineError("paused", "Ended early");
  const inner = textStep(join(folder, "inner"), "wheat");
  const plain = textStep(join(folder, "outer"), "corn");
  const outer = {
    ...plain,
    async run(partial, own) {
      notice.abort(paused);
      await runStep(inner, own);
      return plain.run(partial, own);
    },
  };
  assert.deepEqual(await runStep(outer, ctx), { letters: 4 });
  assert.equal(made(join(folder, "inner")), "wheat");
  await assert.rejects(runStep(textStep(join(folder, "next"), "oats"), ctx), { kind: "paused" });
  assert.deepEqual(await runStep(inner, ctx), { letters: 5 });
});

test("what a killed writer left of a JSON file goes with the next write in its folder; another's stays", (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "us_2020_zones.json");
  const child = spawnSync(process.execPath, ["-e", "process.stdout.write(String(process.pid))"], { encoding: "utf8" });
  const [place] = processTag().split("-");
  const left = [`${path}.${place}-${child.stdout}-17.1.partial`];
  const others = [`${path}.00000000-1-1.1.partial`, `${path}.${processTag()}.9.partial`, `${path}.partial`];
  for (const name of [...left, ...others]) writeFileSync(name, "{");
  writeJsonAtomic(join(folder, "other.json"), { a: 1 });
  assert.deepEqual(readdirSync(folder).sort(), ["other.json", ...others.map((name) => basename(name))].sort());
});
