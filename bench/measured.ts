import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { PipelineError } from "../dist/pipeline/errors.js";

/** What a program and all that it started took. */
export interface Usage {
  readonly wallS: number;
  /** User and system time of the whole process tree. */
  readonly cpuS: number;
  /** Largest resident set of one process. */
  readonly peakRssMiB: number;
}

export interface Measured {
  readonly usage: Usage;
  readonly stdout: string;
  /** Whether it was killed before it ended. */
  readonly killed: boolean;
}

/** The kernel counts the time of ended children in these, on every architecture. */
const TICKS_PER_SECOND = 100;
const POLL_MS = 20;
/** A shell that hands over its /proc entry when the program has ended: its children's time stands there. */
const WRAPPER = '"$@"; code=$?; read -r stat < /proc/$$/stat; echo "$stat" >&3; exit $code';

/**
 * Run a program to its end and measure it from outside. CPU time comes in hundredths of
 * a second; the peak of memory is looked up fifty times a second, and as the kernel keeps
 * it, only growth in the last moment is missed.
 *
 * @param killAfterS  SIGKILL the program after so many seconds, if it still runs.
 * @throws {PipelineError} failed, with the end of what the program said, when its exit code is not 0.
 */
export async function measure(command: readonly string[], signal: AbortSignal, killAfterS?: number): Promise<Measured> {
  signal.throwIfAborted();
  const began = performance.now();
  const child = spawn("/bin/sh", ["-c", WRAPPER, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
  });
  const shell = child.pid as number;
  const stop = () => process.kill(-shell, "SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  const texts = [1, 2, 3].map((i) => collect(child.stdio[i] as NodeJS.ReadableStream));
  let peakRssMiB = 0;
  const poll = setInterval(() => {
    peakRssMiB = Math.max(peakRssMiB, ...childrenOf(shell).map(peakOf));
  }, POLL_MS);
  let killed = false;
  const kill = () => {
    for (const pid of childrenOf(shell)) {
      process.kill(pid, "SIGKILL");
      killed = true;
    }
  };
  const killer = killAfterS === undefined ? undefined : setTimeout(kill, 1000 * killAfterS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    const wallS = (performance.now() - began) / 1000;
    signal.throwIfAborted();
    const [stdout, stderr, stat] = texts.map((text) => text()) as [string, string, string];
    if (code !== 0 && !killed) {
      throw new PipelineError("failed", "A program that is measured failed", {
        command: command.join(" "),
        code: code ?? "killed",
        said: stderr.trim().slice(-2000),
      });
    }
    return { usage: { wallS, cpuS: childrenSeconds(stat), peakRssMiB }, stdout, killed: killed && code !== 0 };
  } finally {
    clearTimeout(killer);
    clearInterval(poll);
    signal.removeEventListener("abort", stop);
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  return () => Buffer.concat(pieces).toString();
}

/** Fields 16 and 17 of proc(5)'s stat; the second holds the name, which may hold anything. */
function childrenSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(" ").map(Number).filter(Boolean);
}

/** VmHWM of a process, MiB; 0 when it has ended. */
function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
