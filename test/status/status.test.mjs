import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { tempDirName } from "../../dist/tiles/temp-dir.js";
import { command } from "../support/command.mjs";
import { makeWorld, newRoot, runYear, snapshot } from "../support/sample-world.mjs";
import { slurmMissing, startSlurm, until } from "../support/slurm.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const statusOf = async (root, args = [], options = {}) => {
  const run = await command("status", ["--root", root, "--json", ...args], options);
  assert.equal(run.code, 0, run.stderr);
  return run.json;
};
const only = (report) => {
  assert.equal(report.years.length, 1);
  return report.years[0];
};

describe("status of real runs", () => {
  let world;
  before(async () => {
    world = await makeWorld({ fields: 30_000, years: [2019] });
  });
  after(() => world?.remove());

  test("nothing known, running with its tippecanoe, killed, failed, done", async () => {
    const root = newRoot(world, "status");
    assert.deepEqual((await statusOf(root)).years, []);
    assert.equal(only(await statusOf(root, ["2019"])).state, "none");

    const live = layoutOf(resolveOptions({ root }), 2019).live;
    let child;
    const ended = runYear(root, 2019, world.source, ["--quiet", "--tiler", "tippecanoe"], {
      onStart: (started) => {
        child = started;
      },
    });
    let seen;
    await until(
      async () => {
        seen = await statusOf(root);
        const ours = ({ tempDir }) => tempDir.includes(`/${tempDirName(root, "us", "base")}-`);
        return seen.tippecanoe.some(ours) && seen.years[0]?.task !== undefined;
      },
      "tippecanoe under way",
      60_000,
      20,
    );
    const running = only(seen);
    assert.equal(running.state, "running");
    assert.equal(running.stage, "tiles");
    assert.equal(running.pid, child.pid);
    assert.equal(running.host, hostname());
    assert.ok(running.stages.zonal.done && running.stages.zonal.bytes > 1000);
    assert.equal(running.stages.tiles.done, false);
    const tiler = seen.tippecanoe.find(({ tempDir }) => tempDir.includes(`/${tempDirName(root, "us", "base")}-`));
    assert.match(tiler.threads, /^\d+ [RSD]/);
    assert.ok(tiler.openFiles > 3);

    child.kill("SIGKILL");
    await ended;
    const silent = only(await statusOf(root));
    assert.equal(silent.state, "silent");
    assert.equal(silent.stage, "tiles");

    const failed = await runYear(root, 2019, world.source, [
      "--quiet",
      "--tiler",
      "tippecanoe",
      "--tippecanoe",
      "/no/such/tippecanoe",
    ]);
    assert.equal(failed.code, 8);
    const text = await command("status", ["--root", root]);
    assert.match(text.stdout, /^2019 +failed +tiles/m);
    assert.match(text.stdout, /^(2019| {4}) error: .*tippecanoe not found/m);

    assert.equal((await runYear(root, 2019, world.source, ["--quiet", "--tiler", "tippecanoe"])).code, 0);
    const before = snapshot(root);
    const done = only(await statusOf(root));
    assert.equal(done.state, "done");
    assert.equal(done.error, undefined);
    assert.ok(done.stages.tiles.bytes > 10_000 && done.stages.publish.finishedAt > done.stages.tiles.finishedAt);
    assert.deepEqual(snapshot(root), before, "status changed something");

    rmSync(layoutOf(resolveOptions({ root }), 2019).archive);
    const purged = only(await statusOf(root));
    assert.equal(purged.state, "purged");
    assert.equal(purged.stages.tiles.gone, true);
    assert.ok(readFileSync(live, "utf8").length < 2_000);
  });
});

describe("status of what other hosts do", () => {
  function elsewhere(t, { ageMs, live = {} }) {
    const root = tempFolder(t);
    const layout = layoutOf(resolveOptions({ root }), 2021);
    const holder = { token: "t", host: "b1234", pid: 1, namespace: "other", startTicks: "1", since: "", beat: 3 };
    const at = new Date(Date.now() - ageMs);
    const lock = join(layout.state, "us_2021.lock");
    for (const path of [lock, layout.live]) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(lock, JSON.stringify(holder));
    utimesSync(lock, at, at);
    const state = { version: 1, year: 2021, state: "running", stage: "zonal", host: "b1234", pid: 1, ...live };
    const times = { startedAt: new Date(at - 60_000).toISOString(), updatedAt: at.toISOString() };
    writeFileSync(layout.live, JSON.stringify({ ...state, ...times }));
    return { root, layout };
  }

  test("a beat of just now is life, one of ten minutes ago is none", async (t) => {
    assert.equal(only(await statusOf(elsewhere(t, { ageMs: 3_000 }).root)).state, "running");
    assert.equal(only(await statusOf(elsewhere(t, { ageMs: 600_000 }).root)).state, "silent");
  });

  test("rate and ETA come from the task, how to see tippecanoe from the job", async (t) => {
    const startedAt = new Date(Date.now() - 103_000).toISOString();
    const live = {
      stage: "tiles",
      slurmJob: "77",
      slurmStep: "3",
      task: { label: "tiling %", done: 25, total: 100, startedAt },
    };
    const { root } = elsewhere(t, { ageMs: 3_000, live });
    const { task } = only(await statusOf(root));
    assert.ok(Math.abs(task.rate - 0.25) < 0.01, `${task.rate}`);
    assert.ok(Math.abs(task.etaSeconds - 300) < 12, `${task.etaSeconds}`);
    const { stdout } = await command("status", ["--root", root]);
    assert.match(stdout, /2021 +running +tiles +tiling % 25 % +0\.25\/s +[45]:\d\d .* b1234 job 77\.3/);
    assert.match(stdout, /srun --overlap --jobid=77 --nodelist=b1234/);
  });

  test("warnings and errors of the last run's log are shown, not those before it; a cut line is passed over", async (t) => {
    const { root, layout } = elsewhere(t, { ageMs: 3_000 });
    const line = (ageMs, level, msg) =>
      `${JSON.stringify({ level, time: new Date(Date.now() - ageMs).toISOString(), msg })}\n`;
    appendFileSync(
      layout.log,
      `t of a cut line"}\n${line(900_000, 50, "an old failure")}${line(20_000, 40, "thin ice")}`,
    );
    appendFileSync(layout.log, `${line(10_000, 50, "cracks")}${line(5_000, 30, "goes on")}{"level":30,"ti`);
    const year = only(await statusOf(root));
    assert.deepEqual(
      year.problems.map(({ message }) => message),
      ["thin ice", "cracks"],
    );
    assert.equal(year.lastLine.message, "goes on");
  });

  test("a state file that is garbage is as none", async (t) => {
    const { root, layout } = elsewhere(t, { ageMs: 3_000 });
    writeFileSync(layout.live, "\0\0\0");
    const year = only(await statusOf(root));
    assert.equal(year.state, "running");
    assert.equal(year.stage, undefined);
  });
});

test("without an answer of Slurm nothing is said of jobs", async (t) => {
  const report = await statusOf(tempFolder(t), [], { env: { PATH: "/nonexistent" } });
  assert.equal(report.slurm, undefined);
});

test("jobs and steps as Slurm has them", { skip: slurmMissing() }, async (t) => {
  const cluster = await startSlurm();
  t.after(() => cluster.stop());
  const wrap = "srun --nodes=1 --ntasks=1 --job-name=y2020 sleep 60";
  const args = ["--parsable", "--job-name=years", "--account=nn0000k", "--nodes=4", "--time=5"];
  const { stdout, stderr } = await cluster.run("sbatch", [...args, `--wrap=${wrap}`], { cwd: cluster.folder });
  const job = stdout.trim();
  assert.match(job, /^\d+$/, stderr);
  let report;
  await until(async () => {
    report = await statusOf(cluster.folder, [], { env: { ...cluster.env, USER: "root" } });
    return report.slurm?.some(({ id }) => id === `${job}.0`);
  }, "the step");
  const [running] = report.slurm.filter(({ id }) => id === job);
  assert.equal(running.state, "RUNNING");
  assert.equal(running.name, "years");
  assert.equal(running.nodes, "b[1-4]");
  assert.equal(report.slurm.find(({ id }) => id === `${job}.0`).name, "y2020");
});

test("bad usage", async (t) => {
  const root = tempFolder(t);
  for (const args of [["20x0"], ["--interval", "0"]]) {
    const { code, stderr } = await command("status", ["--root", root, ...args]);
    assert.equal(code, 2, stderr);
  }
});

test("--watch looks again until it is interrupted", async (t) => {
  const root = tempFolder(t);
  let child;
  const ended = command("status", ["--root", root, "--watch", "--json", "--interval", "1"], {
    onStart: (started) => {
      child = started;
    },
  });
  let lines = 0;
  child.stdout.on("data", (chunk) => {
    lines += String(chunk).split("\n").length - 1;
    if (lines >= 2) child.kill("SIGINT");
  });
  const { code, stdout } = await ended;
  assert.equal(code, 0);
  assert.ok(stdout.trim().split("\n").length >= 2);
});
