import { readdirSync, readFileSync } from "node:fs";

/** More workers than this do not help: no known node has more physical cores, and tippecanoe's arithmetic ends here. */
export const MAX_THREADS = 128;

export interface ThreadSources {
  readonly threads?: number | undefined;
  readonly slurmCpusPerTask?: string | undefined;
  /** Physical cores that this process may run on. */
  readonly cores: number;
}

/** Worker threads to use: what was asked for, else Slurm's share, else the physical cores; at most 128. */
export function threadCount(sources: ThreadSources): number {
  const slurm = Number(sources.slurmCpusPerTask);
  const wanted = sources.threads ?? (Number.isInteger(slurm) && slurm > 0 ? slurm : sources.cores);
  return Math.max(1, Math.min(MAX_THREADS, wanted));
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

function allowedCpus(root: string): number[] {
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
    const [first, last] = part.split("-").map(Number);
    if (first === undefined || Number.isNaN(first)) return [];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  });
}

/** CPUs by the cgroup's quota (version 2, then 1); infinite without one. */
function cgroupCpus(root: string): number {
  const [quota, period] = (read(`${root}/sys/fs/cgroup/cpu.max`) ?? "max 100000").split(" ");
  if (quota !== "max" && Number(quota) > 0) return Math.max(1, Math.floor(Number(quota) / Number(period)));
  const old = Number(read(`${root}/sys/fs/cgroup/cpu/cpu.cfs_quota_us`) ?? -1);
  const oldPeriod = Number(read(`${root}/sys/fs/cgroup/cpu/cpu.cfs_period_us`) ?? 100_000);
  return old > 0 ? Math.max(1, Math.floor(old / oldPeriod)) : Infinity;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
