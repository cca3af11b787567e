// A small world's years as jobs of a Slurm cluster that is the tests' own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testProfile } from "./cluster-profile.mjs";
import { command } from "./command.mjs";
import { leftovers, logLines, makeWorld, newRoot, outputsOf } from "./sample-world.mjs";
import { startSlurm, until } from "./slurm.mjs";

/** Patience for a few small years on busy cores. */
export const JOB_LIMIT_MS = 600_000;
const WORK = ["--threads=1", "--max-zoom=9"];

/** Start a cluster, make a world of these years, and the first of them by hand as what all others must equal. */
export async function startClusterYears(years) {
  const [world, slurm] = await Promise.all([makeWorld({ fields: 150, years, seed: 5 }), startSlurm()]);
  const options = (root) => ["--root", root, "--cdl-source", world.source, ...WORK];
  const byHand = newRoot(world, "by-hand");
  const made = await command("year", [String(years[0]), ...options(byHand)]);
  assert.equal(made.code, 0, made.stderr);
  const { manifest: _alone, ...reference } = outputsOf(byHand, years[0]);
  const profiles = { betzy: testProfile(world.folder, "betzy"), saga: testProfile(world.folder, "saga") };

  const cluster = {
    slurm,
    source: world.source,
    newRoot: (name) => newRoot(world, name),
    /** `node dist/cluster.js submit`; the job's id. Unless told, what the years share is made by them. */
    async submit(root, list, args = [], { cluster: name = "betzy", env = {}, prepare = false } = {}) {
      const own = ["submit", ...profiles[name], "--years", list, ...options(root), ...args];
      if (!prepare) own.push("--no-prepare");
      const run = await command("cluster", own, { env: { ...slurm.env, ...env }, cwd: world.folder });
      assert.equal(run.code, 0, run.stderr);
      return run.stdout.trim();
    },
    ended: (job) => slurm.ended(job, JOB_LIMIT_MS),
    /** What the job's script said. */
    outputOf: (root, job) => readFileSync(join(root, "logs", `fields-years_${job}.out`), "utf8"),
    check: (root, list) => command("cluster", ["check", list, ...options(root), "--json"]),
    /**
     * Nothing in the root, in /dev/shm or among the processes, but a dead maker's lock of the zone index
     * and, where it is to be taken up again, parts of a download or an upload.
     */
    assertClean(root, { resumable = false } = {}) {
      const mayStay = [
        /outputs\/state\/zones_\w+\.lock$/,
        ...(resumable
          ? [/^data\/cdl\/\.\w+\.json\.\w+\.scratch/, /^outputs\/state\/\.us_\d+_published\.json\.\w+\.scratch/]
          : []),
      ];
      for (const year of years) {
        const left = leftovers(root, year).filter((path) => !mayStay.some((pattern) => pattern.test(path)));
        assert.deepEqual(left, []);
      }
    },
    /** These years are valid and published, the first one's bytes are those made by hand, and nothing else is left. */
    async assertAllDone(root, done) {
      const { code, json, stderr } = await cluster.check(root, done.join(","));
      assert.equal(code, 0, `${JSON.stringify(json)} ${stderr}`);
      const manifest = JSON.parse(readFileSync(join(root, "outputs/web/us_full_years.json"), "utf8"));
      assert.deepEqual(manifest.years, done);
      if (done.includes(years[0])) {
        const { manifest: _all, ...outputs } = outputsOf(root, years[0]);
        assert.deepEqual(outputs, reference);
      }
      cluster.assertClean(root);
    },
    /** The node that a year's last process ran on, as its own log has it. */
    nodeOf: (root, year) => logLines(root, year).findLast(({ node }) => node !== undefined)?.node,
    /** Wait until one of these years is in that stage, and say which. */
    async yearIn(root, stage, among = years) {
      const isIn = (year) => {
        const lines = logLines(root, year).filter(({ step }) => step === stage);
        return lines.length > 0 && !lines.some(({ msg }) => msg.startsWith("done"));
      };
      let found;
      await until(
        () => {
          found = among.find(isIn);
          return found !== undefined;
        },
        `a year in stage ${stage}`,
        JOB_LIMIT_MS,
        10,
      );
      return found;
    },
    async stop() {
      await slurm.stop();
      world.remove();
    },
  };
  return cluster;
}
