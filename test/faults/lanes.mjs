// What the campaign of faults does, lane by lane; each returns counts, and throws at the first thing that is lost,
// silently wrong, left behind or without a name.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { tempDirName } from "../../dist/tiles/temp-dir.js";
import { command } from "../support/command.mjs";
import { buildDiskFaults } from "../support/disk-faults.mjs";
import { ELSEWHERE } from "../support/elsewhere.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { Random } from "../support/random.mjs";
import { makeWorld, newRoot, processesAt, sha256 } from "../support/sample-world.mjs";
import { tempDirsIn } from "../support/temp-folder.mjs";

/** Counts so far by lane, for who ends a campaign early. */
export const progress = {};

const WORKER = fileURLToPath(new URL("../support/lapsed-worker.mjs", import.meta.url));
const MUTATOR = fileURLToPath(new URL("mutants.mjs", import.meta.url));

/** What every command is tried on: two small worlds, one of them with all that the commands make. */
export async function openGround() {
  const [world, other] = [
    await makeWorld({ fields: 300, years: [2019, 2020], args: ["--unzipped"] }),
    await makeWorld({ fields: 300, years: [2019], seed: 2, args: ["--unzipped"] }),
  ];
  const { root, source } = world;
  const made = await command("year", ["2019-2020", "--root", root, "--cdl-source", source, "--keep-cdl", "--quiet"]);
  assert.equal(made.code, 0, made.stderr);
  const elsewhere = await command("year", ["2019", "--root", other.root, "--cdl-source", other.source, "--quiet"]);
  assert.equal(elsewhere.code, 0, elsewhere.stderr);
  const zips = join(world.folder, "zips");
  mkdirSync(zips);
  const data = readFileSync(world.files.cdl[2019]);
  writeFileSync(join(zips, "2019_30m_cdls.zip"), handmadeZip([{ name: "2019_30m_cdls.tif", data }]));
  const [first] = await parquetReadObjects({
    file: await asyncBufferFromFile(join(root, "outputs/zonal/zonal_us_2019.parquet")),
    rowEnd: 1,
  });
  const id = String(first.field_id);
  return {
    world,
    other: { root: other.root, fields: other.files.raw, raster: other.files.cdl[2019] },
    commands: commandsOf(zips, id),
    close() {
      world.remove();
      other.remove();
    },
  };
}

/**
 * Every command that writes something: the parts of the root that it finds, what it makes in it, its arguments, and
 * which of the root's files it reads.
 */
function commandsOf(zips, id) {
  const raw = "data/fields_raw.parquet";
  const clean = "data/fields_clean.parquet";
  const zonal = (year) => `outputs/zonal/zonal_us_${year}.parquet`;
  const none = ["data/base", "data/zones", "data/cdl", "outputs", "logs", "fields.json"];
  const raster = "raster/2019_30m_cdls.tif";
  return {
    zonal: {
      without: none,
      inputs: { fields: raw, raster },
      args: (root) => [
        "--fields",
        join(root, raw),
        "--raster",
        join(root, raster),
        "--out",
        join(root, "out/z.parquet"),
      ],
    },
    prepare: {
      without: none,
      inputs: { fields: raw, raster },
      args: (root) => ["--fields", join(root, raw), "--raster", join(root, raster), "--out", join(root, "out/a.zones")],
    },
    base: {
      command: "prepare",
      without: none,
      inputs: { fields: raw, clean },
      args: (root) => ["--base", "--root", root],
    },
    year: {
      without: none,
      inputs: { fields: raw, clean, raster },
      args: (root) => ["2019", "--root", root, "--cdl-source", join(root, "raster"), "--keep-cdl"],
    },
    download: {
      without: none,
      inputs: {},
      args: (root) => ["2019", "--root", root, "--cdl-source", zips],
    },
    tiles: {
      without: [
        "outputs/tiles",
        "outputs/web",
        "outputs/state/us_2019_tiles.json",
        "outputs/state/us_2019_publish.json",
      ],
      inputs: { zonal: zonal(2019) },
      args: (root) => ["2019", "--root", root],
    },
    publish: {
      without: ["outputs/web", "outputs/state/us_2019_publish.json", "outputs/state/us_2019_published.json"],
      inputs: { archive: "outputs/tiles/fields_us_2019_full.pmtiles" },
      args: (root) => ["2019", "--root", root],
    },
    history: {
      without: ["outputs/history", "outputs/state/us_history.json"],
      inputs: { zonal: zonal(2019), clean },
      args: (root) => ["2019-2020", "--csv", "--root", root],
    },
    lookup: {
      command: "field",
      without: [],
      inputs: { fields: raw },
      args: (root) => ["--id", id, "--root", root],
    },
    export: {
      without: [],
      inputs: { fields: raw, zonal: zonal(2019) },
      args: (root) => ["--years", "2019-2020", "--root", root, "--out", join(root, "out/e.parquet")],
    },
    preview: {
      without: [],
      inputs: {},
      args: (root) => ["2019", "--root", root, "--out", join(root, "out/p.png")],
    },
    sample: {
      without: [...none, "data"],
      inputs: {},
      args: (root) => ["--root", join(root, "s"), "--fields", "200", "--years", "2019"],
    },
    batch: {
      without: none,
      inputs: {},
      args: (root) => ["run", "--items", itemsOf(root), "--out", join(root, "b"), "--", "cp", itemsOf(root), "{out}/r"],
    },
  };

  function itemsOf(root) {
    const path = join(root, "items.csv");
    writeFileSync(path, "id\na\nb\nc\n");
    return path;
  }
}

/** A trial's own root, as the command finds it. */
function trialOf(ground, name, number) {
  const spec = ground.commands[name];
  const root = join(ground.world.folder, `trial-${name}-${number}`);
  cpSync(ground.world.root, root, { recursive: true, preserveTimestamps: true });
  for (const path of spec.without) rmSync(join(root, path), { recursive: true, force: true });
  for (const path of ["cdl-source", "data/truth.parquet"]) rmSync(join(root, path), { recursive: true, force: true });
  mkdirSync(join(root, "raster"));
  mkdirSync(join(root, "out"));
  copyFileSync(ground.world.files.cdl[2019], join(root, "raster/2019_30m_cdls.tif"));
  const inputs = Object.fromEntries(Object.entries(spec.inputs).map(([key, path]) => [key, join(root, path)]));
  // What lies there before is no output of the command's.
  const before = new Set(Object.keys(filesOf(root)));
  before.add("items.csv");
  const threads = ["zonal", "prepare", "base", "year", "tiles", "export"].includes(name) ? ["--threads", "1"] : [];
  // What follows -- is another's.
  const argv = name === "batch" ? spec.args(root) : [...spec.args(root), "--quiet", ...threads];
  return {
    root,
    inputs,
    run: (options) => command(spec.command ?? name, argv, options),
    /** What the command has made, by path. */
    products: () => Object.fromEntries(Object.entries(filesOf(root)).filter(([path]) => !before.has(path))),
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** Files that a run leaves for good, as SHA-256 of their bytes, without times of day; no records, logs or scratch. */
function filesOf(root) {
  const names = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1));
  const kept = paths.filter((path) => !/^logs\/|^outputs\/state\/|^b\/(?!items\/)|(^|\/)\.|\.partial$/.test(path));
  return Object.fromEntries(
    kept.sort().map((path) => {
      const bytes = readFileSync(join(root, path));
      const text = path.endsWith("json") ? bytes.toString().replaceAll(TIME, "").replaceAll(root, "") : bytes;
      return [path, sha256(text)];
    }),
  );
}
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z?/g;

/** What the command makes of these inputs, undisturbed, and how long it takes; undefined where it refuses them. */
async function referenceOf(ground, name, replaced = {}) {
  const trial = trialOf(ground, name, `reference-${Object.keys(replaced).join("-")}`);
  for (const [key, path] of Object.entries(replaced)) copyFileSync(path, trial.inputs[key]);
  const began = performance.now();
  const run = await trial.run();
  const ms = performance.now() - began;
  const products = run.code === 0 ? trial.products() : undefined;
  trial.remove();
  return { products, ms, stderr: run.stderr };
}

/** What a run should have taken away. */
function leftOf({ root }) {
  const inRoot = readdirSync(root, { recursive: true }).filter((path) =>
    /\.scratch|\.lock|\.partial|\.part$|\.tmp$|\.new$|\.dead\./.test(path),
  );
  const shm = [2019, "base"].flatMap((what) => tempDirsIn("/dev/shm", tempDirName(root, "us", what)));
  return [...inRoot, ...shm, ...processesAt(root).map(({ line }) => line)];
}

/** Every product is whole: the reference's, or another that `allowed` names. */
function requireWhole(products, references, what) {
  for (const [path, digest] of Object.entries(products)) {
    const known = references.some((reference) => reference[path] === digest);
    assert.ok(known, `${what}: ${path} is half made or other`);
  }
}

const chosen = (ground, names) =>
  Object.keys(ground.commands).filter((name) => names.length === 0 || names.includes(name));

/** SIGKILL at any moment, several times; then the rerun makes the reference's bytes and leaves nothing. */
export async function kills(ground, count, seed = 1, names = []) {
  const random = new Random(seed);
  const done = {};
  progress.kills = done;
  for (const name of chosen(ground, names)) {
    const reference = await referenceOf(ground, name);
    assert.ok(reference.products !== undefined, `${name}: ${reference.stderr}`);
    assert.ok(Object.keys(reference.products).length > 0, name);
    let struck = 0;
    for (let round = 0; struck < count; round++) {
      const trial = trialOf(ground, name, round);
      for (let i = 0; i < 5; i++) {
        const run = await trial.run({
          onStart: (child) => setTimeout(() => child.kill("SIGKILL"), random.next() * reference.ms),
        });
        if (run.signal === "SIGKILL") done[name] = ++struck;
        requireWhole(trial.products(), [reference.products], `${name} after a kill`);
        // Batches end with the guard of their items.
        if (name === "batch") await sleep(50);
      }
      const run = await trial.run();
      assert.equal(run.code, 0, `${name}: ${run.stderr}`);
      assert.deepEqual(trial.products(), reference.products, `${name}: other bytes after kills`);
      assert.deepEqual(leftOf(trial), [], name);
      trial.remove();
    }
  }
  return done;
}

/** Errors of a disk by call: EIO, ENOSPC, EDQUOT, EROFS; 0 is a write of half of its bytes. */
const DISK_FAULTS = { write: [5, 28, 122, 0], fsync: [5, 28], open: [30, 28], rename: [5, 28] };
const FULL = new Set([28, 122]);

/** A file's name without what is drawn anew in each run; undefined where nothing else is in it. */
function fixedName(path) {
  const name = path
    .split("/")
    .at(-1)
    .replace(/[0-9a-f]{8}-[0-9a-f-]{4,}.*$/, "");
  return name.length > 2 ? name : undefined;
}

/**
 * Every file that a command writes, and its folder, on a disk that fails: each call is refused or cut short from some
 * time on. Then the command says so or does without; nothing half made is seen; and the rerun makes everything.
 */
export async function disk(ground, most, seed = 4, names = []) {
  const random = new Random(seed);
  const shim = buildDiskFaults(ground.world.folder);
  const done = { trials: 0, files: 0, failed: 0, unaffected: 0, short: 0 };
  progress.disk = done;
  for (const name of chosen(ground, names)) {
    const reference = await referenceOf(ground, name);
    assert.ok(reference.products !== undefined, `${name}: ${reference.stderr}`);
    const traced = trialOf(ground, name, "traced");
    const log = join(ground.world.folder, "calls");
    rmSync(log, { force: true });
    const env = (root, more) => ({ env: { LD_PRELOAD: shim, FAULT_ROOT: root, ...more } });
    assert.equal((await traced.run(env(traced.root, { FAULT_LOG: log }))).code, 0, name);
    traced.remove();
    const counts = new Map();
    for (const line of readFileSync(log, "utf8").trim().split("\n")) {
      const [call, path] = [line.slice(0, line.indexOf(" ")), fixedName(line)];
      if (path !== undefined) counts.set(`${call} ${path}`, (counts.get(`${call} ${path}`) ?? 0) + 1);
    }
    done.files += counts.size;
    const cases = [...counts].flatMap(([key, count]) => {
      const [call, path] = [key.slice(0, key.indexOf(" ")), key.slice(key.indexOf(" ") + 1)];
      const moments = count > 2 ? [1, Math.ceil(count / 2)] : [1];
      return DISK_FAULTS[call].flatMap((errno) => moments.map((at) => ({ call, path, count, errno, at })));
    });
    for (const { call, path, count, errno, at } of shuffled(cases, random).slice(0, most)) {
      const trial = trialOf(ground, name, "disk");
      const fault = { FAULT_CALL: call, FAULT_PATH: path, FAULT_AT: String(at), FAULT_ERRNO: String(errno) };
      const run = await trial.run(env(trial.root, fault));
      const what = `${name}: ${call} of ${path}, error ${errno} from call ${at} of ${count} on`;
      done.trials++;
      requireWhole(trial.products(), [reference.products], what);
      assert.equal(run.signal, null, what);
      if (run.code === 0) {
        assert.deepEqual(trial.products(), reference.products, what);
        done[errno === 0 ? "short" : "unaffected"]++;
      } else {
        assert.notEqual(errno, 0, `${what}: half a write is no error: ${run.stderr}`);
        assert.match(run.stderr, /ERROR /, `${what}: ${run.stderr}`);
        assert.doesNotMatch(run.stderr, /^\s+at /m, `${what}: ${run.stderr}`);
        if (FULL.has(errno)) assert.equal(run.code, 7, `${what}: ${run.stderr}`);
        done.failed++;
        const again = await trial.run();
        assert.equal(again.code, 0, `${what}, and a rerun: ${again.stderr}`);
        assert.deepEqual(trial.products(), reference.products, `${what}, and a rerun`);
      }
      assert.deepEqual(leftOf(trial), [], what);
      trial.remove();
    }
  }
  return done;
}

function shuffled(cases, random) {
  return cases
    .map((value) => ({ value, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
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

/** What an input is exchanged for: the same file of another world. */
function exchangedFor(ground, name, key) {
  const path = ground.commands[name].inputs[key];
  return key === "raster" ? ground.other.raster : join(ground.other.root, path);
}

/** Inputs replaced at any moment of a run: an error and no output, or the bytes of one of the two, never of both. */
export async function swaps(ground, count, seed = 2, names = []) {
  const random = new Random(seed);
  const done = { trials: 0, failed: 0, unaffected: 0, taken: 0 };
  progress.swaps = done;
  const cases = chosen(ground, names).flatMap((name) =>
    Object.keys(ground.commands[name].inputs).map((key) => [name, key]),
  );
  for (const [name, key] of cases) {
    const plain = await referenceOf(ground, name);
    assert.ok(plain.products !== undefined, `${name}: ${plain.stderr}`);
    const exchanged = await referenceOf(ground, name, { [key]: exchangedFor(ground, name, key) });
    for (let i = 0; i < Math.ceil(count / cases.length); i++) {
      const way = Object.keys(SWAPS)[i % 4];
      const trial = trialOf(ground, name, i);
      const other = join(trial.root, ".other");
      copyFileSync(exchangedFor(ground, name, key), other);
      let swapping = Promise.resolve();
      const run = await trial.run({
        onStart: () => {
          const at = random.next() * plain.ms;
          const stay = random.next() * plain.ms * 0.5;
          swapping = sleep(at).then(() => SWAPS[way](trial.inputs[key], other, stay));
        },
      });
      const back = await swapping;
      rmSync(`${trial.inputs[key]}.aside`, { force: true });
      rmSync(other, { force: true });
      const products = trial.products();
      const what = `seed ${seed}, trial ${i} of ${name}: ${key} ${way}`;
      done.trials++;
      const last = Math.max(0, ...Object.keys(products).map((path) => statSync(join(trial.root, path)).mtimeMs));
      // The exchanged input's bytes are right where it was not put back before the last of the output was written.
      const whole = exchanged.products !== undefined && (back === undefined || back > last - CLOCK_MS);
      requireWhole(products, [plain.products, ...(whole ? [exchanged.products] : [])], what);
      if (run.code !== 0) {
        assert.match(run.stderr, /ERROR /m, what);
        assert.doesNotMatch(run.stderr, /^\s+at /m, `${what}: ${run.stderr}`);
        done.failed++;
      } else {
        const same = (reference) => JSON.stringify(products) === JSON.stringify(reference);
        assert.ok(same(plain.products) || (whole && same(exchanged.products)), `${what}: silently wrong`);
        done[same(plain.products) ? "unaffected" : "taken"]++;
      }
      assert.deepEqual(leftOf(trial), [], what);
      trial.remove();
    }
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
    assert.match(first.output(), /ERROR Lost the lock during the run/);
    second.child.stdin.write("go\n");
    await second.exited;
    assert.equal(readFileSync(join(own, "out", "made.txt"), "utf8"), "second", second.output());
    assert.deepEqual(readdirSync(join(own, "out")), ["made.txt"]);
    rmSync(own, { recursive: true });
  }
  return { stopped: count };
}

/**
 * The same with every command, each with its own locks: stopped at any moment on another host, for longer than its
 * locks hold; the same command here takes over; the first one wakes. Both are told or done, and the output is whole.
 *
 * @param count  trials of a command; those of one command run side by side, for a lock holds for a minute.
 */
export async function sleepers(ground, count, seed = 6, names = []) {
  const random = new Random(seed);
  const done = { trials: 0, lost: 0, done: 0, waited: 0 };
  progress.sleepers = done;
  // A batch's claims are no locks: test/batch/takeover.test.mjs has them.
  for (const name of chosen(ground, names).filter((each) => each !== "batch")) {
    const reference = await referenceOf(ground, name);
    assert.ok(reference.products !== undefined, `${name}: ${reference.stderr}`);
    const sleeper = async (i, moment) => {
      const trial = trialOf(ground, name, i);
      let child;
      let ended = false;
      const first = trial.run({ before: ELSEWHERE, onStart: (started) => (child = started) });
      void first.finally(() => (ended = true));
      while (!ended && !hasLock(trial)) await sleep(2);
      await sleep(moment * reference.ms);
      const pids = below(child.pid);
      for (const pid of pids) kill(pid, "SIGSTOP");
      const began = performance.now();
      const second = await trial.run();
      const waited = performance.now() - began > LOCK_HOLDS_MS;
      const what = `${name}, stopped ${Math.round(moment * reference.ms)} ms after its first lock`;
      assert.equal(second.code, 0, `${what}: ${second.stderr}`);
      assert.deepEqual(trial.products(), reference.products, `${what}: the second's output`);
      for (const pid of pids) kill(pid, "SIGCONT");
      const { code, stderr } = await first;
      assert.ok(code === 0 || code === 6, `${what}, and woken: ${code} ${stderr}`);
      if (code === 6) assert.match(stderr, /ERROR .*(Lost the lock|Another process)/, what);
      assert.deepEqual(trial.products(), reference.products, `${what}: the output once the first woke`);
      assert.deepEqual(leftOf(trial), [], what);
      trial.remove();
      done.trials++;
      done[code === 6 ? "lost" : "done"]++;
      if (waited) done.waited++;
    };
    await Promise.all(Array.from({ length: count }, (_, i) => sleeper(i, 0.7 * random.next())));
  }
  return done;
}

const hasLock = ({ root }) => readdirSync(root, { recursive: true }).some((path) => path.endsWith(".lock"));

/** Somewhat less than the time after which a lock without a beat is another's to take. */
const LOCK_HOLDS_MS = 55_000;

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended by itself.
  }
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

/** The same outputs by many at once: one or more make them, the others are told who does. */
export async function together(
  ground,
  count,
  names = ["zonal", "prepare", "base", "year", "tiles", "history", "export"],
) {
  const done = { made: 0, told: 0 };
  for (const name of chosen(ground, names)) {
    const reference = await referenceOf(ground, name);
    const trial = trialOf(ground, name, "together");
    const runs = await Promise.all(Array.from({ length: count }, () => trial.run()));
    for (const { code, stderr } of runs) {
      assert.ok(code === 0 || code === 6, `${name}: ${code} ${stderr}`);
      done[code === 0 ? "made" : "told"]++;
    }
    assert.ok(
      runs.some(({ code }) => code === 0),
      name,
    );
    assert.deepEqual(trial.products(), reference.products, name);
    assert.deepEqual(leftOf(trial), [], name);
    trial.remove();
  }
  return done;
}

/** Different years, regions and options on one root at once, over one base and index: what they make one by one. */
export async function mixed(ground, rounds) {
  const done = { rounds: 0, runs: 0 };
  const runs = [
    ["2019"],
    ["2020"],
    ["2019", "--region", "b", "--max-zoom", "10"],
    ["2020", "--region", "c", "--ties", "highest", "--crop-names"],
  ];
  const start = (root, args) =>
    command("year", [...args, "--root", root, "--cdl-source", ground.world.source, "--threads", "1", "--quiet"]);
  const made = (root) => {
    const { "fields.json": _, ...named } = filesOf(root);
    // The index that all regions share has the name of the one that came first.
    const files = Object.fromEntries(
      Object.entries(named).map(([path, digest]) => [path.replace(/zones\/[a-z]+_/, "zones/"), digest]),
    );
    return { files, regions: JSON.parse(readFileSync(join(root, "fields.json"), "utf8")).regions };
  };
  const alone = newRoot(ground.world, "mixed-alone");
  for (const args of runs) {
    const { code, stderr } = await start(alone, [...args, ...(args.length === 1 ? ["--region", "us"] : [])]);
    assert.equal(code, 0, stderr);
  }
  const reference = made(alone);
  for (let i = 0; i < rounds; i++) {
    const root = newRoot(ground.world, `mixed-${i}`);
    const ended = await Promise.all(
      runs.map((args) => start(root, [...args, ...(args.length === 1 ? ["--region", "us"] : [])])),
    );
    for (const { code, stderr } of ended) assert.equal(code, 0, stderr);
    assert.deepEqual(made(root), reference);
    assert.deepEqual(leftOf({ root }), []);
    rmSync(root, { recursive: true });
    done.rounds++;
    done.runs += runs.length;
  }
  rmSync(alone, { recursive: true });
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
  const data = readFileSync(seeds.raster).subarray(0, 200_000);
  writeFileSync(seeds.zip, handmadeZip([{ name: "2019_30m_cdls.tif", data }]));
  return seeds;
}

const HANG_MS = 10_000;
const MAX_BYTES = 2 ** 30;

async function mutate(reader, path, folder, count, seed) {
  const result = { tried: 0, read: 0, refused: 0, peakMiB: 0 };
  progress[reader] = result;
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
    assert.ok(result.peakMiB * 2 ** 20 < MAX_BYTES, `${reader}: ${result.peakMiB} MiB`);
  }
  return result;
}
