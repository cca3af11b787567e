// Training jobs: what the preflight finds, by the real rasterio and PROJ; that it stands before training in a real
// job; and, where PyTorch is installed, a real torchrun that is told that its time is up and goes on after a requeue.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { testProfile } from "../support/cluster-profile.mjs";
import { command } from "../support/command.mjs";
import { freePorts } from "../support/ports.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const PREFLIGHT = fileURLToPath(new URL("../../slurm/preflight.py", import.meta.url));
const STAND_IN = fileURLToPath(new URL("../support/torch-stand-in", import.meta.url));
const PROJ_DATA = "/usr/share/proj";
const noRasterio =
  spawnSync("/usr/bin/python3", ["-c", "import rasterio"]).status === 0 ? false : "python3-rasterio is not installed";

describe("preflight", { skip: noRasterio }, () => {
  const script = (t, text = "import json\nimport rasterio.crs\n") => {
    const path = join(tempFolder(t), "train.py");
    writeFileSync(path, text);
    return path;
  };
  function preflight(t, { env = {}, args = [], path = script(t) }) {
    const own = { PATH: process.env.PATH, PROJ_DATA, PYTHONPATH: tempFolder(t), ...env };
    const run = spawnSync("/usr/bin/python3", [PREFLIGHT, ...args, path], { env: own, encoding: "utf8" });
    return { code: run.status, stderr: run.stderr };
  }

  test("nothing to say when all is well", (t) => {
    const run = preflight(t, { args: ["--checkpoints", tempFolder(t)] });
    assert.deepEqual(run, { code: 0, stderr: "" });
  });

  for (const [what, options, problem] of [
    ["no PROJ_DATA", () => ({ env: { PROJ_DATA: "" } }), /PROJ_DATA is not set: set PROJ_DATA/],
    ["PROJ_DATA without a database", () => ({ env: { PROJ_DATA: "/usr/share" } }), /\/usr\/share holds no proj\.db/],
    [
      "a database that PROJ cannot read",
      (t) => ({ env: { PROJ_DATA: brokenProj(t) } }),
      /EPSG:5070 cannot be looked up/,
    ],
    ["no PYTHONPATH", () => ({ env: { PYTHONPATH: "" } }), /PYTHONPATH is not set/],
    [
      "PYTHONPATH to nowhere",
      () => ({ env: { PYTHONPATH: "/nowhere/code" } }),
      /names \/nowhere\/code, which is not there/,
    ],
    [
      "an import that is not found",
      (t) => ({ path: script(t, "from crops.model import Net\n") }),
      /imports crops, which is not found/,
    ],
    ["a script that is no Python", (t) => ({ path: script(t, "for x in:\n") }), /training script cannot be used/],
    ["a script that is not there", () => ({ path: "/nowhere.py" }), /training script cannot be used/],
    [
      "checkpoints that cannot be written",
      () => ({ args: ["--checkpoints", "/proc"] }),
      /checkpoints cannot be written/,
    ],
  ]) {
    test(`found: ${what}`, (t) => {
      const { code, stderr } = preflight(t, options(t));
      assert.equal(code, 2);
      assert.match(stderr, problem);
      assert.equal(stderr.match(/^preflight: /gm).length, 1, stderr);
    });
  }

  /** A proj.db of an older layout: rasterio's PROJ says that it comes from another installation. */
  function brokenProj(t) {
    const folder = tempFolder(t);
    copyFileSync(join(PROJ_DATA, "proj.db"), join(folder, "proj.db"));
    const sql = "update metadata set value = '0' where key = 'DATABASE.LAYOUT.VERSION.MAJOR'";
    const code = `import sqlite3; c = sqlite3.connect('${folder}/proj.db'); c.execute("${sql}"); c.commit()`;
    assert.equal(spawnSync("/usr/bin/python3", ["-c", code]).status, 0);
    return folder;
  }
});

const noTorch =
  spawnSync("/usr/bin/python3", ["-c", "import torch.distributed"]).status === 0 ? false : "PyTorch is not installed";

describe("all ranks add up a tensor", { skip: noTorch }, () => {
  /** Ranks as torchrun starts them: {code, output} of each. */
  async function ranks(count, world, seconds) {
    const port = (await freePorts(1))[0];
    const started = Array.from({ length: count }, (_, rank) => {
      const own = { MASTER_ADDR: "127.0.0.1", MASTER_PORT: port, WORLD_SIZE: world, RANK: rank, LOCAL_RANK: rank };
      const env = Object.fromEntries(
        Object.entries({ PATH: process.env.PATH, ...own }).map(([k, v]) => [k, String(v)]),
      );
      return promisify(execFile)("/usr/bin/python3", [PREFLIGHT, "--all-reduce", String(seconds)], { env }).then(
        ({ stdout }) => ({ code: 0, output: stdout }),
        ({ code, stderr }) => ({ code, output: stderr }),
      );
    });
    return Promise.all(started);
  }

  test("by Gloo where there is no GPU", async () => {
    const ended = await ranks(3, 3, 60);
    assert.deepEqual(
      ended.map(({ code }) => code),
      [0, 0, 0],
      ended.map(({ output }) => output).join(),
    );
    assert.match(ended[0].output, /^preflight: 3 ranks, Gloo over the default interface: [\d.]+ s\n$/);
  });

  test("a rank that never comes ends the others at the limit", async () => {
    for (const { code, output } of await ranks(2, 3, 3)) {
      assert.notEqual(code, 0);
      assert.match(output, /time|Timed out/i);
    }
  });
});

describe("a training job", { skip: slurmMissing() || noRasterio, timeout: 600_000 }, () => {
  let slurm;
  let folder;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "fields-train-"));
    slurm = await startSlurm({ nodes: 4 });
  });
  after(async () => {
    await slurm?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("ends before training begins when PROJ_DATA is wrong", async () => {
    const root = join(folder, "root");
    mkdirSync(join(folder, "code"));
    const path = join(folder, "code", "train.py");
    writeFileSync(path, `open("${folder}/trained", "w").close()\n`);
    const args = ["submit", "train", ...testProfile(folder, "betzy"), "--root", root, "--", path];
    const env = {
      ...slurm.env,
      PATH: `/usr/bin:${process.env.PATH}`,
      PROJ_DATA: "/nowhere",
      PYTHONPATH: join(folder, "code"),
    };
    const run = await command("cluster", args, { env, cwd: folder });
    assert.equal(run.code, 0, run.stderr);
    const job = run.stdout.trim();
    const { JobState, ExitCode } = await slurm.ended(job);
    const output = readFileSync(join(root, "logs", `fields-train_${job}.out`), "utf8");
    assert.deepEqual([JobState, ExitCode], ["FAILED", "2:0"], output);
    assert.match(output, /PROJ_DATA=\/nowhere holds no proj\.db[\s\S]*preflight failed: no GPU time was spent/);
    assert.ok(!readdirSync(folder).includes("trained"));
  });

  /** Submit a script that stands in for training on two nodes. @returns the job's state, output, and torchrun's calls. */
  async function trained(name, extraEnv, options, text) {
    const root = join(folder, name);
    const code = join(folder, `${name}-code`);
    cpSync(STAND_IN, code, { recursive: true });
    const path = join(code, "train.py");
    writeFileSync(path, text);
    const log = join(folder, `${name}-log`);
    mkdirSync(log);
    const args = ["submit", "train", ...testProfile(folder, "betzy"), "--nodes", "2", "--root", root, ...options];
    const PATH = `/usr/bin:${process.env.PATH}`;
    const env = { ...slurm.env, PATH, PROJ_DATA, PYTHONPATH: code, STAND_IN: log, ...extraEnv };
    const run = await command("cluster", [...args, "--", path, "--epochs", "2"], { env, cwd: folder });
    assert.equal(run.code, 0, run.stderr);
    const job = run.stdout.trim();
    const { JobState } = await slurm.ended(job);
    const output = readFileSync(join(root, "logs", `fields-train_${job}.out`), "utf8");
    const calls = [0, 1].map((node) =>
      readFileSync(join(log, `torchrun-${node}`), "utf8")
        .trim()
        .split("\n")
        .map(JSON.parse),
    );
    return { state: JobState, output, calls, log };
  }

  test("all ranks meet, then training begins, and torchrun starts it again as often as it is told", async () => {
    const text = `import os, pathlib, torch
rank, attempt = os.environ["RANK"], int(os.environ["TORCHELASTIC_RESTART_COUNT"])
pathlib.Path(os.environ["STAND_IN"], f"trained-{rank}-{attempt}").touch()
raise SystemExit(7 if attempt == 0 else 0)
`;
    const { state, output, calls, log } = await trained("restarts", {}, ["--max-restarts", "2"], text);
    assert.equal(state, "COMPLETED", output);
    assert.match(output, /all-reduce over 8 ranks, 180 s at most\npreflight: 8 ranks, NCCL over /);
    for (const [meeting, training] of calls) {
      assert.deepEqual([meeting.nnodes, meeting.nproc_per_node, meeting.max_restarts], [2, 4, 0]);
      assert.deepEqual([training.nnodes, training.nproc_per_node, training.max_restarts], [2, 4, 2]);
      assert.deepEqual(training.rest, ["--epochs", "2"]);
      assert.equal(training.omp, "16", "64 cores for 4 GPUs");
    }
    const runs = readdirSync(log).filter((name) => name.startsWith("trained-"));
    assert.equal(runs.length, 16, `${runs}`);
  });

  test("a rank that never comes ends the job within the limit, before training", async () => {
    const env = { STAND_IN_ABSENT: "5", FIELDS_PREFLIGHT_S: "5" };
    const { state, output, calls } = await trained("absent", env, [], "import torch\n");
    assert.equal(state, "FAILED", output);
    assert.match(output, /the ranks cannot add up a tensor within 5 s: .*NCCL_SOCKET_IFNAME/);
    assert.doesNotMatch(output, /training on/);
    assert.deepEqual(
      calls.map((all) => all.length),
      [1, 1],
    );
  });
});
