// Nodes that die and jobs that are canceled, on a real Slurm cluster of four nodes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { JOB_LIMIT_MS, startClusterYears } from "../support/cluster-years.mjs";
import { holdManifest } from "../support/hold-lock.mjs";
import { processesAt } from "../support/sample-world.mjs";
import { slurmMissing, until } from "../support/slurm.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEARS = [2016, 2017, 2018];

describe("failing nodes", { skip: slurmMissing() || noTippecanoe, timeout: 1_500_000 }, () => {
  let cluster;
  before(async () => {
    cluster = await startClusterYears(YEARS);
  });
  after(() => cluster?.stop());

  test("a node that dies loses its year alone, which another node takes up", async () => {
    const root = cluster.newRoot("node-death");
    const manifest = await holdManifest(root);
    const job = await cluster.submit(root, "2016-2018");
    await until(() => YEARS.every((year) => cluster.nodeOf(root, year)), "three years", JOB_LIMIT_MS);
    const { BatchHost } = await cluster.slurm.job(job);
    // Not the node of the job's own script: the next test strikes that one.
    const others = YEARS.filter((year) => cluster.nodeOf(root, year) !== BatchHost);
    const struck = await cluster.yearIn(root, "publish", others);
    const node = cluster.nodeOf(root, struck);
    await cluster.slurm.killNode(node);
    await manifest.release();
    const { JobState, Restarts } = await cluster.ended(job);
    const output = cluster.outputOf(root, job);
    assert.deepEqual([JobState, Restarts], ["COMPLETED", "0"], output);
    const begun = (year) => [...output.matchAll(new RegExp(`year ${year} begins`, "g"))].length;
    for (const year of YEARS) assert.equal(begun(year), year === struck ? 2 : 1, output);
    assert.match(
      output,
      new RegExp(`year ${struck} is not done, and ${node} does not answer: taken up again on another node`),
    );
    assert.notEqual(cluster.nodeOf(root, struck), node);
    await cluster.slurm.revive(node);
    await cluster.assertAllDone(root, YEARS);
  });

  test("the node of the job's own script dies: the job is requeued and finds what was done", async () => {
    const root = cluster.newRoot("batch-node");
    const manifest = await holdManifest(root);
    const job = await cluster.submit(root, "2016-2017", [], { env: { FIELDS_SENTINEL_S: "2" } });
    await cluster.yearIn(root, "publish");
    await until(() => cluster.slurm.tasksOf(job, "slurm/sentinel.sh").length > 0, "the sentinel", JOB_LIMIT_MS);
    const { BatchHost } = await cluster.slurm.job(job);
    await cluster.slurm.killNode(BatchHost);
    await manifest.release();
    // The others' work goes on, and only then the job is requeued: it has four nodes again when this one is back.
    await until(async () => (await cluster.slurm.job(job)).Restarts === "1", "a requeue", JOB_LIMIT_MS);
    await cluster.slurm.revive(BatchHost);
    const { JobState } = await cluster.ended(job);
    assert.equal(JobState, "COMPLETED", cluster.outputOf(root, job));
    await cluster.assertAllDone(root, [2016, 2017]);
  });

  test("scancel leaves nothing corrupt and nothing in /dev/shm; the same command goes on from there", async () => {
    const root = cluster.newRoot("canceled");
    const manifest = await holdManifest(root);
    const first = await cluster.submit(root, "2016-2017");
    await cluster.yearIn(root, "publish");
    await cluster.slurm.run("scancel", [first]);
    const { JobState } = await cluster.ended(first);
    await manifest.release();
    assert.equal(JobState, "CANCELLED", cluster.outputOf(root, first));
    await until(() => processesAt(root).length === 0, "the end of all processes", JOB_LIMIT_MS);
    cluster.assertClean(root, { resumable: true });
    const { code } = await cluster.check(root, "2016-2017");
    assert.equal(code, 3);
    const second = await cluster.submit(root, "2016-2017");
    assert.equal((await cluster.ended(second)).JobState, "COMPLETED", cluster.outputOf(root, second));
    await cluster.assertAllDone(root, [2016, 2017]);
  });
});
