/** Soft limit of open files to request; tippecanoe never uses more than 2,000. */
const WANTED_NOFILE = 4096;
/** More threads always fail with 'shards not a power of 2', whatever the limit of open files. */
const MAX_THREADS = 128;
/** tippecanoe's own cap (main.cpp, init_cpus). */
const FILES_CAP = 2000;
/** Files that are already open when it counts: standard streams and a library. */
const FILES_OPEN = 4;
/** With fewer, it fails with 'Can't open a useful number of files'. */
const FILES_FLOOR = 32;
/**
 * Files open at the same time: six per reader while it reads, then two per shard (four
 * shards per thread) while it tiles; plus stdio, libraries, SQLite, sorted runs. Tested
 * with 64 and 128 threads: 800 and 1500 fail with 'Too many open files', 1024 and 2000 work.
 */
const FILES_PER_THREAD = 14;
const FILES_BESIDE = 64;

export interface Limits {
  /** CPUs that are online. */
  readonly onlineCpus: number;
  /** Threads that this run may use. */
  readonly maxThreadsWanted: number;
  /** `ulimit -Sn` and `ulimit -Hn`; Infinity when unlimited. */
  readonly softNofile: number;
  readonly hardNofile: number;
}

/** How tippecanoe will divide its work, computed as tippecanoe does; see planTippecanoe. */
export interface TippecanoePlan {
  /** Power of two, at most 128. */
  readonly threads: number;
  /** Soft limit of open files to start it with. */
  readonly nofile: number;
  /** The values that follow: MAX_FILES and TEMP_FILES in its source, and shards per thread. */
  readonly maxFiles: number;
  readonly tempFiles: number;
  readonly shards: number;
  readonly ok: boolean;
  /** Why it is impossible, or why there are fewer threads than requested. */
  readonly reason: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Choose threads and open files so that tippecanoe cannot fail on either. tippecanoe
 * itself fails only after it has read all input, half an hour into a year.
 *
 * The number of temporary files is min((files − 10) / 2, 4 × threads) and must be a
 * power of two; so it must be 4 × threads, with threads a power of two. If the
 * hard limit of open files is too low, threads are halved until it suffices.
 */
export function planTippecanoe({ onlineCpus, maxThreadsWanted, softNofile, hardNofile }: Limits): TippecanoePlan {
  const nofile = Math.max(Math.min(softNofile, WANTED_NOFILE), Math.min(hardNofile, WANTED_NOFILE));
  const wanted = powerOfTwoUpTo(Math.max(1, Math.min(onlineCpus, maxThreadsWanted, MAX_THREADS)));
  let plan = tippecanoeArithmetic(wanted, nofile);
  while (!plan.ok && plan.threads > 1) plan = tippecanoeArithmetic(plan.threads / 2, nofile);
  if (!plan.ok || plan.threads === wanted) return plan;
  return { ...plan, reason: `${plan.threads} threads instead of ${wanted}: the hard limit of open files is ${nofile}` };
}

/** tippecanoe's plan for this many threads and open files, valid or not. */
export function tippecanoeArithmetic(maxThreads: number, nofile: number): TippecanoePlan {
  const threads = powerOfTwoUpTo(maxThreads);
  const maxFiles = Math.floor((Math.min(nofile - FILES_OPEN, FILES_CAP) * 3) / 4);
  const tempFiles = Math.min(Math.floor((maxFiles - 10) / 2), threads * 4);
  const shards = Math.floor(tempFiles / threads);
  const needed = FILES_PER_THREAD * threads + FILES_BESIDE;
  let reason: string | undefined;
  if (nofile < needed || maxFiles < FILES_FLOOR) {
    reason = `${threads} threads need ${needed} open files, the limit is ${nofile}: raise it (ulimit -n 4096)`;
  } else if (tempFiles !== powerOfTwoUpTo(tempFiles)) {
    reason = `${threads} threads would make ${tempFiles} shards, not a power of two`;
  }
  return {
    threads,
    nofile,
    maxFiles,
    tempFiles,
    shards,
    ok: reason === undefined,
    reason,
    env: { TIPPECANOE_MAX_THREADS: String(threads) },
  };
}

function powerOfTwoUpTo(value: number): number {
  return 2 ** Math.floor(Math.log2(value));
}
