import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { minutesOf } from "../../dist/doctor/services.js";
import { quotaFindings } from "../../dist/doctor/storage.js";
import { command } from "../support/command.mjs";
import { freePorts } from "../support/ports.mjs";
import { makeWorld, newRoot } from "../support/sample-world.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

/** A source that is here: nothing of the network in these tests. */
const HERE = ["--cdl-source", "/tmp"];

async function examine(args, options) {
  const run = await command("doctor", ["--json", ...HERE, ...args], options);
  assert.ok(run.json?.findings, run.stderr);
  return { code: run.code, of: (name) => run.json.findings.find((finding) => finding.name === name), ...run.json };
}
const levels = ({ findings }, level) => findings.filter((finding) => finding.level === level).map(({ name }) => name);

describe("a machine that makes sample years", () => {
  let world;
  before(async () => {
    world = await makeWorld({ fields: 500, years: [2020] });
  });
  after(() => world?.remove());

  test("is fit, and the estimate is of these fields", async () => {
    const root = newRoot(world, "fit");
    const { code, findings, of } = await examine(["--root", root, "--tiler", "tippecanoe", "--scratch", "/tmp"]);
    assert.deepEqual(levels({ findings }, "fail"), []);
    assert.equal(code, findings.some(({ level }) => level === "warn") ? 3 : 0);
    assert.match(of("fields").fact, /^500 fields, .*id column field_id/);
    assert.match(of("node").fact, /^v\d+/);
    assert.match(of("proj").fact, /works/);
    assert.match(of("tippecanoe").fact, /^tippecanoe v/);
    assert.match(of("CPUs").fact, /physical, .*threads will be used/);
    assert.equal(of("clock").level, "ok");
    assert.deepEqual(readdirSync(root), ["data"], "it left something");
    const { stdout } = await command("doctor", [...HERE, "--root", root]);
    assert.match(stdout, /^ok {4}gdal/m);
    assert.match(stdout, /\n\n0 fail, \d+ warn, \d+ ok\n$/);
  });

  test("PROJ_DATA of another installation is found before a job is", async () => {
    const { code, of } = await examine(["--root", newRoot(world, "proj")], { env: { PROJ_DATA: "/no/such/folder" } });
    assert.equal(code, 1);
    assert.equal(of("proj").level, "fail");
    assert.match(of("proj").fact, /PROJ_DATA=\/no\/such\/folder/);
    assert.match(of("proj").remedy, /PROJ_DATA/);
  });

  test("a missing tippecanoe and a folder that cannot take its files", async () => {
    const args = [
      "--root",
      newRoot(world, "bad"),
      "--tiler",
      "tippecanoe",
      "--tippecanoe",
      "/no/tippecanoe",
      "--scratch",
      "/no/scratch",
    ];
    const { code, of } = await examine(args);
    assert.equal(code, 1);
    for (const name of ["tippecanoe", "scratch"]) assert.equal(of(name).level, "fail", name);
    assert.match(of("tippecanoe").fact, /install-tippecanoe/);
    assert.equal(of("fields").level, "ok", "one failure hides another finding");
  });

  test("few open files", { skip: process.platform !== "linux" }, async () => {
    const root = newRoot(world, "nofile");
    const script = `ulimit -n 76 && exec "$0" dist/doctor.js --json --tiler tippecanoe --root "$1" --cdl-source /tmp`;
    const { execFile } = await import("node:child_process");
    const stdout = await new Promise((resolve) => {
      const cwd = new URL("../../", import.meta.url);
      execFile("bash", ["-c", script, process.execPath, root], { cwd }, (_error, text) => resolve(text));
    });
    const finding = JSON.parse(stdout).findings.find(({ name }) => name === "its threads");
    assert.equal(finding.level, "fail");
    assert.match(finding.fact, /the limit is 76/);
  });

  test("a target that cannot be reached is a failure, and no secret is printed", async () => {
    const [port] = await freePorts(1);
    const args = [
      "--root",
      newRoot(world, "target"),
      "--target",
      "s3://bucket/tiles",
      "--endpoint",
      `http://127.0.0.1:${port}`,
    ];
    const env = {
      AWS_ACCESS_KEY_ID: "AKIASECRETID",
      AWS_SECRET_ACCESS_KEY: "very-secret-key",
      AWS_REGION: "us-east-1",
    };
    const { code, of, findings } = await examine(args, { env });
    assert.equal(code, 1);
    assert.match(of("target").fact, /Cannot reach the S3 server/);
    assert.doesNotMatch(JSON.stringify(findings), /AKIASECRETID|very-secret/);
    const none = { AWS_CONFIG_FILE: "/none", AWS_SHARED_CREDENTIALS_FILE: "/none", AWS_EC2_METADATA_DISABLED: "true" };
    const without = await examine(args, { env: { ...none, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" } });
    assert.match(without.of("target").fact, /No AWS credentials found/);
  });

  test("links that lead nowhere, and where links lead", async (t) => {
    const root = tempFolder(t);
    const elsewhere = tempFolder(t);
    symlinkSync(elsewhere, join(root, "outputs"));
    symlinkSync("/purged/long/ago", join(root, "data"));
    const { of } = await examine(["--root", root]);
    assert.equal(of("outputs/").level, "ok");
    assert.match(of("outputs/").fact, new RegExp(elsewhere));
    assert.equal(of("data/").level, "fail");
    assert.match(of("fields").fact, /not there/);
  });

  test("a folder that nobody may write to", {
    skip: process.getuid() === 0 && "root may write anywhere",
  }, async (t) => {
    const root = tempFolder(t);
    chmodSync(root, 0o500);
    const { of } = await examine(["--root", root]);
    assert.equal(of("root").level, "fail");
  });

  test("files that the site is about to remove", async () => {
    const root = newRoot(world, "purge");
    const { of } = await examine(["--root", root, "--cluster", "betzy"]);
    assert.match(of("purge").fact, /has 2[01] of 21 days left/);
    assert.equal(of("purge").level, "ok");
    assert.equal(of("slurm")?.level ?? "fail", "fail");
    const profile = join(root, "profile.json");
    writeFileSync(profile, JSON.stringify({ purgeDays: 3 }));
    const soon = await examine(["--root", root, "--cluster", "betzy", "--cluster-profile", profile]);
    assert.equal(soon.of("purge").level, "warn");
    assert.match(soon.of("purge").remedy, /copy/);
  });

  test("data below the project space are told", async (t) => {
    const folder = tempFolder(t);
    const root = join(folder, "project", "work");
    mkdirSync(root, { recursive: true });
    const profile = join(folder, "profile.json");
    writeFileSync(
      profile,
      JSON.stringify({ projectSpace: join(folder, "project"), workSpace: join(folder, "scratch") }),
    );
    const { of } = await examine(["--root", root, "--cluster", "betzy", "--cluster-profile", profile]);
    assert.equal(of("data").level, "warn");
    assert.match(of("data").remedy, /quota there: keep data in .*scratch/);
  });
});

test("quotas as Lustre prints them", () => {
  const line = (used, limit, files, fileLimit) => `/cluster/work ${used} 0 ${limit} - ${files} 0 ${fileLimit} -`;
  assert.equal(quotaFindings(line("1000", "4000", "10", "100"))[0].level, "ok");
  assert.match(quotaFindings(line("1000", "4000", "10", "0"))[0].fact, /space 25 %, files no limit/);
  assert.equal(quotaFindings(line("3900", "4000", "10", "100"))[0].level, "warn");
  assert.equal(quotaFindings(line("4100*", "4000", "10", "100"))[0].level, "fail");
  assert.equal(quotaFindings(line("1", "4000", "99", "100"))[0].level, "warn");
  // A long path gets a line of its own.
  assert.equal(quotaFindings("/cluster/work/users/someone\n     1000 0 4000 - 10 0 100 -")[0].level, "ok");
  assert.deepEqual(quotaFindings("no quota here"), []);
});

test("time limits as Slurm prints them", () => {
  assert.equal(minutesOf("4-00:00:00"), 5760);
  assert.equal(minutesOf("1:30:00"), 90);
  assert.equal(minutesOf("30:00"), 30);
  assert.equal(minutesOf("infinite"), Number.POSITIVE_INFINITY);
});

test("Slurm as it is against the profile", { skip: slurmMissing() }, async (t) => {
  const cluster = await startSlurm();
  t.after(() => cluster.stop());
  const profile = join(cluster.folder, "profile.json");
  const args = ["--root", cluster.folder, "--cluster", "betzy", "--cluster-profile", profile];
  writeFileSync(profile, JSON.stringify({ jobTypes: { normal: { maxWalltimeMinutes: 60 } } }));
  const right = await examine(args, { env: cluster.env });
  assert.match(right.of("slurm").fact, /normal/);
  assert.equal(right.of("job type normal").level, "ok");
  writeFileSync(
    profile,
    JSON.stringify({ jobTypes: { normal: { maxWalltimeMinutes: 9000 }, accel: { partition: "gpus" } } }),
  );
  const wrong = await examine(args, { env: cluster.env });
  assert.match(wrong.of("job type normal").fact, /time limit 5760 min, the profile says 9000/);
  assert.match(wrong.of("job type accel").fact, /no partition gpus/);
});

test("an unknown cluster is a usage error", async () => {
  const { code, stderr } = await command("doctor", ["--cluster", "betsy"]);
  assert.equal(code, 2);
  assert.match(stderr, /betzy/);
});
