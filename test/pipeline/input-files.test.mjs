import assert from "node:assert/strict";
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { InputFiles } from "../../dist/pipeline/input-files.js";
import { judgeStep, runStep } from "../../dist/pipeline/step.js";
import { testContext } from "../support/context.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { textStep } from "../support/text-step.mjs";

/** A folder with an input, another file of the same size, and one that holds the same. */
function inputs(t) {
  const folder = tempFolder(t);
  const [path, other, same, aside] = ["input", "other", "same", "aside"].map((name) => join(folder, name));
  for (const [file, text] of [
    [path, "corn"],
    [other, "soya"],
    [same, "corn"],
  ])
    writeFileSync(file, text);
  return { folder, path, other, same, aside };
}

/** What may happen to an input while it is read, and what is said of it. */
const CHANGES = {
  "replaced by another": [({ path, other }) => renameSync(other, path), /another file has taken its place/],
  "replaced by one that holds the same": [({ path, same }) => renameSync(same, path), /another file/],
  "written to": [({ path }) => writeFileSync(path, "rice"), /it was written to/],
  lengthened: [({ path }) => writeFileSync(path, "more corn"), /it had 4 bytes, now 9/],
  removed: [({ path }) => rmSync(path), /it is gone/],
  "replaced, and put back by a rename": [
    ({ path, other, aside }) => {
      renameSync(path, aside);
      renameSync(other, path);
      renameSync(path, other);
      renameSync(aside, path);
    },
    /moved, or written to and dated back/,
  ],
  "replaced, and put back as a copy": [
    ({ path, other, same }) => {
      copyFileSync(other, path);
      copyFileSync(same, path);
    },
    /it was written to/,
  ],
  "written to, put back and dated back": [
    ({ path }) => {
      const { atime, mtime } = statSync(path);
      writeFileSync(path, "rice");
      writeFileSync(path, "corn");
      utimesSync(path, atime, mtime);
    },
    /dated back|written to/,
  ],
};

for (const [what, [change, said]] of Object.entries(CHANGES)) {
  test(`an input that is ${what} fails the step that reads it, and nothing is kept`, async (t) => {
    const world = inputs(t);
    const { folder, path } = world;
    writeFileSync(path, "corn");
    await runStep(textStep(folder, "old"), testContext());
    const files = new InputFiles(path);
    for (const resumable of [false, true]) {
      const step = textStep(folder, "new", {
        files,
        resumable,
        async run(partial) {
          if (!resumable) change(world);
          writeFileSync(partial, "new");
          return { letters: 3 };
        },
      });
      await assert.rejects(runStep(step, testContext()), (error) => {
        assert.equal(error.kind, "input");
        assert.match(error.message, /^Input changed while it was read; the output was discarded, run again/);
        assert.deepEqual([error.where.path, error.where.year], [path, 2020]);
        assert.match(error.where.change, said);
        return true;
      });
      assert.deepEqual(readdirSync(join(folder, "out")), ["made.txt"]);
      assert.equal(readFileSync(join(folder, "out", "made.txt"), "utf8"), "old");
      assert.deepEqual(JSON.parse(readFileSync(step.record, "utf8")).inputs, { text: "old" });
    }
  });
}

test("links to an input and its permissions are nobody's business; a failure of the step itself stays what it was", async (t) => {
  const { folder, path } = inputs(t);
  const files = new InputFiles(path, join(folder, "never there"));
  const step = textStep(folder, "new", {
    files,
    async run(partial) {
      linkSync(path, join(folder, "link"));
      writeFileSync(partial, "new");
      return { letters: 3 };
    },
  });
  await runStep(step, testContext());
  assert.ok(existsSync(step.target));
  const failing = textStep(folder, "newer", { files, run: () => Promise.reject(new Error("out of luck")) });
  await assert.rejects(runStep(failing, testContext()), /out of luck/);
});

test("a link that was made and removed again is no change of its file; one of another file hides nothing", (t) => {
  const { folder, path, other, aside } = inputs(t);
  const link = join(folder, "link");
  const files = new InputFiles(path);
  const linkTo = (from) => {
    linkSync(from, link);
    files.linked(path, link);
    rmSync(link);
  };
  const movedAwayAndBack = () => {
    renameSync(path, aside);
    renameSync(aside, path);
  };
  linkTo(other);
  movedAwayAndBack();
  assert.throws(() => files.requireUnchanged(), /it was moved/);
  linkTo(path);
  files.requireUnchanged();
  writeFileSync(path, "beet");
  assert.throws(() => files.requireUnchanged(), /it was written to/);
});

test("what an input's change made of the step is told as that change", async (t) => {
  const { folder, path } = inputs(t);
  const step = textStep(folder, "new", {
    files: new InputFiles(path),
    run() {
      rmSync(path);
      return Promise.reject(new Error("ENOENT: no such file"));
    },
  });
  await assert.rejects(runStep(step, testContext()), {
    kind: "input",
    message: /changed while it was read.*it is gone/,
  });
});

test("a file that was missing must stay so", (t) => {
  const { folder } = inputs(t);
  const path = join(folder, "late");
  const files = new InputFiles(path);
  files.requireUnchanged();
  writeFileSync(path, "x");
  assert.throws(() => files.requireUnchanged(), { kind: "input", message: /it was not there/ });
});

test("a byte that the samples of a large input's digest do not see makes the step again; a mere copy does not", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "large");
  const bytes = Buffer.alloc(17 * 2 ** 20, 7);
  writeFileSync(path, bytes);
  const step = () => {
    const files = new InputFiles();
    return textStep(folder, "corn", { files, inputs: { large: files.digest(path) } });
  };
  const reason = async () => {
    const ctx = testContext();
    await runStep(step(), ctx);
    return ctx.lines.map(({ message }) => /^started \((.*)\)$/.exec(message)?.[1]).find((text) => text !== undefined);
  };
  assert.equal(await reason(), "no output yet");
  const { inputs, files } = JSON.parse(readFileSync(step().record, "utf8"));
  assert.equal(Object.keys(files)[0], path);
  assert.equal(await reason(), undefined);
  copyFileSync(path, join(folder, "copy"));
  renameSync(join(folder, "copy"), path);
  assert.equal(await reason(), undefined, "the same bytes in another file are the same input");
  // Between two samples.
  bytes[2 ** 20 + 100_000] = 8;
  writeFileSync(path, bytes);
  assert.equal(step().inputs.large, inputs.large, "the samples do not see it");
  assert.equal(await reason(), `${path} was changed since it was read`);
  assert.equal(await reason(), undefined);
});

test("in full, a byte that no sample sees is found though size and time are as they were: an input's and an output's", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "large");
  const bytes = Buffer.alloc(17 * 2 ** 20, 7);
  writeFileSync(path, bytes);
  const step = (inFull) => {
    const files = new InputFiles();
    const inputs = { large: files.digest(path) };
    const run = async (partial) => {
      writeFileSync(partial, bytes);
      return { letters: bytes.length };
    };
    return textStep(folder, "corn", { files, inputs, inFull, run, verify: async () => {} });
  };
  const flip = (file) => {
    const at = new Date("2020-01-01");
    utimesSync(file, at, at);
    const fd = openSync(file, "r+");
    writeSync(fd, Buffer.of(8), 0, 1, 2 ** 20 + 100_000);
    closeSync(fd);
    utimesSync(file, at, at);
  };
  utimesSync(path, new Date("2020-01-01"), new Date("2020-01-01"));
  await runStep(step(false), testContext());
  const { target } = step(false);
  assert.deepEqual(await judgeStep(step(true), false).then(({ skip }) => skip), true);
  flip(target);
  assert.equal((await judgeStep(step(false), false)).skip, true, "the samples do not see it");
  assert.equal((await judgeStep(step(true), false)).reason, `${target} was changed since`);
  await runStep(step(true), testContext());
  assert.deepEqual(readFileSync(target), bytes);
  flip(path);
  assert.equal((await judgeStep(step(false), false)).skip, true, "nobody seems to have written to it");
  await assert.rejects(runStep(step(true), testContext()), { kind: "input", message: /Input is damaged.*large/ });
});
