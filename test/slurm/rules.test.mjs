// What submit refuses is what the site refuses, and what it lets through is taken; by Slurm itself.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { testProfile } from "../support/cluster-profile.mjs";
import { command } from "../support/command.mjs";
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

  const submission = async (cluster, args) => {
    const all = [
      "submit",
      ...testProfile(folder, cluster),
      "--root",
      join(folder, "root"),
      "--dry-run",
      "--json",
      ...args,
    ];
    const run = await command("cluster", all, { env: slurm.env });
    assert.ok(run.json?.command, run.stderr);
    return run.json;
  };
  /** What Slurm says to the very command, without running anything. */
  const testOnly = ({ command: [program, ...args], env, script }) => {
    mkdirSync(dirname(script.path), { recursive: true });
    writeFileSync(script.path, script.text);
    return slurm.run(program, ["--test-only", ...args], { extraEnv: env, cwd: folder });
  };

  for (const [what, cluster, args] of [
    ["years on Betzy", "betzy", ["--years", "2008-2024"]],
    ["years on Saga", "saga", ["--years", "2008-2024"]],
    ["an array of years on Saga", "saga", ["--years", "2008-2024", "--array", "--at-once", "4"]],
    ["prepare", "betzy", ["prepare", "--", "--out", "x"]],
    ["batch", "betzy", ["batch", "--workers", "4", "--", "--items", "x"]],
    ["batch with memory of its own", "betzy", ["batch", "--mem", "100G", "--", "--items", "x"]],
    ["training on three nodes", "betzy", ["train", "--nodes", "3", "--", "train.py"]],
  ]) {
    test(`taken: ${what}`, async () => {
      const plan = await submission(cluster, args);
      assert.deepEqual(plan.problems, []);
      const { code, stderr } = await testOnly(plan);
      assert.equal(code, 0, stderr);
    });
  }

  for (const [what, cluster, args, ours, theirs] of [
    ["three nodes", "betzy", ["--years", "2020", "--nodes", "3"], /4 nodes at least/, /--nodes >= 4 required/],
    [
      "memory on whole nodes",
      "betzy",
      ["--years", "2020", "--mem", "10G"],
      /--mem must not be used/,
      /--mem must not be used/,
    ],
    ["five days", "betzy", ["--years", "2020", "--time", "5-0"], /4 d at most/, /time limit/i],
    [
      "four nodes of GPUs",
      "betzy",
      ["train", "--nodes", "4", "--", "t.py"],
      /3 nodes at most/,
      /node count|node limit/i,
    ],
  ]) {
    test(`refused by both: ${what}`, async () => {
      const plan = await submission(cluster, args);
      assert.match(plan.problems.join("\n"), ours);
      const { code, stderr } = await testOnly(plan);
      assert.notEqual(code, 0);
      assert.match(stderr, theirs);
    });
  }

  test("without an account", async () => {
    const plan = await submission("betzy", ["--years", "2020"]);
    const text = plan.script.text.replace(/^#SBATCH --account=.*\n/m, "");
    const { code, stderr } = await testOnly({ ...plan, script: { ...plan.script, text } });
    assert.notEqual(code, 0);
    assert.match(stderr, /account/);
  });
});
