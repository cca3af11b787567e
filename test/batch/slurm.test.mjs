import assert from "node:assert/strict";
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildExclusiveItem, readProof, readResults } from "../support/exclusive-item.mjs";
import { Random } from "../support/random.mjs";
import { slurmMissing, startSlurm } from "../support/slurm.mjs";
import { tempDirsIn } from "../support/temp-folder.mjs";

const BATCH = fileURLToPath(new URL("../../dist/batch.js", import.meta.url));
const ITEMS = 13_510;
const KILLS = 24;

// One runner on each node, started anew when it is killed. Two of the nodes are hosts of their own as far
// as a process can tell: another host name, other process ids, so only heartbeats tell of their death.
const SCRIPT = `#!/bin/bash
on_node() {
  local code
  for _ in $(seq 100); do
    case $1 in
      b1|b2) srun --exclusive -N1 -n1 -w "$1" --cpus-per-task=8 "\${@:2}" ;;
      *) srun --exclusive -N1 -n1 -w "$1" --cpus-per-task=8 unshare --uts --pid --mount-proc --fork --kill-child \\
           sh -c 'hostname "$0"; "$@"; exit $?' "$1" "\${@:2}" ;;
    esac
    code=$?
    echo "$1 ended with $code"
    case $code in 0|3) return $code ;; esac
  done
  return 1
}
failed=0
for node in $(scontrol show hostnames); do on_node "$node" "$@" & done
for job in $(jobs -p); do wait "$job" || failed=$?; done
exit $failed
`;

/** A folder in memory where there is room: 13,510 items on a slow disk would measure its fsync. */
function roomyFolder(t) {
  let parent = tmpdir();
  try {
    accessSync("/dev/shm", constants.W_OK);
    parent = "/dev/shm";
  } catch {
    // The temporary folder will do.
  }
  const folder = mkdtempSync(join(parent, "fields-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Processes of this host that run the batch in `out`, whatever their namespace: runners, and the hosts of their own. */
function processesOf(out) {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const kind = program.endsWith("node") ? "runner" : program === "sh" ? "host" : undefined;
      return kind && args.includes(BATCH) && args.includes(out) ? [{ pid: Number(pid), kind }] : [];
    } catch {
      return [];
    }
  });
}

test(`${ITEMS} items on four Slurm nodes, workers killed at random: each done once, none lost`, {
  skip: slurmMissing(),
}, async (t) => {
  const folder = roomyFolder(t);
  const cluster = await startSlurm();
  t.after(() => cluster.stop());
  const [out, proof, script] = ["out", "proof", "job.sh"].map((name) => join(folder, name));
  mkdirSync(proof);
  writeFileSync(script, SCRIPT);
  writeFileSync(
    join(folder, "items.csv"),
    `field,area\n${Array.from({ length: ITEMS }, (_, i) => `f${i},${i % 7}`).join("\n")}\n`,
  );
  const item = buildExclusiveItem(folder);
  const submitted = await cluster.run("sbatch", [
    "--parsable",
    "--account=nn1k",
    "-N4",
    "--time=30",
    "--no-requeue",
    `--output=${folder}/job.log`,
    script,
    process.execPath,
    BATCH,
    "run",
    "--items",
    join(folder, "items.csv"),
    "--out",
    out,
    "--workers",
    "6",
    "--stale",
    "6",
    "--backoff",
    "0.1",
    "--tmp",
    folder,
    "--valid",
    "result=size:2",
    "--",
    item,
    proof,
    "{field}",
    "{out}",
    "5",
    "0",
  ]);
  assert.equal(submitted.code, 0, submitted.stderr);
  const job = submitted.stdout.trim();

  const random = new Random(13_510);
  const killed = { runner: 0, host: 0 };
  let ended = false;
  const end = cluster.ended(job, 600_000).finally(() => {
    ended = true;
  });
  while (!ended && killed.runner + killed.host < KILLS) {
    await sleep(1_500);
    const candidates = processesOf(out);
    const victim = candidates[Math.floor(random.next() * candidates.length)];
    if (victim === undefined) continue;
    try {
      process.kill(victim.pid, "SIGKILL");
      killed[victim.kind]++;
    } catch {
      // It had ended.
    }
  }
  const { JobState } = await end;
  const log = readFileSync(join(folder, "job.log"), "utf8");
  assert.equal(JobState, "COMPLETED", log.slice(-4_000));
  t.diagnostic(`killed: ${killed.runner} runners, ${killed.host} whole hosts`);
  assert.ok(killed.runner + killed.host >= KILLS / 2, "the run was over before workers were killed");

  const { starts, ends, twice } = readProof(proof);
  assert.deepEqual(twice, [], "an item ran while another process of it was alive");
  assert.equal(starts.size, ITEMS);
  assert.equal(ends.size, ITEMS);
  const results = readResults(out);
  assert.equal(results.size, ITEMS, "none lost");
  for (const [name, text] of results) assert.equal(text, name);
  const again = [...starts.values()].reduce((sum, n) => sum + n, 0) - ITEMS;
  t.diagnostic(`${again} attempts were lost with their runner and made again`);
  assert.ok(again > 0 && again <= 6 * (killed.runner + killed.host), `${again} attempts made again`);

  const names = (part) => readdirSync(join(out, part), { recursive: true, withFileTypes: true });
  assert.deepEqual(
    names("claims").filter((entry) => !entry.isDirectory()),
    [],
  );
  assert.deepEqual(names("runners"), []);
  assert.deepEqual(names("scratch"), []);
  const records = names("records").filter((entry) => entry.isFile());
  assert.equal(records.length, ITEMS);
  assert.ok(records.every(({ name }) => name.endsWith(".done")));
  const status = await cluster.run(process.execPath, [BATCH, "status", "--out", out, "--json"]);
  const { done, failed, left, runners } = JSON.parse(status.stdout);
  assert.deepEqual({ done, failed, left }, { done: ITEMS, failed: 0, left: 0 });
  assert.equal(runners.filter(({ state }) => state === "ended").length, 4);
  assert.deepEqual(new Set(runners.map(({ host }) => host)), new Set(cluster.nodes));
  assert.deepEqual(
    tempDirsIn(folder, "batch-").filter((path) => !isOfKilledHost(basename(path))),
    [],
  );
});

/** A host that is gone with its guard cannot clean up after itself; its next runner of that host does. */
function isOfKilledHost(name) {
  return /^batch-b[34]-/.test(name);
}

test("the job's end is known: what still runs then is ended in time, claims are given back, exit code 11", {
  skip: slurmMissing(),
}, async (t) => {
  const folder = roomyFolder(t);
  const cluster = await startSlurm();
  t.after(() => cluster.stop());
  const [out, script, list] = ["out", "job.sh", "items.txt"].map((name) => join(folder, name));
  writeFileSync(list, "short\nlong\n");
  const command = `${process.execPath} ${BATCH} run --items ${list} --out ${out} --workers 2 --tmp ${folder} --grace 45`;
  const item = `sh -c 'echo > $1/x; [ $0 = short ] || sleep 600' {id} {out}`;
  writeFileSync(
    script,
    `#!/bin/bash\nsrun -N1 -n1 ${command} --command "${item.replaceAll("$", "\\$")}"\necho "code $?"\n`,
  );
  const submitted = await cluster.run("sbatch", [
    "--parsable",
    "--account=nn1k",
    "-N4",
    "--time=1",
    `--output=${folder}/job.log`,
    script,
  ]);
  assert.equal(submitted.code, 0, submitted.stderr);
  const { JobState } = await cluster.ended(submitted.stdout.trim(), 180_000);
  const log = readFileSync(join(folder, "job.log"), "utf8");
  assert.equal(JobState, "COMPLETED", log);
  assert.match(log, /code 11$/m, log);
  const status = await cluster.run(process.execPath, [BATCH, "status", "--out", out, "--json"]);
  const { done, failed, running, left } = JSON.parse(status.stdout);
  assert.deepEqual({ done, failed, running, left }, { done: 1, failed: 0, running: 0, left: 1 });
});
