import { stat } from "node:fs/promises";
import { PipelineError, type Where } from "../pipeline/errors.js";
import type { Log } from "../pipeline/log.js";
import { fileSystemOf } from "../system/file-system.js";
import { describeThreads, measureOpenFiles, type ProcessView, viewProcess } from "../system/process-view.js";

/** Progress of writing features to a process; changed in place. */
export interface Feeding {
  bytes: number;
  /** What the writer waits for: the next `features`, the `reader`, or `nothing` when all are written. */
  waitsFor: "features" | "reader" | "nothing";
}

export interface Watched {
  readonly name: string;
  readonly pid: number;
  readonly tempDir: string;
  /** Files that grow while it works; they need not exist yet. */
  readonly outputs: readonly string[];
  readonly feeding: Readonly<Feeding>;
}

export interface WatchOptions {
  /** Time without progress after which `onStall` is called, once; a warning comes at half of it. */
  readonly stallMs: number;
  readonly log: Log;
  readonly onStall: (error: PipelineError) => void;
}

const INTERVAL_MS = 5_000;
const SAMPLES_PER_STALL = 10;
/** Below this share of one CPU it only waits, with a thread that polls its lock. */
const BUSY_SHARE = 0.01;
/** The same for this process, which runs timers and this watchdog: reading or writing features takes far more. */
const PRODUCER_BUSY_SHARE = 0.05;
const BUSY_SECONDS = 0.05;
const MIB = 2 ** 20;

interface Sample {
  readonly at: number;
  readonly cpuSeconds: number;
  readonly ownSeconds: number;
  /** The values that do not change in a stall. */
  readonly counts: string;
}

/**
 * Watch a process through /proc until the returned function is called.
 *
 * A stall means no CPU time, no reads or writes, no growth of temporary files or
 * output, and no input, during all of `stallMs`. Waiting for features is not a stall
 * while this process is busy making them. Time in which this process did not run (a
 * suspended job) does not count.
 */
export function watch(watched: Watched, options: WatchOptions): () => void {
  const intervalMs = Math.min(INTERVAL_MS, Math.ceil(options.stallMs / SAMPLES_PER_STALL));
  const files = new GrowingFiles(watched);
  let [last, stillMs, warned] = [performance.now(), 0, false];
  let mark: Sample | undefined;
  const timer = setInterval(() => {
    const now = performance.now();
    const gapMs = Math.min(now - last, 2 * intervalMs);
    last = now;
    const view = viewProcess(watched.pid);
    if (view === undefined) return;
    files.measure(view);
    const sample = take(watched, view, files, now);
    if (mark === undefined || moved(mark, sample, watched.feeding)) {
      [mark, stillMs, warned] = [sample, 0, false];
      return;
    }
    stillMs += gapMs;
    if (stillMs >= options.stallMs) {
      clearInterval(timer);
      options.onStall(
        new PipelineError("tool", `${watched.name} has stalled`, diagnose(watched, view, files, stillMs)),
      );
    } else if (stillMs >= options.stallMs / 2 && !warned) {
      warned = true;
      options.log.warn(`${watched.name} does not move`, diagnose(watched, view, files, stillMs));
    }
  }, intervalMs);
  return () => clearInterval(timer);
}

function take({ feeding }: Watched, view: ProcessView, files: GrowingFiles, at: number): Sample {
  const { user, system } = process.cpuUsage();
  return {
    at,
    cpuSeconds: view.cpuSeconds,
    ownSeconds: (user + system) / 1e6,
    counts: [feeding.bytes, feeding.waitsFor, view.ioBytes, files.tempBytes, files.outputBytes].join(),
  };
}

function moved(mark: Sample, sample: Sample, feeding: Readonly<Feeding>): boolean {
  const seconds = (sample.at - mark.at) / 1000;
  const busy = (cpu: number, share: number) => cpu >= Math.max(BUSY_SECONDS, share * seconds);
  return (
    sample.counts !== mark.counts ||
    busy(sample.cpuSeconds - mark.cpuSeconds, BUSY_SHARE) ||
    (feeding.waitsFor === "features" && busy(sample.ownSeconds - mark.ownSeconds, PRODUCER_BUSY_SHARE))
  );
}

/** Sizes, read in the background: a file system that hangs must not block the watchdog. */
class GrowingFiles {
  tempBytes = 0;
  tempFiles = 0;
  outputBytes = 0;
  fileSystem = "unknown";
  network = false;
  #pending = false;

  constructor(private readonly watched: Watched) {}

  get answers(): boolean {
    return !this.#pending;
  }

  measure(view: ProcessView): void {
    if (this.#pending) return;
    this.#pending = true;
    void this.#measure(view).finally(() => {
      this.#pending = false;
    });
  }

  async #measure(view: ProcessView): Promise<void> {
    const { tempDir, outputs } = this.watched;
    const temp = await measureOpenFiles(view, tempDir);
    [this.tempBytes, this.tempFiles] = [temp.bytes, temp.files];
    const sizes = await Promise.all(outputs.map((path) => stat(path).catch(() => ({ size: 0 }))));
    this.outputBytes = sizes.reduce((sum, { size }) => sum + size, 0);
    const system = await fileSystemOf(tempDir).catch(() => undefined);
    if (system !== undefined) [this.fileSystem, this.network] = [system.name, system.network];
  }
}

const WAITING = {
  features: "it waits for features, and none come",
  reader: "features wait for it to read them",
  nothing: "it has all features",
} as const;

function diagnose({ feeding, tempDir }: Watched, view: ProcessView, files: GrowingFiles, stillMs: number): Where {
  return {
    stillSeconds: Math.round(stillMs / 1000),
    waiting: WAITING[feeding.waitsFor],
    threads: describeThreads(view.threads),
    tempDir,
    fileSystem: files.answers ? files.fileSystem : `${files.fileSystem}, which does not answer`,
    tempFiles: files.tempFiles,
    tempMiB: Math.round(files.tempBytes / MIB),
    outputMiB: Math.round(files.outputBytes / MIB),
    readMiB: Math.round(feeding.bytes / MIB),
    openFiles: view.openFiles.length,
    cpuSeconds: view.cpuSeconds,
    hint: hintOf(view, files),
  };
}

/** Kernel functions that wait for Lustre, NFS or GPFS. */
const NETWORK_WAITS = /^(cl_|ll_|osc_|ptlrpc|nfs|rpc_|cxi|gpfs|mmfs)/;

function hintOf({ threads }: ProcessView, files: GrowingFiles): string | undefined {
  if (threads.some(({ state }) => state === "T" || state === "t")) {
    return "it was stopped by a signal or a debugger; SIGCONT continues it";
  }
  if (files.network || !files.answers || threads.some(({ waitsIn }) => NETWORK_WAITS.test(waitsIn ?? ""))) {
    return "its files lie on a network file system that does not answer; pass a local folder with --scratch";
  }
  return undefined;
}
