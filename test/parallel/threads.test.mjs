import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { allowedCpus, parseCpuList, physicalCores, threadCount } from "../../dist/parallel/threads.js";
import { tempFolder } from "../support/temp-folder.mjs";

/** A tree of /sys and /proc as a node would show it. */
function node(t, files) {
  const root = tempFolder(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const topology = (cpu) => `sys/devices/system/cpu/cpu${cpu}/topology/core_cpus_list`;
const allowed = (list) => ({ "proc/self/status": `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}` });

/** Two threads a core, the second ones numbered after all first ones, as AMD's and Intel's firmwares do. */
function hyperthreads(cores) {
  const pairs = Array.from({ length: cores }, (_, core) => [core, core + cores]);
  return Object.fromEntries(pairs.flatMap((pair) => pair.map((cpu) => [topology(cpu), pair.join(",")])));
}

describe("physical cores", () => {
  test("256 CPUs of 128 cores", (t) => {
    const root = node(t, { ...hyperthreads(128), ...allowed("0-255") });
    assert.equal(allowedCpus(root).length, 256);
    assert.equal(physicalCores(root), 128);
  });

  test("a job bound to some of the node: whole cores, both threads of them, or one thread each", (t) => {
    for (const [list, cores] of [
      ["0-15,128-143", 16],
      ["0-31", 32],
      ["128-131", 4],
      ["5", 1],
      ["0,128", 1],
    ]) {
      assert.equal(physicalCores(node(t, { ...hyperthreads(128), ...allowed(list) })), cores, list);
    }
  });

  test("neighboring numbers for the threads of a core, by the older name of the file", (t) => {
    const files = Object.fromEntries(
      Array.from({ length: 8 }, (_, cpu) => [
        `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`,
        `${cpu & ~1}-${cpu | 1}`,
      ]),
    );
    assert.equal(physicalCores(node(t, { ...files, ...allowed("0-7") })), 4);
    assert.equal(physicalCores(node(t, { ...files, ...allowed("1,3,5") })), 3);
  });

  test("without hyperthreads, and without any topology, each CPU is a core", (t) => {
    const single = Object.fromEntries(Array.from({ length: 40 }, (_, cpu) => [topology(cpu), String(cpu)]));
    assert.equal(physicalCores(node(t, { ...single, ...allowed("0-39") })), 40);
    assert.equal(physicalCores(node(t, allowed("0-3"))), 4);
    assert.equal(physicalCores(node(t, { [topology(0)]: "0", [topology(1)]: "1" })), 2);
    assert.equal(physicalCores(node(t, {})), 1);
  });

  test("a cgroup's quota holds, wherever in its line it stands", (t) => {
    const cpus = { ...hyperthreads(64), ...allowed("0-127") };
    const quota = (files) => physicalCores(node(t, { ...cpus, ...files }));
    assert.equal(quota({ "sys/fs/cgroup/cpu.max": "800000 100000" }), 8);
    assert.equal(quota({ "sys/fs/cgroup/cpu.max": "max 100000" }), 64);
    assert.equal(quota({ "sys/fs/cgroup/cpu.max": "50000 100000" }), 1);
    const slurm = { "proc/self/cgroup": "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0" };
    assert.equal(
      quota({ ...slurm, "sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/cpu.max": "1600000 100000" }),
      16,
    );
    const v1 = { "proc/self/cgroup": "9:cpuset:/x\n4:cpu,cpuacct:/slurm/job_7" };
    const dir = "sys/fs/cgroup/cpu/slurm/job_7";
    assert.equal(quota({ ...v1, [`${dir}/cpu.cfs_quota_us`]: "400000", [`${dir}/cpu.cfs_period_us`]: "100000" }), 4);
    assert.equal(quota({ ...v1, [`${dir}/cpu.cfs_quota_us`]: "-1", [`${dir}/cpu.cfs_period_us`]: "100000" }), 64);
  });

  test("lists of CPUs", () => {
    assert.deepEqual(parseCpuList("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
    assert.deepEqual(parseCpuList(""), []);
  });
});

describe("thread count", () => {
  const count = (cores, slurmCpusPerTask, threads) => threadCount({ cores, slurmCpusPerTask, threads });

  test("the physical cores, held by Slurm's share and by 128", () => {
    assert.equal(count(128), 128);
    assert.equal(count(128, "128"), 128);
    assert.equal(count(128, "16"), 16);
    assert.equal(count(192), 128);
    // Slurm counts hyperthreads here, or did not bind: the cores are what there is.
    assert.equal(count(64, "128"), 64);
    assert.equal(count(2, "128"), 2);
    for (const nonsense of ["", "0", "-4", "many", "1.5"]) assert.equal(count(8, nonsense), 8, nonsense);
  });

  test("what was asked for goes first, up to 128", () => {
    assert.equal(count(4, "2", 8), 8);
    assert.equal(count(4, "2", 500), 128);
    assert.equal(count(4, "2", 1), 1);
  });
});
