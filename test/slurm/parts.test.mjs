// One field set on four nodes of a real Slurm cluster: parts as tasks of an array, joined by a job that waits for them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { makeWorld } from "../support/sample-world.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";

const CODE = fileURLToPath(new URL("../..", import.meta.url));
const LIMIT_MS = 600_000;

describe("parts on a cluster", { skip: slurmMissing(), timeout: 1_500_000 }, () => {
  let slurm;
  let world;
  before(async () => {
    [world, slurm] = await Promise.all([makeWorld({ fields: 4000, years: [2020], seed: 3 }), startSlurm()]);
  });
  after(async () => {
    await slurm?.stop();
    world?.remove();
  });

  test("zone index and zonal table made by four tasks have the bytes of one process's", async () => {
    const at = (name) => join(world.folder, name);
    const fields = join(world.root, "data/fields_raw.parquet");
    const unzipped = await command("download", ["2020", "--root", world.root, "--cdl-source", world.source]);
    assert.equal(unzipped.code, 0, unzipped.stderr);
    const folder = join(world.root, "data/cdl/us_2020");
    const raster = join(
      folder,
      readdirSync(folder).find((name) => name.endsWith(".tif")),
    );
    const common = ["--fields", fields, "--raster", raster, "--threads", "1"];
    const zonal = ["--index", at("whole.zones")];
    for (const [name, ...args] of [["prepare"], ["zonal", ...zonal]]) {
      const out = at(name === "prepare" ? "whole.zones" : "whole.parquet");
      const run = await command(name, [...common, ...args, "--out", out]);
      assert.equal(run.code, 0, run.stderr);
    }

    const batch = async (...args) => {
      const directives = [
        "--parsable",
        "--account=nn1234k",
        "--time=30",
        "--mem-per-cpu=1900M",
        "--partition=preproc",
        "--cpus-per-task=1",
        `--output=${at("job_%A_%a.out")}`,
      ];
      const submitted = await slurm.run("sbatch", [...directives, ...args], {
        cwd: world.folder,
        extraEnv: { FIELDS_CODE: CODE },
      });
      assert.equal(submitted.code, 0, submitted.stderr);
      return submitted.stdout.trim();
    };
    const script = (name) => join(CODE, "slurm", name);
    const outputs = () =>
      readdirSync(world.folder)
        .filter((name) => name.startsWith("job_"))
        .map((name) => readFileSync(at(name), "utf8"))
        .join("\n");
    const onFour = async (name, out, ...args) => {
      const work = [...common, ...args, "--out", out];
      const parts = await batch("--array=1-4", script("part.sbatch"), "4", name, ...work);
      const joined = await batch(
        `--dependency=afterok:${parts}`,
        "--kill-on-invalid-dep=yes",
        script("one.sh"),
        name,
        ...work,
        "--join",
        "4",
      );
      const { JobState } = await slurm.ended(joined, LIMIT_MS);
      assert.equal(JobState, "COMPLETED", outputs());
    };
    await onFour("prepare", at("four.zones"));
    assert.ok(readFileSync(at("four.zones")).equals(readFileSync(at("whole.zones"))));
    await onFour("zonal", at("four.parquet"), "--index", at("four.zones"));
    assert.ok(readFileSync(at("four.parquet")).equals(readFileSync(at("whole.parquet"))));
  });
});
