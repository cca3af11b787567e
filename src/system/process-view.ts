import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { stat } from "node:fs/promises";
import { arch } from "node:os";

/** One thread, as the kernel sees it. */
export interface ThreadView {
  readonly pid: number;
  readonly tid: number;
  /** `R` runs, `S` sleeps, `D` waits for a device or a file system, `T` is stopped, `Z` has ended. */
  readonly state: string;
  /** Where it waits: the kernel's function (`cl_sync_io_wait`), else the system call (`read of pipe:[1]`). */
  readonly waitsIn: string | undefined;
}

/** A process with all its descendants: what it is doing and how much it has done. */
export interface ProcessView {
  readonly threads: readonly ThreadView[];
  /** User and system time, also of ended children that were waited for. */
  readonly cpuSeconds: number;
  /** Bytes that it read and wrote by system calls; what is mapped does not count. */
  readonly ioBytes: number;
  /** What its open files are called: paths, `pipe:[4026]`, `/tmp/x (deleted)`. */
  readonly openFiles: readonly OpenFile[];
}

export interface OpenFile {
  /** `/proc/PID/fd/N`, which leads to the file though its name is gone. */
  readonly link: string;
  readonly name: string;
}

/** The kernel counts CPU time in these, on every architecture. */
const TICKS_PER_SECOND = 100;

/** System calls that a tiler waits in, by number. */
const CALLS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  x64: {
    0: "read",
    1: "write",
    2: "open",
    7: "poll",
    9: "mmap",
    11: "munmap",
    17: "pread64",
    18: "pwrite64",
    26: "msync",
    35: "nanosleep",
    61: "wait4",
    72: "fcntl",
    73: "flock",
    74: "fsync",
    75: "fdatasync",
    77: "ftruncate",
    87: "unlink",
    202: "futex",
    230: "clock_nanosleep",
    257: "openat",
    263: "unlinkat",
    285: "fallocate",
  },
  arm64: {
    25: "fcntl",
    32: "flock",
    35: "unlinkat",
    46: "ftruncate",
    47: "fallocate",
    56: "openat",
    63: "read",
    64: "write",
    67: "pread64",
    68: "pwrite64",
    73: "poll",
    82: "fsync",
    83: "fdatasync",
    98: "futex",
    101: "nanosleep",
    115: "clock_nanosleep",
    215: "munmap",
    222: "mmap",
    227: "msync",
    260: "wait4",
  },
};
/** Those whose first argument is an open file. */
const ON_A_FILE = /^(read|write|pread64|pwrite64|fcntl|flock|fsync|fdatasync|ftruncate|fallocate)$/;

/**
 * Look at a process and its descendants through /proc. Touches no file system but
 * that, so it answers while the one that the process waits for does not.
 *
 * @returns undefined when there is no such process.
 */
export function viewProcess(pid: number): ProcessView | undefined {
  const threads: ThreadView[] = [];
  const openFiles: OpenFile[] = [];
  let [ticks, ioBytes] = [0, 0];
  for (const member of familyOf(pid)) {
    const times = statFields(`/proc/${member}/stat`);
    if (times === undefined) continue;
    // utime, stime, cutime, cstime of proc(5), counted from the state.
    ticks += times.slice(11, 15).reduce((sum, text) => sum + Number(text), 0);
    const io = read(`/proc/${member}/io`) ?? "";
    for (const name of ["rchar", "wchar"]) ioBytes += Number(new RegExp(`^${name}: (\\d+)`, "m").exec(io)?.[1] ?? 0);
    for (const tid of list(`/proc/${member}/task`)) threads.push(...viewThread(member, Number(tid)));
    for (const fd of list(`/proc/${member}/fd`)) {
      const link = `/proc/${member}/fd/${fd}`;
      const name = readLink(link);
      if (name !== undefined) openFiles.push({ link, name });
    }
  }
  if (threads.length === 0) return undefined;
  return { threads, cpuSeconds: ticks / TICKS_PER_SECOND, ioBytes, openFiles };
}

/** What is under `folder` of the files that a process holds open, those without a name included. */
export async function measureOpenFiles(
  view: ProcessView,
  folder: string,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const seen = new Set<string>();
  let bytes = 0;
  for (const { link, name } of view.openFiles) {
    if (!name.startsWith(`${folder}/`)) continue;
    try {
      const { dev, ino, blocks } = await stat(link);
      if (seen.has(`${dev} ${ino}`)) continue;
      seen.add(`${dev} ${ino}`);
      bytes += blocks * 512;
    } catch {
      // Closed by now.
    }
  }
  return { files: seen.size, bytes };
}

/** `8 S in futex, 1 D in cl_sync_io_wait`, the most frequent first. */
export function describeThreads(threads: readonly ThreadView[]): string {
  const counts = new Map<string, number>();
  for (const { state, waitsIn } of threads) {
    const what = waitsIn === undefined ? state : `${state} in ${waitsIn}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([what, count]) => `${count} ${what}`)
    .join(", ");
}

/** A process and its descendants. */
function familyOf(pid: number): number[] {
  const family = [pid];
  for (const member of family) {
    for (const tid of list(`/proc/${member}/task`)) {
      const children = read(`/proc/${member}/task/${tid}/children`) ?? "";
      family.push(...children.split(" ").map(Number).filter(Boolean));
    }
  }
  return family;
}

function viewThread(pid: number, tid: number): ThreadView[] {
  const task = `/proc/${pid}/task/${tid}`;
  const state = statFields(`${task}/stat`)?.[0];
  if (state === undefined) return [];
  const wchan = state === "R" ? undefined : read(`${task}/wchan`);
  // "0": the kernel does not tell, or not us.
  const known = wchan !== undefined && wchan !== "0" && wchan !== "";
  return [{ pid, tid, state, waitsIn: known ? wchan : systemCall(pid, task) }];
}

function systemCall(pid: number, task: string): string | undefined {
  const [number, first] = (read(`${task}/syscall`) ?? "").split(" ");
  if (number === undefined || number === "" || number === "running") return undefined;
  if (number === "-1") return "no system call, as of a page fault";
  const name = CALLS[arch()]?.[Number(number)] ?? `system call ${number}`;
  const file = ON_A_FILE.test(name) ? readLink(`/proc/${pid}/fd/${Number(first)}`) : undefined;
  return file === undefined ? name : `${name} of ${file}`;
}

/** Fields of proc(5)'s stat from the state on; the name before it may hold anything. */
function statFields(path: string): string[] | undefined {
  const text = read(path);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
