import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Failure } from "./outcome.js";

/** Between SIGTERM and SIGKILL; below Slurm's KillWait of 30 s. */
const TERM_GRACE_MS = 10_000;
/** A signal to the whole step reaches items before the runner has read its own. */
const SIGNAL_SETTLE_MS = 300;

/** Signals that come from outside: a scheduler, a user, a shutdown. */
const OUTSIDE = new Set(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"]);
const NUMBERS: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  9: "SIGKILL",
  10: "SIGUSR1",
  12: "SIGUSR2",
  15: "SIGTERM",
  24: "SIGXCPU",
};

export interface ItemProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Takes stdout and stderr. */
  readonly logFd: number;
  readonly timeoutMs: number | undefined;
  /** Ends the process; the attempt then counts as never made. */
  readonly stop: AbortSignal;
  readonly onStart: (group: number) => void;
  readonly onEnd: (group: number) => void;
}

export interface Ended {
  readonly exit: number | null;
  readonly signal: string | null;
  readonly seconds: number;
  /** Why the runner ended it, or that it could not be started. */
  readonly why?: "timeout" | "stopped" | "not started";
  readonly error?: Error;
  /** The kernel killed something for memory meanwhile, in this runner's cgroup. */
  readonly outOfMemory: boolean;
}

/** Run a process in a session and group of its own, and leave nothing of the group behind. */
export async function runProcess(item: ItemProcess): Promise<Ended> {
  const [program = "", ...args] = item.argv;
  const began = performance.now();
  const kills = oomKills();
  let why: Ended["why"];
  const result = await new Promise<Pick<Ended, "exit" | "signal" | "error">>((resolve) => {
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(program, args, {
        cwd: item.cwd,
        env: { ...item.env },
        detached: true,
        stdio: ["ignore", item.logFd, item.logFd],
      });
    } catch (error) {
      resolve({ exit: null, signal: null, error: error as Error });
      return;
    }
    const group = child.pid;
    if (group === undefined) {
      child.on("error", (error) => resolve({ exit: null, signal: null, error }));
      return;
    }
    item.onStart(group);
    let killTimer: NodeJS.Timeout | undefined;
    const end = (reason: "timeout" | "stopped") => {
      if (why !== undefined) return;
      why = reason;
      signalGroup(group, "SIGTERM");
      killTimer = setTimeout(() => signalGroup(group, "SIGKILL"), TERM_GRACE_MS);
    };
    const stop = () => end("stopped");
    if (item.stop.aborted) stop();
    else item.stop.addEventListener("abort", stop, { once: true });
    const timer = item.timeoutMs === undefined ? undefined : setTimeout(() => end("timeout"), item.timeoutMs);
    child.on("exit", (exit, signal) => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      item.stop.removeEventListener("abort", stop);
      signalGroup(group, "SIGKILL"); // What it left in the background must not go on into the next attempt.
      item.onEnd(group);
      resolve({ exit, signal });
    });
  });
  if (result.error) why = "not started";
  const seconds = (performance.now() - began) / 1000;
  if (why === undefined && signalOf(result) !== undefined) {
    await sleep(SIGNAL_SETTLE_MS);
    if (item.stop.aborted) why = "stopped";
  }
  return { ...result, seconds, outOfMemory: oomKills() > kills, ...(why && { why }) };
}

/**
 * What an ended process says of its attempt.
 *
 * @param started  false when the isolation failed before the item itself ran.
 * @returns undefined when it exited with 0; the fault otherwise. Not for a process that was `stopped`.
 */
export function failureOf(ended: Ended, started: boolean): Failure | undefined {
  const { exit, error } = ended;
  const signal = signalOf(ended);
  const how = { ...(exit !== null && { exit }), ...(signal !== undefined && { signal }) };
  if (error !== undefined) {
    const lacking = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "EIO", "ESTALE"];
    const fault = lacking.includes((error as NodeJS.ErrnoException).code ?? "") ? "node" : "item";
    return { fault, message: `cannot be started: ${error.message}` };
  }
  if (ended.why === "timeout")
    return { fault: "timeout", message: `ended after ${Math.round(ended.seconds)} s`, ...how };
  if (exit === 0) return undefined;
  if (signal === "SIGKILL") {
    const cause = ended.outOfMemory ? "killed for memory" : "killed from outside, for memory as a rule";
    return { fault: "oom", message: cause, ...how };
  }
  if (signal !== undefined && OUTSIDE.has(signal))
    return { fault: "node", message: `ended from outside by ${signal}`, ...how };
  if (!started) return { fault: "container", message: `container did not start, exit code ${exit ?? signal}`, ...how };
  return { fault: "item", message: signal ? `ended by ${signal}` : `exit code ${exit}`, ...how };
}

/** The signal that ended a process, or of which its shell or container reports (128 + number). */
function signalOf({ exit, signal }: Pick<Ended, "exit" | "signal">): string | undefined {
  return signal ?? (exit !== null && exit > 128 ? NUMBERS[exit - 128] : undefined);
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody is left in it.
  }
}

/** How often the kernel has killed for memory in this process's cgroup (version 2, then 1); 0 where it does not tell. */
function oomKills(): number {
  const text = memoryEvents();
  return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
}

function memoryEvents(): string {
  for (const path of oomPaths) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      // The next one.
    }
  }
  return "";
}

const oomPaths = cgroupPaths();

function cgroupPaths(): string[] {
  try {
    const text = readFileSync("/proc/self/cgroup", "utf8");
    const unified = /^0::(.*)$/m.exec(text)?.[1];
    const memory = /^\d+:memory:(.*)$/m.exec(text)?.[1];
    return [
      ...(unified === undefined ? [] : [`/sys/fs/cgroup${unified}/memory.events`]),
      ...(memory === undefined ? [] : [`/sys/fs/cgroup/memory${memory}/memory.oom_control`]),
    ];
  } catch {
    return [];
  }
}
