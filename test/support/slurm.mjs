import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endChild, freePorts, spawnTied } from "./ports.mjs";

/**
 * A real Slurm cluster on this machine for tests: munged, slurmctld and a slurmd for each node, which claims
 * 128 CPUs, 494.5 GiB and 4 GPUs whatever the machine has. No systemd, no cgroups, no accounting (so no quality
 * of service: what Betzy asks for by --qos are partitions here). It runs as the user who starts it, as do its jobs.
 *
 * Partitions: normal (whole nodes, 4 at least), preproc, accel, saga. What the sites refuse is refused by
 * job_submit.lua. The death of a node is noticed within some 10 s.
 */
const PROGRAMS = ["/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch", "/usr/bin/srun"];
const UP_LIMIT_MS = 60_000;

/** Why Slurm cannot run here, as a test's skip message; false when it can. */
export function slurmMissing() {
  const missing = PROGRAMS.filter((path) => !existsSync(path));
  if (missing.length > 0) return `Slurm is not installed (setup.sh --test): ${missing.join(" ")}`;
  return userInfo().uid === 0 ? false : "Slurm's daemons need root to run jobs";
}

/** Start a cluster of its own folder and ports; `stop` ends it and removes the folder. */
export async function startSlurm({ nodes = 4 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "slurm-"));
  const names = Array.from({ length: nodes }, (_, i) => `b${i + 1}`);
  const conf = join(folder, "slurm.conf");
  const env = { ...process.env, SLURM_CONF: conf };
  for (const name of Object.keys(env)) {
    // A test may itself run in a job.
    if (/^(SLURM|SBATCH)_/.test(name) && name !== "SLURM_CONF") delete env[name];
  }
  for (const part of ["state", "spool", "log", "munge"]) mkdirSync(join(folder, part), { mode: 0o755 });
  await configure(folder, names);
  const daemon = (name, program, args) => {
    const log = openSync(join(folder, "log", `${name}.out`), "a");
    return spawnTied(program, args, { stdio: ["ignore", log, log], env });
  };
  const munge = join(folder, "munge");
  const munged = daemon("munged", "/usr/sbin/munged", [
    "--foreground",
    "--force",
    ...["key", "socket", "pid", "log", "seed"].map((part) => `--${MUNGE_FILES[part]}=${join(munge, part)}`),
  ]);
  await until(() => existsSync(join(munge, "socket")), "munged");
  const controller = daemon("slurmctld", "/usr/sbin/slurmctld", ["-D", "-f", conf]);
  const slurmd = {};
  const startNode = (name) => {
    slurmd[name] = daemon(name, "/usr/sbin/slurmd", ["-D", "-N", name, "-f", conf]);
  };
  for (const name of names) startNode(name);

  const cluster = {
    folder,
    conf,
    env,
    nodes: names,
    /** Run one of Slurm's commands: {code, stdout, stderr}. */
    run: (program, args, { extraEnv = {}, cwd } = {}) => run(program, args, { env: { ...env, ...extraEnv }, cwd }),
    /** State of a job as squeue has it (RUNNING, COMPLETED, ...); "" when it is not known. */
    state: async (job) => (await run("squeue", ["-h", "-j", job, "-t", "all", "-o", "%T"], { env })).stdout.trim(),
    /** Everything that Slurm knows of a job, by key: JobState, Restarts, ExitCode, NodeList ... */
    async job(id) {
      const { stdout } = await run("scontrol", ["-o", "show", "job", id], { env });
      return Object.fromEntries([...stdout.matchAll(/(\w+)=(\S*)/g)].map(([, key, value]) => [key, value]));
    },
    /** Wait for the end of a job, and of its requeues; what Slurm knows of it. */
    async ended(id, limitMs = 120_000) {
      const isOver = async () => {
        const states = (await cluster.state(id)).split("\n");
        return states.every((state) => ENDED.has(state));
      };
      await until(isOver, `job ${id}`, limitMs);
      return cluster.job(id);
    },
    /** Processes of a job that run this script. */
    tasksOf: (job, script) =>
      processesWith([`SLURM_JOB_ID=${job}`, `SLURM_CONF=${conf}`]).filter((pid) => commandOf(pid).includes(script)),
    /** A node loses power: all of its processes are gone at once, and Slurm finds it down (by itself, in 30 s). */
    async killNode(name) {
      slurmd[name].kill("SIGKILL");
      for (const pid of processesOf(name, conf)) kill(pid);
      await run("scontrol", ["update", `nodename=${name}`, "state=down", "reason=test"], { env });
    },
    /** A node that died is back and takes steps. */
    async revive(name) {
      startNode(name);
      await run("scontrol", ["update", `nodename=${name}`, "state=resume"], { env });
      await until(async () => {
        const { stdout } = await run("sinfo", ["-h", "-n", name, "-p", "normal", "-o", "%T"], { env });
        return /^(idle|mixed|allocated)$/.test(stdout.trim());
      }, name);
    },
    async stop() {
      await run("scancel", ["--signal=KILL", "--full", "-u", userInfo().username], { env });
      await run("scancel", ["-u", userInfo().username], { env });
      await Promise.all([...Object.values(slurmd), controller].map(endChild));
      await endChild(munged);
      // Step daemons that lost their node outlive it.
      for (const pid of processesWith([`SLURM_CONF=${conf}`])) kill(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await until(async () => {
      for (const child of [munged, controller, ...Object.values(slurmd)]) {
        if (child.exitCode !== null) throw new Error(`a daemon of Slurm ended:\n${logs(folder)}`);
      }
      const { stdout } = await run("sinfo", ["-h", "-N", "-t", "idle", "-p", "normal", "-o", "%N"], { env });
      return new Set(stdout.split("\n").filter(Boolean)).size === nodes;
    }, "the nodes");
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

const MUNGE_FILES = { key: "key-file", socket: "socket", pid: "pid-file", log: "log-file", seed: "seed-file" };
const ENDED = new Set(["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE", "BOOT_FAIL"]);

/** Wait until `is` holds. */
export async function until(is, what, limitMs = UP_LIMIT_MS, everyMs = 100) {
  const end = performance.now() + limitMs;
  while (!(await is())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await sleep(everyMs);
  }
}

function run(program, args, { env, cwd }) {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"], ...(cwd && { cwd }) });
  const [out, err] = [[], []];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
  });
}

/** Processes that were started with all of these variables. */
function processesWith(variables) {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const own = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      return variables.every((variable) => own.includes(variable));
    } catch {
      return false;
    }
  });
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ");
  } catch {
    return "";
  }
}

/** Tasks of a node, their children and their step daemons. */
function processesOf(node, conf) {
  const tasks = processesWith([`SLURMD_NODENAME=${node}`, `SLURM_CONF=${conf}`]);
  const daemons = tasks.map(parentOf).filter((pid) => pid !== undefined && nameOf(pid).startsWith("slurmstepd"));
  return [...new Set([...daemons, ...tasks].map(Number))];
}

function parentOf(pid) {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function nameOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8");
  } catch {
    return "";
  }
}

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was quicker.
  }
}

function logs(folder) {
  const log = join(folder, "log");
  return readdirSync(log)
    .map((name) => `${name}:\n${readFileSync(join(log, name), "utf8").split("\n").slice(-8).join("\n")}`)
    .join("\n");
}

async function configure(folder, names) {
  const [port, ...nodePorts] = await freePorts(1 + names.length);
  const user = userInfo().username;
  writeFileSync(join(folder, "munge", "key"), randomBytes(128), { mode: 0o600 });
  copyFileSync(fileURLToPath(new URL("job_submit.lua", import.meta.url)), join(folder, "job_submit.lua"));
  // Nothing is behind these GPUs; Slurm wants a file for each.
  for (let i = 0; i < 4; i++) writeFileSync(join(folder, `gpu${i}`), "");
  const all = names.join(",");
  writeFileSync(join(folder, "gres.conf"), `NodeName=${all} Name=gpu File=${folder}/gpu[0-3]\n`);
  const nodeLines = names.map(
    (name, i) =>
      `NodeName=${name} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${nodePorts[i]} CPUs=128 Sockets=2 ` +
      "CoresPerSocket=64 ThreadsPerCore=1 RealMemory=506368 Gres=gpu:4 State=UNKNOWN",
  );
  const text = `ClusterName=test
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${port}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge/socket,cred_expire=10
SlurmUser=${user}
SlurmdUser=${user}
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.%n.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
EnforcePartLimits=ALL
ReturnToService=2
SlurmdTimeout=5
SlurmctldTimeout=10
KillWait=20
MessageTimeout=30
MinJobAge=3600
JobRequeue=1
GresTypes=gpu
JobSubmitPlugins=lua
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
${nodeLines.join("\n")}
PartitionName=normal Nodes=${all} Default=YES MinNodes=4 MaxTime=4-00:00:00 OverSubscribe=EXCLUSIVE State=UP
PartitionName=preproc Nodes=${all} MaxNodes=1 MaxTime=1-00:00:00 State=UP
PartitionName=accel Nodes=${all} MaxNodes=3 MaxTime=7-00:00:00 State=UP
PartitionName=saga Nodes=${all} MaxTime=7-00:00:00 State=UP
`;
  writeFileSync(join(folder, "slurm.conf"), text);
}
