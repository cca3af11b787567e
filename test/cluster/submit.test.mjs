// What is refused before sbatch is asked, and what sbatch would be called with. No Slurm needed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { scriptDirectives } from "../../dist/cluster/job-script.js";
import { clusterProfile } from "../../dist/cluster/profile-file.js";
import { memoryGiB, walltimeMinutes, walltimeText } from "../../dist/cluster/slurm-units.js";
import { planSubmission } from "../../dist/cluster/submit.js";
import { resolveOptions } from "../../dist/config/config.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SLURM = fileURLToPath(new URL("../../slurm/", import.meta.url));
const NO_ACCOUNT = { FIELDS_ACCOUNT: undefined, SBATCH_ACCOUNT: undefined };

/** A dry run: {code, problems, command, env, directives}. */
async function plan(t, args, env = {}) {
  const root = join(tempFolder(t), "root");
  const all = ["submit", "--dry-run", "--json", "--root", root, ...args];
  const run = await command("cluster", all, { env: { ...NO_ACCOUNT, ...env } });
  return { root, code: run.code, stderr: run.stderr, ...run.json };
}
/** The same without a process of its own. */
function planned(t, { cluster, account, root, container, ...asked }) {
  const options = { cluster, account, root: root ?? join(tempFolder(t), "root"), container };
  return planSubmission({ job: "years", years: "2008-2024", given: {}, rest: [], ...asked }, resolveOptions(options));
}
const years = ["--years", "2008-2024", "--account", "acc"];

describe("submit", () => {
  test("Betzy: four nodes, all of their cores, no memory; the options come along", async (t) => {
    const {
      code,
      command: sbatch,
      problems,
      root,
      directives,
      env,
    } = await plan(t, ["--cluster", "betzy", ...years, "--target", "s3://maps/fields", "--until", "tiles"]);
    assert.deepEqual([code, problems], [0, []]);
    assert.equal(directives.nodes, "4");
    assert.equal(directives["cpus-per-task"], "128");
    assert.equal(directives.signal, "B:USR1@900");
    assert.equal(directives.mem, undefined);
    assert.equal(env.FIELDS_LOGS, join(root, "logs"));
    const behind = sbatch.slice(sbatch.findIndex((word) => word.endsWith(".sbatch")) + 1);
    const list = Array.from({ length: 17 }, (_, i) => 2008 + i).join(",");
    assert.deepEqual(behind, [list, `--root=${root}`, "--target=s3://maps/fields", "--until=tiles"]);
  });

  test("Betzy: what the years share is a job of its own, which they wait for", async (t) => {
    const args = ["--cluster", "betzy", ...years, "--until", "tiles", "--nodata", "0,81"];
    const { before, directives, root } = await plan(t, [...args, "--dependency", "afterok:7"]);
    assert.equal(before.length, 1);
    const [{ directives: own, command: sbatch }] = before;
    assert.deepEqual([own.nodes, own.qos, own.dependency], ["1", "preproc", "afterok:7"]);
    const behind = sbatch.slice(sbatch.findIndex((word) => word.endsWith(".sbatch")) + 1);
    assert.deepEqual(behind, ["--years", "2008-2024", "--until=tiles", `--root=${root}`, "--nodata=0,81"]);
    assert.equal(directives.dependency, "afterany:PREPARE");
    for (const without of [["--no-prepare"], ["--job-type", "devel", "--nodes", "1", "--time", "60"]]) {
      const alone = await plan(t, [...args, ...without]);
      assert.deepEqual([alone.before, alone.directives.dependency], [undefined, undefined], `${without}`);
    }
    const saga = await plan(t, ["--cluster", "saga", ...years, "--mem-per-cpu", "3G"]);
    assert.equal(saga.before, undefined);
  });

  test("a proxy's password is not made part of a job's command line", async (t) => {
    const args = ["submit", "--cluster", "betzy", ...years, "--root", tempFolder(t), "--dry-run"];
    const { code, stdout, stderr } = await command("cluster", [...args, "--proxy", "http://me:s3cr3t@proxy:3128"]);
    assert.equal(code, 2);
    assert.match(stderr, /--proxy must not carry a user and password.*export HTTPS_PROXY.*received=proxy:3128/);
    assert.doesNotMatch(stdout + stderr, /s3cr3t/);
    const { command: sbatch } = await plan(t, ["--cluster", "betzy", ...years, "--proxy", "proxy:3128"]);
    assert.ok(sbatch.includes("--proxy=proxy:3128"));
  });

  for (const [what, asked, problem] of [
    ["too few nodes", { given: { nodes: "2" } }, /--nodes=2: normal jobs on betzy have 4 nodes at least/],
    ["memory on whole nodes", { given: { mem: "100G" } }, /--mem must not be used/],
    ["memory by core on whole nodes", { given: { "mem-per-cpu": "1G" } }, /--mem-per-cpu must not/],
    ["too long", { given: { time: "4-00:00:01" } }, /run 4 d at most/],
    ["too short", { given: { time: "15" } }, /notice of its end comes 900 s ahead, nothing would ever begin/],
    ["no walltime at all", { given: { time: "soon" } }, /--time: Not a walltime/],
    ["hyperthreads taken for cores", { given: { "cpus-per-task": "256" } }, /has 128 cores/],
    ["no account", { account: undefined }, /no account: pass --account/],
    ["no years", { years: undefined }, /no years/],
    ["devel's hour", { jobType: "devel", given: { time: "120" } }, /devel jobs on betzy run 1 h at most/],
    ["accel for one user", { job: "train", given: { nodes: "4" } }, /3 nodes at most for one user/],
    ["GPUs that a node has not", { job: "train", given: { "gpus-per-node": "8" } }, /has 4/],
    ["units of preproc", { job: "batch", given: { "mem-per-cpu": "4G" } }, /269 billing units .*128 at most/],
    ["workers at once", { job: "batch", array: 40 }, /are 16 for one user \(append %16\)/],
    ["an array too long", { cluster: "saga", job: "batch", array: 1001 }, /1001 tasks, saga takes 1000/],
    ["too much memory", { cluster: "saga", given: { mem: "400G" } }, /a node for normal jobs on saga has 178.5 GiB/],
    ["data in the project space", { root: "/cluster/projects/acc/work" }, /lies in the project space/],
    ["a container that is not there", { container: "/nowhere.sif" }, /container is not there/],
  ]) {
    test(`refused before sbatch is asked: ${what}`, (t) => {
      assert.match(planned(t, Object.assign({ cluster: "betzy", account: "acc" }, asked)).problems.join("\n"), problem);
    });
  }

  test("nothing to say against the jobs as they stand, on both clusters", (t) => {
    for (const cluster of ["betzy", "saga"]) {
      for (const job of ["years", "prepare", "batch", "train"]) {
        assert.deepEqual(planned(t, { cluster, account: "acc", job }).problems, [], `${job} on ${cluster}`);
      }
      assert.deepEqual(
        planned(t, { cluster, account: "acc", jobType: "devel", given: { nodes: "1", time: "60" } }).problems,
        [],
      );
    }
  });

  test("all problems at once, by the command that would submit; nothing is handed to sbatch", async (t) => {
    const run = await command(
      "cluster",
      ["submit", "--cluster", "betzy", "--years", "2020", "--nodes", "1", "--mem", "1G", "--root", tempFolder(t)],
      { env: NO_ACCOUNT },
    );
    assert.equal(run.code, 2);
    assert.match(run.stderr, /no account[\s\S]*--nodes=1[\s\S]*--mem must not/);
  });

  test("memory is missing where it is required", async (t) => {
    const folder = tempFolder(t);
    const file = join(folder, "p.json");
    // Whole nodes whose site asks for memory all the same.
    writeFileSync(file, JSON.stringify({ basedOn: "betzy", jobTypes: { normal: { memory: "required" } } }));
    const { problems } = await plan(t, ["--cluster", "other", "--cluster-profile", file, ...years]);
    assert.deepEqual(problems, ["no memory: normal jobs on other need --mem or --mem-per-cpu (a node has 244 GiB)"]);
  });

  test("the account comes from the option, the environment or the configuration file, in this order", async (t) => {
    const file = join(tempFolder(t), "config.json");
    writeFileSync(file, JSON.stringify({ account: "file", cluster: "betzy" }));
    const accountOf = async (args, env) =>
      (await plan(t, ["--years", "2020", "--config", file, ...args], env)).directives.account;
    assert.equal(await accountOf(["--account", "option"], {}), "option");
    assert.equal(await accountOf([], {}), "file");
    const { directives } = await plan(t, ["--cluster", "betzy", "--years", "2020"], { FIELDS_ACCOUNT: "env" });
    assert.equal(directives.account, "env");
  });

  test("nothing is submitted on a laptop; an unknown cluster names the nearest", async (t) => {
    const laptop = await plan(t, ["--cluster", "laptop", ...years]);
    assert.equal(laptop.code, 2);
    assert.match(laptop.stderr, /submits no jobs/);
    assert.match((await plan(t, ["--cluster", "betzi", ...years])).stderr, /did you mean betzy/);
  });
});

describe("cluster profiles", () => {
  const profileOf = (t, value, name = "mine") => {
    const path = join(tempFolder(t), "profile.json");
    writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
    return clusterProfile(name, path);
  };

  test("a file overrides key by key; null takes away", (t) => {
    const own = profileOf(t, {
      basedOn: "betzy",
      purgeDays: 42,
      jobTypes: { preproc: { qos: null, partition: "pre" }, devel: null },
    });
    assert.equal(own.name, "mine");
    assert.equal(own.purgeDays, 42);
    assert.deepEqual([own.jobTypes.preproc.partition, own.jobTypes.preproc.qos], ["pre", undefined]);
    assert.equal(own.jobTypes.preproc.maxUnitsPerJob, 128);
    assert.equal(own.jobTypes.devel, undefined);
    assert.equal(clusterProfile("betzy").jobTypes.normal.memory, "forbidden");
  });

  for (const [what, value, error] of [
    ["an unknown key", { basedOn: "betzy", purgeDay: 1 }, /unknown key purgeDay, did you mean purgeDays\?/],
    [
      "a wrong type",
      { basedOn: "betzy", jobTypes: { normal: { minNodes: "4" } } },
      /jobTypes.normal.minNodes is wrong .*received="4"/,
    ],
    [
      "a new type cut short",
      { basedOn: "betzy", jobTypes: { huge: { minNodes: 1 } } },
      /jobTypes.huge.wholeNodes is missing/,
    ],
    ["nothing to be based on", { purgeDays: 1 }, /scheduler is missing/],
    ["a base that is not there", { basedOn: "fram" }, /basedOn names no built-in profile/],
    ["no JSON", "{", /cannot be read as JSON/],
    ["a list", [], /expected an object/],
  ]) {
    test(`refused: ${what}`, (t) => {
      assert.throws(() => profileOf(t, value), { kind: "usage", message: error });
    });
  }
});

test("walltimes and memory as sbatch reads them", () => {
  const minutes = {
    90: 90,
    "90:30": 90.5,
    "1:30:00": 90,
    "4-0": 5760,
    "1-12": 2160,
    "1-12:30": 2190,
    "4-00:00:00": 5760,
  };
  for (const [text, value] of Object.entries(minutes)) assert.equal(walltimeMinutes(text), value, text);
  for (const text of ["", "soon", "1h", "-5", "1-"]) assert.throws(() => walltimeMinutes(text), { kind: "usage" });
  assert.deepEqual([90, 5760, 2160].map(walltimeText), ["1 h 30 min", "4 d", "1 d 12 h"]);
  assert.deepEqual(["1024", "1900M", "170G", "1T", "2gb"].map(memoryGiB), [1, 1900 / 1024, 170, 1024, 2]);
  assert.throws(() => memoryGiB("much"), { kind: "usage" });
});

test("every job script: shellcheck-clean, and its directives can be read", {
  skip: spawnSync("shellcheck", ["-V"]).status !== 0 && "no shellcheck",
}, () => {
  const scripts = readdirSync(SLURM).filter((name) => /\.(sh|sbatch)$/.test(name));
  const run = spawnSync("shellcheck", ["-x", ...scripts.map((name) => join("slurm", name))], {
    cwd: join(SLURM, ".."),
    encoding: "utf8",
  });
  assert.equal(run.status, 0, run.stdout);
  for (const name of scripts.filter((script) => script.endsWith(".sbatch"))) {
    const directives = scriptDirectives(join(SLURM, name));
    assert.ok(directives.requeue === true && directives.time && directives["open-mode"] === "append", name);
    assert.equal(directives.account, undefined, `${name} names an account`);
  }
  assert.equal(scriptDirectives(join(SLURM, "betzy-years.sbatch")).mem, undefined);
});
