// The process is ended at many moments, by kill -9 and by signals; what a rerun then makes must be, byte for
// byte, what an undisturbed run makes. The moments are seeded; where exactly they strike is the machine's choice.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tempDirName } from "../../dist/tiles/temp-dir.js";
import { startFolderServer } from "../support/folder-server.mjs";
import { holdManifest } from "../support/hold-lock.mjs";
import { Random } from "../support/random.mjs";
import {
  leftovers,
  logLines,
  makeWorld,
  newRoot,
  outputsOf,
  processesAt,
  runYear,
  stagesOf,
} from "../support/sample-world.mjs";
import { tempDirsIn } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEAR = 2019;
const YEARS = [2017, 2018, 2019, 2020];
const ARGS = ["--max-dirty", "0.05", "--tiler", "tippecanoe"];

let world;
let server;
let reference;

describe("a year that is ended", { skip: noTippecanoe }, () => {
  before(async () => {
    world = await makeWorld({ fields: 900, years: YEARS, seed: 3, args: ["--dirty"] });
    // Some 100 ms for a zip: long enough to be struck.
    server = await startFolderServer(world.source, { pieceBytes: 8192, pauseMs: 15 });
    const root = newRoot(world, "reference");
    const run = await year(root);
    assert.equal(run.code, 0, run.stderr);
    reference = outputsOf(root, YEAR);
    assert.deepEqual(Object.keys(reference), ["zonal", "dirty", "archive", "published", "manifest"]);
  });
  after(async () => {
    await server?.close();
    world?.remove();
  });

  const year = (root, options, which = YEAR) => runYear(root, which, server.template, ARGS, options);

  /** When to strike: once `when` holds, and up to `withinMs` later. */
  const said = (step, words) => (root, pid) =>
    logLines(root, YEAR).some((line) => line.pid === pid && line.step === step && line.msg.startsWith(words));
  const MOMENTS = [
    { name: "download", when: said("download", "started"), withinMs: 150 },
    { name: "zones", when: said("zones", "started"), withinMs: 60 },
    { name: "zonal", when: isCounting, withinMs: 30 },
    { name: "release", when: said("zonal", "done"), withinMs: 4 },
    { name: "base", when: said("base", "started"), withinMs: 250 },
    { name: "tippecanoe", when: said("base", "tippecanoe"), withinMs: 600 },
    { name: "precompress", when: isPrecompressing, withinMs: 60 },
    { name: "compare", when: said("base", "tiles are precompressed"), withinMs: 60 },
    { name: "tiles", when: said("base", "done"), withinMs: 60 },
    { name: "attributes", when: said("tiles", "writing crops into tiles"), withinMs: 60 },
    { name: "publish", when: said("publish", "started"), withinMs: 25 },
  ];

  /** The zonal step is under way and the index is there, made by this run or an earlier one. */
  function isCounting(root, pid) {
    const folder = join(root, "data/zones");
    if (!said("zonal", "started")(root, pid) || !existsSync(folder)) return false;
    return readdirSync(folder).some((name) => name.endsWith(".zones") && !name.startsWith("."));
  }

  /** The base is being written. */
  function isPrecompressing(root) {
    const folder = join(root, "data/base");
    if (!existsSync(folder)) return false;
    const scratch = readdirSync(folder).find((name) => name.endsWith(".scratch"));
    return (
      scratch !== undefined && existsSync(join(folder, scratch, scratch.replace(/^\.|\.[0-9a-f]{12}\.scratch$/g, "")))
    );
  }

  /**
   * Run the year and send `signal` at a moment, to the process alone (its children are left to their fate, as
   * with an OOM killer) or to its whole group (as a terminal does).
   *
   * @returns how the process ended, and the step that was under way (undefined when it had ended before).
   */
  async function strike(root, { when, withinMs }, signal, random, { group = false } = {}) {
    const waitMs = withinMs * random.next();
    let child;
    let ended = false;
    const running = year(root, { detached: group, onStart: (started) => (child = started) });
    void running.finally(() => {
      ended = true;
    });
    while (!ended && !when(root, child.pid)) await sleep(1);
    if (!ended) await sleep(waitMs);
    if (!ended) process.kill(group ? -child.pid : child.pid, signal);
    const run = await running;
    const own = logLines(root, YEAR).filter(({ pid }) => pid === child.pid);
    const open = own.filter(
      ({ msg, step }) => msg.startsWith("started") && !own.some((l) => l.step === step && l.msg.startsWith("done")),
    );
    return { ...run, step: open.at(-1)?.step };
  }

  /** A child that the kernel ends with its parent needs a moment to be gone. */
  async function assertNoProcess(root) {
    for (let i = 0; i < 1500 && processesAt(root).length > 0; i++) await sleep(20);
    assert.deepEqual(processesAt(root), []);
  }

  /** Run to the end; nothing may be left, and the outputs must be those of an undisturbed run. */
  async function assertRecovers(root, what) {
    const run = await year(root);
    assert.equal(run.code, 0, `${what}: ${run.stderr}`);
    assert.deepEqual(outputsOf(root, YEAR), reference, what);
    // The lock of a dead maker of zone index or base stands until somebody wants to make one again.
    const left = leftovers(root, YEAR).filter((path) => !/outputs\/state\/(zones|base)_\w+\.lock$/.test(path));
    assert.deepEqual(left, [], what);
    const again = await year(root);
    assert.deepEqual([again.code, stagesOf(again).done], [0, []], what);
  }

  /** `count` roots at a time two by two: the machine has as many cores. */
  async function inTwoLanes(count, body) {
    let next = 0;
    const lane = async () => {
      while (next < count) await body(next++);
    };
    await Promise.all([lane(), lane()]);
  }

  test("kill -9 in every stage, again and again: the rerun's bytes are those of an undisturbed run", async (t) => {
    const [chains, struck] = [3, []];
    await inTwoLanes(chains, async (chain) => {
      const root = newRoot(world, `killed-${chain}`);
      const random = new Random(100 + chain);
      for (const moment of MOMENTS) {
        const { signal, step, code, stderr } = await strike(root, moment, "SIGKILL", random);
        if (signal === "SIGKILL") struck.push({ chain, moment: moment.name, step: step ?? "between" });
        else assert.equal(code, 0, stderr);
        await assertNoProcess(root);
      }
      await assertRecovers(root, `chain ${chain}`);
    });
    const count = (name) => struck.filter(({ step }) => step === name).length;
    const counts = Object.fromEntries(
      ["download", "zones", "zonal", "base", "tiles", "publish", "between"].map((s) => [s, count(s)]),
    );
    t.diagnostic(`${struck.length} kills: ${JSON.stringify(counts)}`);
    assert.ok(struck.length >= 20, `only ${struck.length} kills`);
    // The short ones may be over before a kill gets there; these take long enough on any machine.
    for (const name of ["download", "zones", "base"])
      assert.ok(counts[name] >= chains, `${name} was struck ${counts[name]} times`);
  });

  test("what a killed run left in /dev/shm goes, also where the next run has its scratch elsewhere", async () => {
    const working = MOMENTS.find(({ name }) => name === "tippecanoe");
    // On a busy machine a kill may come when the folder has gone again.
    let root;
    const inMemory = () => tempDirsIn("/dev/shm", tempDirName(root, "us", "base")).length > 0;
    for (let attempt = 1; attempt <= 5 && !(root && inMemory()); attempt++) {
      root = newRoot(world, `other-scratch-${attempt}`);
      const moment = { when: (...at) => working.when(...at) && inMemory(), withinMs: 0 };
      await strike(root, moment, "SIGKILL", new Random(attempt));
    }
    assert.ok(inMemory(), "a kill struck while tippecanoe had its folder there");
    const scratch = join(world.folder, "scratch");
    mkdirSync(scratch);
    const run = await runYear(root, YEAR, server.template, [...ARGS, "--scratch", scratch]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual([leftovers(root, YEAR), readdirSync(scratch)], [[], []]);
    assert.deepEqual(outputsOf(root, YEAR), reference);
  });

  test("kill -9 at any moment at all, until one run gets through", async (t) => {
    await inTwoLanes(2, async (chain) => {
      const root = newRoot(world, `anytime-${chain}`);
      const random = new Random(200 + chain);
      let kills = 0;
      for (; kills < 6; kills++) {
        const anytime = { when: () => true, withinMs: 800 + 700 * kills };
        const { signal, code, stderr } = await strike(root, anytime, "SIGKILL", random);
        await assertNoProcess(root);
        if (signal === "SIGKILL") continue;
        assert.equal(code, 0, stderr);
        break;
      }
      t.diagnostic(`chain ${chain}: ${kills} kills`);
      await assertRecovers(root, `chain ${chain}`);
    });
  });

  for (const [signal, code, group] of [
    ["SIGTERM", 143, false],
    ["SIGINT", 130, true],
  ]) {
    test(`${signal} in every stage: exit code ${code}, children ended, scratch removed, resumable`, async () => {
      const root = newRoot(world, signal);
      const random = new Random(code);
      // Publishing is over in milliseconds: a lock that somebody else holds makes it wait.
      const manifestLock = await holdManifest(root);
      for (const moment of MOMENTS.filter(({ name }) => name !== "release")) {
        const held = moment.name === "publish";
        const { withinMs } = moment;
        // The moment must come while the stage is under way, which half the time sees to.
        const struck = await strike(root, { ...moment, withinMs: held ? withinMs : withinMs / 2 }, signal, random, {
          group,
        });
        assert.equal(struck.signal, null);
        assert.equal(struck.code, code, `${moment.name}: ${struck.stderr}`);
        assert.match(struck.stderr, new RegExp(`^ERROR .*Ended by ${signal}; finished work is kept`, "m"));
        await assertNoProcess(root);
        const left = leftovers(root, YEAR).filter((path) => !path.includes("us_full_years.json.lock"));
        // A download, a zone index and an upload go on from where they were.
        assert.deepEqual(
          left.filter((path) => !/^(data\/(cdl|zones)|outputs\/state)\/\.[^/]+\.scratch/.test(path)),
          [],
          moment.name,
        );
      }
      await manifestLock.release();
      await assertRecovers(root, signal);
    });
  }

  test("two processes on the same year: one works, the other ends with 6 and names it", async () => {
    const root = newRoot(world, "same-year");
    let first;
    const working = year(root, { onStart: (child) => (first = child) });
    while (!said("download", "started")(root, first.pid)) await sleep(2);
    const second = await year(root);
    assert.equal(second.code, 6, second.stderr);
    assert.match(second.stderr, /^ERROR Another process is working on this .*us_2019\.lock/m);
    assert.ok(
      second.stderr.includes(`host=${hostname()}`) && second.stderr.includes(`pid=${first.pid}`),
      second.stderr,
    );
    const run = await working;
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(outputsOf(root, YEAR), reference);
    assert.deepEqual(leftovers(root, YEAR), []);
  });

  test("four years at once on one root: one makes the zone index, one the base, all four are in the manifest", async () => {
    const root = newRoot(world, "four-years");
    const runs = await Promise.all(YEARS.map((which) => year(root, {}, which)));
    for (const run of runs) assert.equal(run.code, 0, run.stderr);
    for (const once of ["zones", "base"])
      assert.equal(runs.filter((run) => stagesOf(run).done.includes(once)).length, 1, once);
    const { archives, years } = JSON.parse(readFileSync(join(root, "outputs/web/us_full_years.json"), "utf8"));
    assert.deepEqual(years, YEARS);
    assert.deepEqual(Object.keys(archives), YEARS.map(String));
    const { manifest: _four, ...outputs } = outputsOf(root, YEAR);
    assert.deepEqual({ ...outputs, manifest: reference.manifest }, reference);
    for (const which of YEARS) assert.deepEqual(leftovers(root, which), []);
  });

  test("of two years at once the maker of the zone index is killed: the other one makes it", async () => {
    const root = newRoot(world, "maker-killed");
    const children = {};
    const running = [2018, 2020].map((which) => year(root, { onStart: (child) => (children[which] = child) }, which));
    const makes = (which) =>
      logLines(root, which).some(({ step, msg }) => step === "zones" && msg.startsWith("started"));
    while (!makes(2018) && !makes(2020)) await sleep(2);
    const maker = makes(2018) ? 2018 : 2020;
    children[maker].kill("SIGKILL");
    const [a, b] = await Promise.all(running);
    const [killed, other] = maker === 2018 ? [a, b] : [b, a];
    assert.equal(killed.signal, "SIGKILL");
    assert.equal(other.code, 0, other.stderr);
    const rerun = await year(root, {}, maker);
    assert.equal(rerun.code, 0, rerun.stderr);
    for (const which of [2018, 2020]) assert.deepEqual(leftovers(root, which), []);
  });
});
