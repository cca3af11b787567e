// What the campaign of faults does, lane by lane; each returns counts, and throws at the first thing that is lost,
// silently wrong, left behind or without a name.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { ELSEWHERE } from "../support/elsewhere.mjs";
import { Random } from "../support/random.mjs";
import { makeWorld, processesAt, runYear, sha256 } from "../support/sample-world.mjs";

const WORKER = fileURLToPath(new URL("../support/lapsed-worker.mjs", import.meta.url));
const MUTATOR = fileURLToPath(new URL("mutants.mjs", import.meta.url));

/** A small world, one year of it made, and what each command makes of it when nothing goes wrong. */
export async function openGround() {
  const [world, other] = [
    await makeWorld({ fields: 300, years: [2019, 2020], args: ["--unzipped"] }),
    await makeWorld({ fields: 300, years: [2019], seed: 2, args: ["--unzipped"] }),
  ];
  for (const year of [2019, 2020]) {
    const run = await runYear(world.root, year, world.source, ["--until", "zonal", "--quiet"]);
    assert.equal(run.code, 0, run.stderr);
  }
  const fields = world.files.raw;
  const raster = world.files.cdl[2019];
  return {
    world,
    other: { fields: other.files.raw, raster: other.files.cdl[2019] },
    commands: {
      zonal: {
        inputs: { fields, raster },
        out: "zonal.parquet",
        args: (i, out) => ["--fields", i.fields, "--raster", i.raster, "--out", out],
      },
      prepare: {
        inputs: { fields, raster },
        out: "a.zones",
        args: (i, out) => ["--fields", i.fields, "--raster", i.raster, "--out", out],
      },
    },
    close() {
      world.remove();
      other.remove();
    },
  };
}

/** A folder of a trial's own, with copies of a command's inputs. */
function trialOf(ground, name, number) {
  const { inputs, out, args } = ground.commands[name];
  const folder = join(ground.world.folder, `trial-${name}-${number}`);
  mkdirSync(folder);
  const own = Object.fromEntries(
    Object.entries(inputs).map(([key, path]) => {
      copyFileSync(path, join(folder, basename(path)));
      return [key, join(folder, basename(path))];
    }),
  );
  const target = join(folder, "out", out);
  return { folder, inputs: own, target, argv: [...args(own, target), "--threads", "1", "--quiet"] };
}

const digestOf = (path) => (existsSync(path) ? sha256(readFileSync(path)) : undefined);

/** What the command makes of these inputs, undisturbed, and how long it takes. */
async function referenceOf(ground, name, replaced = {}) {
  const trial = trialOf(ground, name, `reference-${Object.keys(replaced).join("-")}`);
  for (const [key, path] of Object.entries(replaced)) copyFileSync(path, trial.inputs[key]);
  const began = performance.now();
  const run = await command(name, trial.argv);
  const digest = run.code === 0 ? digestOf(trial.target) : undefined;
  rmSync(trial.folder, { recursive: true });
  return { digest, ms: performance.now() - began };
}

/** What a run should have taken away. */
function leftOf(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) => /\.scratch|\.lock|\.partial/.test(path));
}

/** SIGKILL at any moment, several times; then the rerun makes the reference's bytes and leaves nothing. */
export async function kills(ground, count, seed = 1) {
  const random = new Random(seed);
  const done = {};
  for (const name of Object.keys(ground.commands)) {
    const reference = await referenceOf(ground, name);
    assert.ok(reference.digest !== undefined);
    let struck = 0;
    for (let round = 0; struck < count; round++) {
      const trial = trialOf(ground, name, round);
      for (let i = 0; i < 5; i++) {
        const run = await command(name, trial.argv, {
          onStart: (child) => setTimeout(() => child.kill("SIGKILL"), random.next() * reference.ms),
        });
        if (run.signal === "SIGKILL") struck++;
        const seen = digestOf(trial.target);
        assert.ok(seen === undefined || seen === reference.digest, `${name}: half an output after a kill`);
      }
      const run = await command(name, trial.argv);
      assert.equal(run.code, 0, `${name}: ${run.stderr}`);
      assert.equal(digestOf(trial.target), reference.digest, `${name}: other bytes after kills`);
      assert.deepEqual(leftOf(trial.folder), [], name);
      assert.deepEqual(processesAt(trial.folder), [], name);
      rmSync(trial.folder, { recursive: true });
    }
    done[name] = struck;
  }
  return done;
}

/** A file system's clock goes in steps of up to 10 ms. */
const CLOCK_MS = 10;

/** Ways in which an input changes hands; where it is put back, when that was. */
const SWAPS = {
  renamed: async (path, other) => renameSync(other, path),
  "written over": async (path, other) => copyFileSync(other, path),
  "renamed and back": async (path, other, waitMs) => {
    renameSync(path, `${path}.aside`);
    renameSync(other, path);
    await sleep(waitMs);
    const back = Date.now();
    renameSync(`${path}.aside`, path);
    return back;
  },
  "written over and back": async (path, other, waitMs) => {
    copyFileSync(path, `${path}.aside`);
    copyFileSync(other, path);
    await sleep(waitMs);
    const back = Date.now();
    copyFileSync(`${path}.aside`, path);
    return back;
  },
};

/** Inputs replaced at any moment of a run: an error and no output, or the bytes of one of the two, never of both. */
export async function swaps(ground, count, seed = 2) {
  const random = new Random(seed);
  const done = { trials: 0, failed: 0, unaffected: 0, taken: 0 };
  const references = {};
  for (const name of Object.keys(ground.commands)) {
    references[name] = { plain: await referenceOf(ground, name) };
    for (const key of ["fields", "raster"])
      references[name][key] = await referenceOf(ground, name, { [key]: ground.other[key] });
  }
  for (let i = 0; i < count; i++) {
    const name = Object.keys(ground.commands)[i % 2];
    const key = ["fields", "raster"][Math.floor(i / 2) % 2];
    const way = Object.keys(SWAPS)[Math.floor(i / 4) % 4];
    const { plain, [key]: exchanged } = references[name];
    const trial = trialOf(ground, name, i);
    const other = join(trial.folder, "other");
    copyFileSync(ground.other[key], other);
    let swapping = Promise.resolve();
    const run = await command(name, trial.argv, {
      onStart: () => {
        const at = random.next() * plain.ms;
        const stay = random.next() * plain.ms * 0.5;
        swapping = sleep(at).then(() => SWAPS[way](trial.inputs[key], other, stay));
      },
    });
    const back = await swapping;
    const made = digestOf(trial.target);
    const what = `trial ${i}: ${name}, ${key} ${way}`;
    done.trials++;
    if (run.code !== 0) {
      assert.equal(made, undefined, `${what}: failed, and left an output: ${run.stderr}`);
      assert.match(run.stderr, /^ERROR /m, what);
      assert.doesNotMatch(run.stderr, /^\s+at /m, `${what}: ${run.stderr}`);
      done.failed++;
    } else {
      // The exchanged input's bytes are right where it was not put back before the last of the output was written.
      const whole = back === undefined || back > statSync(trial.target).mtimeMs - CLOCK_MS;
      const allowed = whole ? [plain.digest, exchanged.digest] : [plain.digest];
      assert.ok(allowed.includes(made), `${what}: silently wrong`);
      done[made === plain.digest ? "unaffected" : "taken"]++;
    }
    assert.deepEqual(leftOf(trial.folder), [], what);
    rmSync(trial.folder, { recursive: true });
  }
  return done;
}

/** SIGSTOP past a lock's age, another takes over, SIGCONT: the second's output, and nothing of the first's. */
export async function stops(folder, count) {
  for (let i = 0; i < count; i++) {
    const own = join(folder, `stop-${i}`);
    mkdirSync(own);
    const start = (text, before = []) => {
      const argv = [...before, process.execPath, WORKER, own, text, String(i % 2 === 1)];
      const child = spawn(argv[0], argv.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
      const exited = new Promise((resolve) => child.on("close", resolve));
      const working = async () => {
        while (!output.includes("working")) {
          assert.equal(child.exitCode, null, output);
          await sleep(5);
        }
      };
      return { child, working, exited, output: () => output };
    };
    const first = start("first", ELSEWHERE);
    await first.working();
    const asleep = below(first.child.pid);
    for (const pid of asleep) process.kill(pid, "SIGSTOP");
    const second = start("second");
    await second.working();
    for (const pid of asleep) process.kill(pid, "SIGCONT");
    first.child.stdin.write("go\n");
    await first.exited;
    assert.match(first.output(), /ERROR Lock was lost while working/);
    second.child.stdin.write("go\n");
    await second.exited;
    assert.equal(readFileSync(join(own, "out", "made.txt"), "utf8"), "second", second.output());
    assert.deepEqual(readdirSync(join(own, "out")), ["made.txt"]);
    rmSync(own, { recursive: true });
  }
  return { stopped: count };
}

/** Processes below one, itself left out. */
function below(ancestor) {
  const parents = new Map();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      parents.set(Number(name), Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))[1]));
    } catch {
      // Gone by now.
    }
  }
  const isBelow = (pid) => pid === ancestor || (parents.has(pid) && pid > 1 && isBelow(parents.get(pid)));
  return [...parents.keys()].filter((pid) => pid !== ancestor && isBelow(pid));
}

/** The same file made by many at once: one makes it, the others are told so. */
export async function together(ground, count) {
  const done = { made: 0, told: 0 };
  for (const name of Object.keys(ground.commands)) {
    const reference = await referenceOf(ground, name);
    const trial = trialOf(ground, name, "together");
    const runs = await Promise.all(Array.from({ length: count }, () => command(name, trial.argv)));
    for (const { code, stderr } of runs) {
      assert.ok(code === 0 || code === 6, `${name}: ${code} ${stderr}`);
      done[code === 0 ? "made" : "told"]++;
    }
    assert.ok(
      runs.some(({ code }) => code === 0),
      name,
    );
    assert.equal(digestOf(trial.target), reference.digest);
    assert.deepEqual(leftOf(trial.folder), []);
    rmSync(trial.folder, { recursive: true });
  }
  return done;
}

/** Files with wrong bytes, in processes of their own: no crash, no hang, no error without a name, no more than 1 GiB. */
export async function mutants(ground, count, seed = 3) {
  const folder = join(ground.world.folder, "mutants");
  mkdirSync(folder, { recursive: true });
  const done = {};
  for (const [reader, path] of Object.entries(await seedsOf(ground, folder))) {
    const result = await mutate(reader, path, folder, count, seed);
    done[reader] = result;
  }
  return done;
}

/** A sound file of each kind. */
async function seedsOf(ground, folder) {
  const { root } = ground.world;
  const zones = readdirSync(join(root, "data", "zones")).find((name) => name.endsWith(".zones"));
  const seeds = {
    zones: join(root, "data", "zones", zones),
    zonal: join(root, "outputs", "zonal", "zonal_us_2019.parquet"),
    fields: ground.world.files.raw,
    raster: ground.world.files.cdl[2019],
    archive: join(folder, "seed.pmtiles"),
    zip: join(folder, "seed.zip"),
  };
  const { writeFields } = await import("../support/field-tiles.mjs");
  writeFields(seeds.archive, {});
  const { handmadeZip } = await import("../support/handmade-zip.mjs");
  const data = readFileSync(seeds.raster).subarray(0, 200_000);
  writeFileSync(seeds.zip, handmadeZip([{ name: "2019_30m_cdls.tif", data }]));
  return seeds;
}

const HANG_MS = 10_000;
const MOST_BYTES = 2 ** 30;

async function mutate(reader, path, folder, count, seed) {
  const result = { tried: 0, read: 0, refused: 0, peakMiB: 0 };
  while (result.tried < count) {
    const args = [MUTATOR, reader, path, folder, String(seed), String(result.tried), String(count)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    // Loading takes as long as it takes; what is timed is a file.
    let [line, errors, last] = ["", "", Infinity];
    child.stderr.on("data", (data) => (errors = (errors + data).slice(-4000)));
    child.stdout.on("data", (data) => {
      last = performance.now();
      const lines = (line + data).split("\n");
      line = lines.pop();
      for (const text of lines) {
        const [word, ...rest] = text.split(" ");
        if (word === "start") continue;
        if (word === "unnamed") assert.fail(`${reader}: ${rest.join(" ")}`);
        result[word]++;
        result.tried++;
      }
    });
    let hung = false;
    const watch = setInterval(() => {
      try {
        const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024;
        result.peakMiB = Math.max(result.peakMiB, Math.round(peak));
      } catch {
        // Ended just now.
      }
      if (performance.now() - last < HANG_MS) return;
      hung = true;
      child.kill("SIGKILL");
    }, 200);
    const code = await new Promise((resolve) => child.on("close", (status, signal) => resolve(signal ?? status)));
    clearInterval(watch);
    assert.ok(!hung, `${reader}: mutant ${result.tried} of seed ${seed} takes more than 10 s`);
    assert.equal(code, 0, `${reader}: mutant ${result.tried} of seed ${seed} ends the process: ${code} ${errors}`);
    assert.ok(result.peakMiB * 2 ** 20 < MOST_BYTES, `${reader}: ${result.peakMiB} MiB`);
  }
  return result;
}
