// Years on a real Slurm cluster of four nodes: spread, failing, out of time, and on Saga.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startClusterYears } from "../support/cluster-years.mjs";
import { startFolderServer } from "../support/folder-server.mjs";
import { logLines } from "../support/sample-world.mjs";
import { slurmMissing } from "../support/slurm.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

const YEARS = [2016, 2017, 2018, 2019, 2020];

describe("years on a cluster", { skip: slurmMissing() || noTippecanoe, timeout: 1_500_000 }, () => {
  let cluster;
  before(async () => {
    cluster = await startClusterYears(YEARS);
  });
  after(() => cluster?.stop());

  test("five years on four nodes, one a node; the next begins as a node gets free", async () => {
    const root = cluster.newRoot("spread");
    const job = await cluster.submit(root, "2016-2020");
    const { JobState } = await cluster.ended(job);
    const output = cluster.outputOf(root, job);
    assert.equal(JobState, "COMPLETED", output);
    assert.match(output, /5 of 5 years are done/);
    await cluster.assertAllDone(root, YEARS);
    const nodes = new Set(YEARS.slice(0, 4).map((year) => cluster.nodeOf(root, year)));
    assert.deepEqual(nodes, new Set(cluster.slurm.nodes));
    for (const year of YEARS) assert.ok(existsSync(join(root, "logs", `year_${year}.out`)));
  });

  test("what the years share is made by a job of its own, on one node, before four nodes are taken", async () => {
    const root = cluster.newRoot("prepared");
    const job = await cluster.submit(root, "2016-2018", [], { prepare: true });
    const { JobState } = await cluster.ended(job);
    const output = cluster.outputOf(root, job);
    assert.equal(JobState, "COMPLETED", output);
    await cluster.assertAllDone(root, [2016, 2017, 2018]);
    const [log] = readdirSync(join(root, "logs")).filter((name) => /^fields-prepare_\d+\.out$/.test(name));
    const first = await cluster.slurm.job(/_(\d+)\./.exec(log)[1]);
    assert.deepEqual([first.JobState, first.NumNodes, first.Partition], ["COMPLETED", "1", "preproc"]);
    const { StartTime } = await cluster.slurm.job(job);
    assert.ok(new Date(StartTime) >= new Date(first.EndTime), `${StartTime} ${first.EndTime}`);
    assert.match(readFileSync(join(root, "logs", log), "utf8"), /base of all years/);
    const made = [2016, 2017, 2018].flatMap((year) => logLines(root, year)).map(({ msg }) => msg);
    assert.ok(!made.some((msg) => /tiles of all zooms|fields tiled/.test(msg)), "no year had to tile the fields");
  });

  test("the environment's web proxy holds on the nodes", async (t) => {
    const root = cluster.newRoot("proxy");
    const rasters = await startFolderServer(cluster.source);
    t.after(() => rasters.close());
    const { host } = new URL(rasters.template);
    const proxy = await startWebProxy({ hosts: { "cdl.test:80": host }, user: "me:s3cr3t" });
    t.after(() => proxy.stop());
    const args = ["--cdl-source", rasters.template.replace(host, "cdl.test")];
    const job = await cluster.submit(root, "2016", args, { env: proxyEnvironment({ http_proxy: proxy.url }) });
    const { JobState } = await cluster.ended(job);
    const said = cluster.outputOf(root, job) + readFileSync(join(root, "logs/year_2016.out"), "utf8");
    assert.equal(JobState, "COMPLETED", said);
    assert.deepEqual(
      proxy.requests.map(({ target }) => target),
      ["http://cdl.test"],
    );
    assert.doesNotMatch(said, /s3cr3t/);
  });

  test("a year that fails does not end the others; the job's exit code says that not all are valid", async () => {
    const root = cluster.newRoot("failing");
    // There is no raster of 2015.
    const job = await cluster.submit(root, "2015-2016");
    const { JobState, ExitCode } = await cluster.ended(job);
    const output = cluster.outputOf(root, job);
    assert.deepEqual([JobState, ExitCode], ["FAILED", "3:0"], output);
    assert.match(output, /year 2015 FAILED, and would again \(exit code 4\): see .*year_2015.out/);
    assert.match(output, /2015 {2}NOT DONE {2}download: no output yet\n2016 {2}done\n1 of 2 years are done/);
    assert.match(readFileSync(join(root, "logs/year_2015.out"), "utf8"), /ERROR .*2015/);
    await cluster.assertAllDone(root, [2016]);
  });

  test("ahead of the time limit: stages under way end, no other begins, the job requeues itself and ends well", async () => {
    const root = cluster.newRoot("notice");
    const job = await cluster.submit(root, "2016-2017");
    await cluster.yearIn(root, "tiles");
    // What --signal=B:USR1@900 does when its time has come.
    await cluster.slurm.run("scancel", ["--signal=USR1", "--batch", job]);
    const { JobState, Restarts } = await cluster.ended(job);
    const output = cluster.outputOf(root, job);
    assert.deepEqual([JobState, Restarts], ["COMPLETED", "1"], output);
    assert.match(output, /the time limit is near[\s\S]+is not done yet \(exit code 11\)[\s\S]+back into the queue/);
    assert.match(output, /requeued 1 times[\s\S]+2 of 2 years are done/);
    const lines = [2016, 2017].flatMap((year) => logLines(root, year));
    assert.ok(lines.some(({ msg }) => msg.startsWith("Stopped early by SIGUSR1")));
    // What was under way was finished, not done over again.
    for (const year of [2016, 2017]) {
      const tilings = logLines(root, year).filter(({ step, msg }) => step === "tiles" && msg.startsWith("started"));
      assert.equal(tilings.length, 1, `year ${year} was tiled ${tilings.length} times`);
    }
    await cluster.assertAllDone(root, [2016, 2017]);
  });

  test("Saga: years in turn on one node, or as an array a year a task", async () => {
    const turn = cluster.newRoot("saga-turn");
    const array = cluster.newRoot("saga-array");
    const jobs = [
      await cluster.submit(turn, "2016-2017", ["--mem=10G"], { cluster: "saga" }),
      await cluster.submit(array, "2018-2019", ["--array", "--at-once=2", "--mem=10G"], { cluster: "saga" }),
    ];
    for (const job of jobs) await cluster.ended(job);
    assert.match(
      cluster.outputOf(turn, jobs[0]),
      /year 2016 is done[\s\S]*year 2017 begins[\s\S]*2 of 2 years are done/,
    );
    await cluster.assertAllDone(turn, [2016, 2017]);
    await cluster.assertAllDone(array, [2018, 2019]);
    const outputs = readdirSync(join(array, "logs")).filter((name) => /^fields-years_.*\.out$/.test(name));
    assert.deepEqual(
      outputs.sort(),
      [0, 1].map((task) => `fields-years_${jobs[1]}_${task}.out`),
    );
  });
});
