import { existsSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Writable } from "node:stream";
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { endOfSections } from "../archive/header.js";
import { Archive, readHeader } from "../archive/reader.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import type { Log } from "../pipeline/log.js";
import { removePrivate } from "../pipeline/private-folder.js";
import { fileSystemOf } from "../system/file-system.js";
import { endGroup, signalGroup } from "../system/process-group.js";
import { OUTPUT_COPIES } from "./preflight.js";
import { openTempDir } from "./temp-dir.js";
import { type TileOptions, tippecanoeCommand } from "./tippecanoe-command.js";
import { type Ending, failureOf, StderrTail } from "./tippecanoe-errors.js";
import type { TippecanoePlan } from "./tippecanoe-plan.js";
import { type Feeding, watch } from "./watchdog.js";

/** A stopped process never receives SIGTERM. */
const GRACE_MS = 5_000;

export interface TippecanoeRun extends TileOptions {
  /**
   * Newline-delimited GeoJSON, each feature with its `id` and `tippecanoe.layer`, in
   * chunks of any size, which must not change afterwards.
   */
  readonly features: AsyncIterable<Uint8Array>;
  readonly program: string;
  readonly plan: TippecanoePlan;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Time between SIGTERM and SIGKILL, and for the producer's cleanup after tippecanoe's end. */
  readonly graceMs?: number;
  /** Time without progress after which it is stopped, with a diagnosis; never if undefined. */
  readonly stallMs?: number | undefined;
  /** Receives tippecanoe's estimate, 0 to 100, about once a second. */
  readonly onProgress?: (percent: number) => void;
}

/**
 * Tile a stream of features into the PMTiles archive `run.output`, which must not
 * exist; `run.tempDir` is created, and removed at the end.
 *
 * The next chunk is requested when the pipe has taken the previous one: memory stays
 * constant even if tippecanoe reads slowly. Its input ends only if the producer
 * finished, because tippecanoe would tile a partial input and exit with 0; on any
 * failure the process is killed first. The caller must verify the output: exit code 0
 * is no proof.
 *
 * @returns bytes written to its input.
 * @throws {PipelineError} tool or space, with its last lines; the signal's reason; or the producer's error.
 */
export async function runTippecanoe(run: TippecanoeRun): Promise<{ inputBytes: number }> {
  run.signal.throwIfAborted();
  if (existsSync(run.output)) {
    throw new PipelineError("usage", "tippecanoe's output is there already", { path: run.output });
  }
  openTempDir(run.tempDir);
  let done = false;
  try {
    const inputBytes = await tile(run);
    await requireWhole(run.output);
    done = true;
    return { inputBytes };
  } finally {
    removePrivate(run.tempDir);
    if (!done) for (const path of outputFiles(run.output)) rmSync(path, { force: true });
  }
}

/** Files that tippecanoe writes for an archive: SQLite under its name, the SQLite journal, then the archive. */
function outputFiles(output: string): string[] {
  return ["", ".tmp", "-journal"].map((suffix) => output + suffix);
}

async function tile(run: TippecanoeRun): Promise<number> {
  const { program, plan, signal, tempDir, output, graceMs = GRACE_MS } = run;
  const [file, ...args] = await tippecanoeCommand(program, plan, run);
  const child = execa(file as string, args, {
    reject: false,
    buffer: false,
    stdin: "pipe",
    stdout: "ignore",
    stderr: "pipe",
    env: plan.env,
    // A separate process group: a wrapper around the program is killed together with it.
    detached: true,
  });
  const tail = new StderrTail(run.log, run.onProgress);
  child.stderr.on("data", (chunk: Buffer) => tail.add(chunk));
  // A broken pipe only follows from an exit, which has the reason.
  child.stdin.on("error", () => {});
  const feeding: Feeding = { bytes: 0, waitsFor: "features" };
  const exited = child.then((result): Ending => result);
  let stalled: PipelineError | undefined;
  let given: (ending: Ending) => void;
  // Abandon a process that survives SIGKILL.
  const exit = Promise.race([
    exited,
    new Promise<Ending>((resolve) => {
      given = resolve;
    }),
  ]);
  const end = () => {
    if (child.pid !== undefined) void endGroup(child.pid, exited, graceMs).then(() => given({ signal: "SIGKILL" }));
  };
  const endAtExit = () => {
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  };
  process.once("exit", endAtExit);
  signal.addEventListener("abort", end, { once: true });
  // The event may have come before the listener.
  if (signal.aborted) end();
  const unwatch = watchFor(run, child.pid, feeding, (error) => {
    stalled = error;
    end();
  });
  try {
    const fed = await feed(run.features, child.stdin, exit, graceMs, feeding);
    if (fed.failure !== undefined) end();
    const ending = await exit;
    if (signal.aborted) throw signal.reason;
    if (stalled !== undefined) throw stalled;
    if (fed.failure !== undefined) throw fed.failure;
    const complete = fed.complete && child.stdin.writableFinished;
    const failure = failureOf(ending, tail.text(), complete, { program, tempDir, output });
    if (failure !== undefined) throw failure;
    return feeding.bytes;
  } catch (error) {
    throw signal.aborted ? signal.reason : asPipelineError(error, "tool", "Tiling failed");
  } finally {
    unwatch();
    signal.removeEventListener("abort", end);
    process.removeListener("exit", endAtExit);
  }
}

function watchFor(
  { stallMs, tempDir, output, log }: TippecanoeRun,
  pid: number | undefined,
  feeding: Feeding,
  onStall: (error: PipelineError) => void,
): () => void {
  if (stallMs === undefined || pid === undefined) return () => {};
  const watched = { name: "tippecanoe", pid, tempDir, outputs: outputFiles(output), feeding };
  return watch(watched, { stallMs, log, onStall });
}

/**
 * tippecanoe does not check its last writes: with a full disk it exits with 0 and leaves
 * a truncated archive.
 */
async function requireWhole(output: string): Promise<void> {
  try {
    new Archive(output).close();
  } catch (cause) {
    const { freeBytes } = await fileSystemOf(dirname(output));
    const needed = OUTPUT_COPIES * announcedBytes(output);
    const full = existsSync(output) && freeBytes + statSync(output).size < needed;
    const where = { path: output, neededMiB: Math.ceil(needed / 2 ** 20), freeMiB: Math.floor(freeBytes / 2 ** 20) };
    throw full
      ? new PipelineError("space", "The disk was full when tippecanoe wrote the archive, unnoticed by it", where, {
          cause,
        })
      : new PipelineError(
          "tool",
          "tippecanoe called it success, and left no sound archive",
          { path: output },
          { cause },
        );
  }
}

/** Size of the archive from its header; 0 without a header. */
function announcedBytes(path: string): number {
  try {
    return endOfSections(readHeader(path));
  } catch {
    return 0;
  }
}

interface Feed {
  /** All features were written and the pipe was closed. */
  readonly complete: boolean;
  /** The producer's error; the pipe is still open then. */
  readonly failure?: unknown;
}

/** Write features until there are no more, the producer fails, or the process exits. */
async function feed(
  features: AsyncIterable<Uint8Array>,
  stdin: Writable,
  exit: Promise<unknown>,
  graceMs: number,
  feeding: Feeding,
): Promise<Feed> {
  const gone = exit.then(() => "gone" as const);
  const iterator = features[Symbol.asyncIterator]();
  try {
    for (;;) {
      feeding.waitsFor = "features";
      const next = await Promise.race([iterator.next(), gone]);
      if (next === "gone") break;
      feeding.waitsFor = "reader";
      if (next.done) {
        stdin.end(() => {
          feeding.waitsFor = "nothing";
        });
        return { complete: true };
      }
      if (!stdin.write(next.value) && (await Promise.race([drained(stdin), gone])) === "gone") break;
      feeding.bytes += next.value.length;
      // If the pipe takes every write at once, signals and timers would never run.
      await breathe();
    }
  } catch (failure) {
    return { complete: false, failure };
  }
  // The producer may clean up, but a cleanup that hangs must not hide why the process ended.
  const waiting = new AbortController();
  const stopped = Promise.resolve(iterator.return?.()).catch(() => {});
  await Promise.race([stopped, sleep(graceMs, undefined, { signal: waiting.signal }).catch(() => {})]);
  waiting.abort();
  return { complete: false };
}

/** Resolves when the pipe takes more; never after the process's exit. */
function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    stdin.once("drain", resolve);
  });
}
