// Years on a real Slurm cluster of four nodes: spread, failing, struck by a node's death, cancelled, out of time.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { testProfile } from "../support/cluster-profile.mjs";
import { command } from "../support/command.mjs";
import { leftovers, logLines, makeWorld, newRoot, outputsOf, processesAt } from "../support/sample-world.mjs";
import { slurmMissing, startSlurm, until } from "../support/slurm.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEARS = [2016, 2017, 2018, 2019, 2020];
/** Patience for five small years on two busy cores. */
const JOB_LIMIT_MS = 240_000;
const WORK = ["--threads=1", "--max-zoom=9"];

let world;
let slurm;
let betzy;
let saga;
let reference;

describe("years on a cluster", { skip: slurmMissing() || noTippecanoe, timeout: 600_000 }, () => {
  before(async () => {
    [world, slurm] = await Promise.all([makeWorld({ fields: 150, years: YEARS, seed: 5 }), startSlurm()]);
    betzy = testProfile(world.folder, "betzy");
    saga = testProfile(world.folder, "saga");
    // What an undisturbed machine makes of them.
    const root = newRoot(world, "reference");
    const made = await command("year", [String(YEARS[0]), "--root", root, "--cdl-source", world.source, ...WORK]);
    assert.equal(made.code, 0, made.stderr);
    reference = outputsOf(root, YEARS[0]);
  });
  after(async () => {
    await slurm?.stop();
    world?.remove();
  });

  /** `node dist/cluster.js submit`; the job's id. */
  async function submit(root, years, args = [], { cluster = betzy, env = {}, source = world.source } = {}) {
    const own = ["submit", ...cluster, "--years", years, "--root", root, "--cdl-source", source, ...WORK, ...args];
    const run = await command("cluster", own, { env: { ...slurm.env, ...env }, cwd: world.folder });
    assert.equal(run.code, 0, run.stderr);
    return run.stdout.trim();
  }
  const outputOf = (root, job) => readFileSync(join(root, "logs", `fields-years_${job}.out`), "utf8");
  const check = (root, years) =>
    command("cluster", ["check", years, "--root", root, "--cdl-source", world.source, ...WORK, "--json"]);
  /** Nothing in the root, in /dev/shm or in the process table, but what a dead maker of the zone index may leave. */
  function assertClean(root) {
    for (const year of YEARS) {
      const left = leftovers(root, year).filter((path) => !/outputs\/state\/zones_\w+\.lock$/.test(path));
      assert.deepEqual(left, []);
    }
  }
  async function assertAllDone(root, years = YEARS) {
    const { code, json } = await check(root, years.join(","));
    assert.equal(code, 0, JSON.stringify(json));
    const manifest = JSON.parse(readFileSync(join(root, "outputs/web/us_full_years.json"), "utf8"));
    assert.deepEqual(manifest.years, years);
    if (years.includes(YEARS[0])) {
      const { manifest: _years, ...outputs } = outputsOf(root, YEARS[0]);
      assert.deepEqual({ ...outputs, manifest: reference.manifest }, reference);
    }
    assertClean(root);
  }

  test("five years on four nodes, one a node; the next begins as a node gets free", async () => {
    const root = newRoot(world, "spread");
    const job = await submit(root, "2016-2020");
    const { JobState } = await slurm.ended(job, JOB_LIMIT_MS);
    const output = outputOf(root, job);
    assert.equal(JobState, "COMPLETED", output);
    assert.match(output, /5 of 5 years are done/);
    await assertAllDone(root);
    const nodes = YEARS.slice(0, 4).map((year) => nodeOf(root, year));
    assert.deepEqual([...nodes].sort(), slurm.nodes);
    for (const year of YEARS) assert.ok(existsSync(join(root, "logs", `year_${year}.out`)));
  });

  /** The node that a year's last process ran on, as its own log has it. */
  function nodeOf(root, year) {
    return logLines(root, year).findLast(({ node }) => node !== undefined)?.node;
  }

  /** Wait until one of the years is in that stage, and say which. */
  async function yearIn(root, stage, years = YEARS) {
    let found;
    await until(
      () => {
        found = years.find((year) => {
          const lines = logLines(root, year).filter(({ step }) => step === stage);
          return lines.length > 0 && !lines.some(({ msg }) => msg.startsWith("done"));
        });
        return found !== undefined;
      },
      `a year in stage ${stage}`,
      JOB_LIMIT_MS,
      10,
    );
    return found;
  }

  test("a year that fails does not end the others; the job's exit code says that not all are valid", async () => {
    const root = newRoot(world, "failing");
    // There is no raster of 2015.
    const job = await submit(root, "2015-2017");
    const { JobState, ExitCode } = await slurm.ended(job, JOB_LIMIT_MS);
    const output = outputOf(root, job);
    assert.deepEqual([JobState, ExitCode], ["FAILED", "3:0"], output);
    assert.match(output, /year 2015 FAILED, and would again \(exit code 4\): see .*year_2015.out/);
    assert.match(
      output,
      /2015 {2}NOT DONE {2}download: not made yet\n2016 {2}done\n2017 {2}done\n2 of 3 years are done/,
    );
    assert.match(readFileSync(join(root, "logs/year_2015.out"), "utf8"), /ERROR .*2015/);
    await assertAllDone(root, [2016, 2017]);
  });

  test("a node that dies loses its year alone, which another node takes up", async () => {
    const root = newRoot(world, "node-death");
    const job = await submit(root, "2016-2019");
    await until(() => YEARS.slice(0, 4).every((year) => nodeOf(root, year)), "four years", JOB_LIMIT_MS);
    const { BatchHost } = await slurm.job(job);
    // Not the node of the job's own script: the next test strikes that one.
    const others = YEARS.slice(0, 4).filter((year) => nodeOf(root, year) !== BatchHost);
    const struck = await yearIn(root, "tiles", others);
    const node = nodeOf(root, struck);
    await slurm.killNode(node);
    const { JobState, Restarts } = await slurm.ended(job, JOB_LIMIT_MS);
    const output = outputOf(root, job);
    assert.deepEqual([JobState, Restarts], ["COMPLETED", "0"], output);
    const begun = (year) => [...output.matchAll(new RegExp(`year ${year} begins`, "g"))].length;
    for (const year of YEARS.slice(0, 4)) assert.equal(begun(year), year === struck ? 2 : 1, output);
    assert.match(
      output,
      new RegExp(`year ${struck} is not done, and ${node} does not answer: taken up again on another node`),
    );
    assert.notEqual(nodeOf(root, struck), node);
    await slurm.revive(node);
    await assertAllDone(root, YEARS.slice(0, 4));
  });

  test("the node of the job's own script dies: the job is requeued and finds what was done", async () => {
    const root = newRoot(world, "batch-node");
    const job = await submit(root, "2016-2018", [], { env: { FIELDS_SENTINEL_S: "2" } });
    await yearIn(root, "tiles");
    const { BatchHost } = await slurm.job(job);
    await slurm.killNode(BatchHost);
    // The others' work goes on, and only then the job is requeued: it has four nodes again when this one is back.
    await until(async () => (await slurm.job(job)).Restarts === "1", "a requeue", JOB_LIMIT_MS);
    await slurm.revive(BatchHost);
    const { JobState } = await slurm.ended(job, JOB_LIMIT_MS);
    assert.equal(JobState, "COMPLETED", outputOf(root, job));
    await assertAllDone(root, [2016, 2017, 2018]);
  });

  test("scancel leaves nothing corrupt and nothing in /dev/shm; the same command goes on from there", async () => {
    const root = newRoot(world, "cancelled");
    const first = await submit(root, "2016-2018");
    await yearIn(root, "tiles");
    await slurm.run("scancel", [first]);
    const { JobState } = await slurm.ended(first, JOB_LIMIT_MS);
    assert.equal(JobState, "CANCELLED", outputOf(root, first));
    await until(() => processesAt(root).length === 0, "the end of all processes", JOB_LIMIT_MS);
    assertClean(root);
    const { code } = await check(root, "2016-2018");
    assert.equal(code, 3);
    const second = await submit(root, "2016-2018");
    assert.equal((await slurm.ended(second, JOB_LIMIT_MS)).JobState, "COMPLETED", outputOf(root, second));
    await assertAllDone(root, [2016, 2017, 2018]);
  });

  test("ahead of the time limit: stages under way end, no other begins, the job requeues itself and ends well", async () => {
    const root = newRoot(world, "notice");
    const job = await submit(root, "2016-2017");
    await yearIn(root, "tiles");
    // What --signal=B:USR1@900 does when its time has come.
    await slurm.run("scancel", ["--signal=USR1", "--batch", job]);
    const { JobState, Restarts } = await slurm.ended(job, JOB_LIMIT_MS);
    const output = outputOf(root, job);
    assert.deepEqual([JobState, Restarts], ["COMPLETED", "1"], output);
    assert.match(output, /the time limit is near[\s\S]+is not done yet \(exit code 11\)[\s\S]+back into the queue/);
    assert.match(output, /requeued 1 times[\s\S]+2 of 2 years are done/);
    const lines = [2016, 2017].flatMap((year) => logLines(root, year));
    assert.ok(lines.some(({ msg }) => msg.startsWith("Ended early by SIGUSR1")));
    // What was under way was finished, not done over again.
    for (const year of [2016, 2017]) {
      const tilings = logLines(root, year).filter(({ step, msg }) => step === "tiles" && msg.startsWith("begins"));
      assert.equal(tilings.length, 1, `year ${year} was tiled ${tilings.length} times`);
    }
    await assertAllDone(root, [2016, 2017]);
  });

  test("Saga: years in turn on one node, or as an array a year a task", async () => {
    const turn = newRoot(world, "saga-turn");
    const array = newRoot(world, "saga-array");
    const jobs = [
      await submit(turn, "2016-2017", ["--mem=10G"], { cluster: saga }),
      await submit(array, "2018-2019", ["--array", "--at-once=2", "--mem=10G"], { cluster: saga }),
    ];
    for (const job of jobs) await slurm.ended(job, JOB_LIMIT_MS);
    assert.match(outputOf(turn, jobs[0]), /year 2016 is done[\s\S]*year 2017 begins[\s\S]*2 of 2 years are done/);
    await assertAllDone(turn, [2016, 2017]);
    await assertAllDone(array, [2018, 2019]);
    const outputs = readdirSync(join(array, "logs")).filter((name) => name.startsWith("fields-years_"));
    assert.deepEqual(
      outputs.sort(),
      [0, 1].map((task) => `fields-years_${jobs[1]}_${task}.out`),
    );
  });
});
