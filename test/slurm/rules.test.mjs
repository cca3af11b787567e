// What submit refuses is what the site refuses, and what it lets through is taken; by Slurm itself.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { planSubmission } from "../../dist/cluster/submit.js";
import { resolveOptions } from "../../dist/config/config.js";
import { testProfile } from "../support/cluster-profile.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";

let slurm;
let folder;

describe("the site's rules", { skip: slurmMissing(), timeout: 300_000 }, () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "fields-rules-"));
    slurm = await startSlurm();
  });
  after(async () => {
    await slurm?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const submission = (cluster, asked) => {
    const [, , , clusterProfile] = testProfile(folder, cluster);
    const options = resolveOptions({ cluster, clusterProfile, account: "test", root: join(folder, "root") });
    return planSubmission({ job: "years", years: "2008-2024", given: {}, rest: [], ...asked }, options);
  };
  /** What Slurm says to the very command, without running anything. */
  const testOnly = ({ command: [program, ...args], env, script }) => {
    mkdirSync(dirname(script.path), { recursive: true });
    writeFileSync(script.path, script.text);
    return slurm.run(program, ["--test-only", ...args], { extraEnv: env, cwd: folder });
  };

  for (const [what, cluster, asked] of [
    ["years on Betzy", "betzy", {}],
    ["years on Saga", "saga", {}],
    ["an array of years on Saga", "saga", { array: "years", atOnce: 4 }],
    ["prepare", "betzy", { job: "prepare" }],
    ["prepare on whole nodes", "betzy", { job: "prepare", jobType: "normal", given: { nodes: "4" } }],
    ["batch", "betzy", { job: "batch", array: 4 }],
    ["batch with memory of its own", "betzy", { job: "batch", given: { mem: "100G" } }],
    ["training on three nodes", "betzy", { job: "train", given: { nodes: "3" } }],
  ]) {
    test(`taken: ${what}`, async () => {
      const plan = submission(cluster, asked);
      assert.deepEqual(plan.problems, []);
      const { code, stderr } = await testOnly(plan);
      assert.equal(code, 0, stderr);
    });
  }

  for (const [what, asked, ours, theirs] of [
    ["three nodes", { given: { nodes: "3" } }, /4 nodes at least/, /--nodes >= 4 required/],
    ["memory on whole nodes", { given: { mem: "10G" } }, /--mem must not be used/, /--mem must not be used/],
    ["five days", { given: { time: "5-0" } }, /4 d at most/, /time limit/i],
    ["four nodes of GPUs", { job: "train", given: { nodes: "4" } }, /3 nodes at most/, /node count|node limit/i],
  ]) {
    test(`refused by both: ${what}`, async () => {
      const plan = submission("betzy", asked);
      assert.match(plan.problems.join("\n"), ours);
      const { code, stderr } = await testOnly(plan);
      assert.notEqual(code, 0);
      assert.match(stderr, theirs);
    });
  }

  test("without an account", async () => {
    const plan = submission("betzy", {});
    const text = plan.script.text.replace(/^#SBATCH --account=.*\n/m, "");
    const { code, stderr } = await testOnly({ ...plan, script: { ...plan.script, text } });
    assert.notEqual(code, 0);
    assert.match(stderr, /account/);
  });
});
