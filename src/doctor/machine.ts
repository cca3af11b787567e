import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { sizeText } from "../cli/size.js";
import type { ClusterProfile } from "../cluster/profiles.js";
import { allowedCpus, cgroupCpus, physicalCores } from "../parallel/threads.js";
import { makeFolder } from "../pipeline/folder.js";
import { fileSystemOf } from "../system/file-system.js";
import { type Check, type Finding, fail, judge, warn } from "./finding.js";

/** What two workers need, and each one more; bench/ measures it. */
const BASE_BYTES = 1.5 * 2 ** 30;
const WORKER_BYTES = 150 * 2 ** 20;
/** Clocks further apart than this make signed requests fail and ages lie. */
const CLOCK_LIMIT_S = 30;

/** The node itself: cores, memory, its temporary folders, its clock. */
export function machineChecks(root: string, threads: number, profile: ClusterProfile | undefined): Check[] {
  return [
    { name: "CPUs", run: async () => [processors(threads, profile)] },
    { name: "memory", run: async () => [memory(threads)] },
    { name: "/dev/shm", run: async () => [await sharedMemory(profile)] },
    { name: "temporary folder", run: async () => [await temporaryFolder()] },
    { name: "clock", run: async () => [clockSkew(root)] },
  ];
}

function processors(threads: number, profile: ClusterProfile | undefined): Finding {
  const [logical, physical, quota] = [allowedCpus().length, physicalCores(), cgroupCpus()];
  const share = process.env.SLURM_CPUS_PER_TASK;
  const parts = [
    `${cpus().length} logical, ${logical} allowed, ${physical} physical`,
    ...(Number.isFinite(quota) ? [`cgroup ${quota}`] : []),
    ...(share === undefined ? [] : [`SLURM_CPUS_PER_TASK=${share}`]),
    `${threads} threads will be used`,
  ];
  const most = Math.max(0, ...Object.values(profile?.jobTypes ?? {}).map(({ cores }) => cores));
  const inJob = process.env.SLURM_JOB_ID !== undefined;
  return judge(
    !inJob || profile?.scheduler !== "slurm" || threads >= Math.min(most, profile.maxThreads) || share !== undefined,
    "CPUs",
    parts.join(", "),
    `a node of ${profile?.name} has ${most} cores: ask for them by --cpus-per-task`,
    "warn",
  );
}

function memory(threads: number): Finding {
  const available = process.availableMemory();
  const needed = BASE_BYTES + Math.max(0, threads - 2) * WORKER_BYTES;
  const fact = `${sizeText(available)} available, ${sizeText(needed)} for ${threads} threads`;
  return judge(available >= needed, "memory", fact, "fewer --threads, or a job with more memory", "fail");
}

async function sharedMemory(profile: ClusterProfile | undefined): Promise<Finding> {
  const path = profile?.scratch ?? "/dev/shm";
  const remedy = "pass --scratch with a folder on a local disk";
  if (!existsSync(path)) return warn(path, "is not there", remedy);
  const { name, freeBytes, network } = await fileSystemOf(path);
  const fact = `${name}, ${sizeText(freeBytes)} free`;
  if (network) return fail(path, fact, remedy);
  const usual = (profile?.scratchGiB ?? 0) * 2 ** 30;
  return judge(
    freeBytes >= usual * 0.9,
    path,
    fact,
    `${sizeText(usual)} are usual here: others' files, or a killed run's`,
    "warn",
  );
}

async function temporaryFolder(): Promise<Finding> {
  const { name, freeBytes } = await fileSystemOf(tmpdir());
  // Tiling never goes there unless it fits; libraries may put a little.
  return judge(
    freeBytes > 100 * 2 ** 20,
    tmpdir(),
    `${name}, ${sizeText(freeBytes)} free`,
    "set TMPDIR to a folder with room",
    "warn",
  );
}

/** This node's clock against that of the file system's server. */
function clockSkew(root: string): Finding {
  makeFolder(root);
  const folder = mkdtempSync(join(root, ".doctor-"));
  try {
    const probe = join(folder, "clock");
    writeFileSync(probe, "");
    const seconds = Math.abs(Date.now() - statSync(probe).mtimeMs) / 1000;
    const fact = `${seconds.toFixed(1)} s from the file system's`;
    return judge(seconds < CLOCK_LIMIT_S, "clock", fact, "tell the site: its nodes' clocks differ", "warn");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
