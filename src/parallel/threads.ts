import { readdirSync, readFileSync } from "node:fs";

/** More workers than this do not help: no known node has more physical cores, and tippecanoe's arithmetic ends here. */
export const MAX_THREADS = 128;

export interface ThreadSources {
  readonly threads?: number | undefined;
  readonly slurmCpusPerTask?: string | undefined;
  /** Physical cores that this process may run on. */
  readonly cores: number;
}

/**
 * Worker threads to use: what was asked for, else Slurm's share, else the physical
 * cores; at most 128. Slurm may count hyperthreads, and does not bind tasks
 * everywhere, so its share never makes more of the cores that there are.
 */
export function threadCount(sources: ThreadSources): number {
  const slurm = Number(sources.slurmCpusPerTask);
  const share = Number.isInteger(slurm) && slurm > 0 ? Math.min(slurm, sources.cores) : sources.cores;
  return Math.max(1, Math.min(MAX_THREADS, sources.threads ?? share));
}

/** `threadCount` of this process. */
export function availableThreads(threads?: number): number {
  return threadCount({ threads, slurmCpusPerTask: process.env.SLURM_CPUS_PER_TASK, cores: physicalCores() });
}

/**
 * Physical cores that this process may use: allowed CPUs (affinity) with hyperthread
 * siblings counted once, held by the cgroup's CPU quota.
 *
 * @param root  file system root; another one in tests.
 */
export function physicalCores(root = ""): number {
  return Math.max(1, Math.min(coreCpus(root).length, cgroupCpus(root)));
}

/** A CPU of each physical core that this process may run on, ascending. */
export function coreCpus(root = ""): number[] {
  const cores = new Map<string, number>();
  for (const cpu of allowedCpus(root)) {
    const dir = `${root}/sys/devices/system/cpu/cpu${cpu}/topology`;
    const core = read(`${dir}/core_cpus_list`) ?? read(`${dir}/thread_siblings_list`) ?? String(cpu);
    if (!cores.has(core)) cores.set(core, cpu);
  }
  return [...cores.values()];
}

/** CPUs that this process may run on (its affinity), hyperthreads counted. */
export function allowedCpus(root = ""): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read(`${root}/proc/self/status`) ?? "")?.[1];
  if (list !== undefined) return parseCpuList(list);
  try {
    return readdirSync(`${root}/sys/devices/system/cpu`)
      .flatMap((name) => /^cpu(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number);
  } catch {
    return [0];
  }
}

/** `0-3,8` as numbers. */
export function parseCpuList(list: string): number[] {
  return list.split(",").flatMap((part) => {
    if (part.trim() === "") return [];
    const [first, last] = part.split("-").map(Number);
    if (first === undefined || Number.isNaN(first)) return [];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  });
}

/**
 * CPUs by the smallest quota of the process's own cgroup and those above it (version 2,
 * then 1); infinite without one. In a container its own cgroup is the root.
 */
export function cgroupCpus(root = ""): number {
  const groups = (read(`${root}/proc/self/cgroup`) ?? "").split("\n").map((line) => line.split(":"));
  const unified = groups.find(([id]) => id === "0")?.[2] ?? "/";
  const v1 = groups.find(([, controllers]) => controllers?.split(",").includes("cpu"))?.[2] ?? "/";
  const quotas = [
    ...withAncestors(unified).map((path) => read(`${root}/sys/fs/cgroup${path}/cpu.max`)),
    ...withAncestors(v1).map((path) => {
      const dir = `${root}/sys/fs/cgroup/cpu${path}`;
      return `${read(`${dir}/cpu.cfs_quota_us`) ?? ""} ${read(`${dir}/cpu.cfs_period_us`) ?? ""}`;
    }),
  ].map((text) => {
    const [quota, period] = (text ?? "").split(" ").map(Number);
    return quota && period && quota > 0 ? Math.max(1, Math.floor(quota / period)) : Infinity;
  });
  return Math.min(Infinity, ...quotas);
}

/** `/a/b` gives `/a/b`, `/a` and the root, which is empty. */
function withAncestors(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, i) => ["", ...parts.slice(0, parts.length - i)].join("/"));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
