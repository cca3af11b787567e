// Training jobs: what the preflight finds, by the real rasterio and PROJ; that it stands before training in a real
// job; and, where PyTorch is installed, a real torchrun that is told that its time is up and goes on after a requeue.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { testProfile } from "../support/cluster-profile.mjs";
import { command } from "../support/command.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const PREFLIGHT = fileURLToPath(new URL("../../slurm/preflight.py", import.meta.url));
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
});
