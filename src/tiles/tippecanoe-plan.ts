/** Soft limit of open files that is asked for; tippecanoe itself never uses more than 2,000. */
const WANTED_NOFILE = 4096;
/** More than this always ends in 'shards not a power of 2', whatever the limit of open files. */
const MAX_THREADS = 128;
/** tippecanoe's own cap (main.cpp, init_cpus). */
const FILES_CAP = 2000;
/** Open already when it counts: standard streams and a library. */
const FILES_OPEN = 4;
/** Below this it says 'Can't open a useful number of files'. */
const FILES_FLOOR = 32;
/**
 * Files that are open at once: six a reader while it reads, then two a shard (four
 * shards a thread) while it tiles; and stdio, libraries, SQLite, sorted runs. Tried
 * with 64 and 128 threads: 800 and 1500 end in 'Too many open files', 1024 and 2000 do.
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

/** How tippecanoe will divide its work, by its own arithmetic; see planTippecanoe. */
export interface TippecanoePlan {
  /** Power of two, at most 128. */
  readonly threads: number;
  /** Soft limit of open files to start it with. */
  readonly nofile: number;
  /** What it will make of that: MAX_FILES and TEMP_FILES in its source, and shards a thread. */
  readonly maxFiles: number;
  readonly tempFiles: number;
  readonly shards: number;
  readonly ok: boolean;
  /** Why not, or why fewer threads than wanted. */
  readonly reason: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Choose threads and open files so that tippecanoe cannot fail on either. It finds
 * out itself only after all input is read, which is half an hour into a year.
 *
 * The number of temporary files is min((files − 10) / 2, 4 × threads) and must be a
 * power of two; so it must be 4 × threads, with threads a power of two. Where the
 * hard limit of open files is too low for that, threads are halved until it is not.
 */
export function planTippecanoe({ onlineCpus, maxThreadsWanted, softNofile, hardNofile }: Limits): TippecanoePlan {
  const nofile = Math.max(Math.min(softNofile, WANTED_NOFILE), Math.min(hardNofile, WANTED_NOFILE));
  const wanted = powerOfTwoUpTo(Math.max(1, Math.min(onlineCpus, maxThreadsWanted, MAX_THREADS)));
  let plan = tippecanoeArithmetic(wanted, nofile);
  while (!plan.ok && plan.threads > 1) plan = tippecanoeArithmetic(plan.threads / 2, nofile);
  if (!plan.ok || plan.threads === wanted) return plan;
  return { ...plan, reason: `${plan.threads} threads instead of ${wanted}: the hard limit of open files is ${nofile}` };
}

/** What tippecanoe does with this many threads and open files, be it sound or not. */
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
