import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PipelineError } from "../pipeline/errors.js";
import { type Holder, holderNow, parseHolder } from "../pipeline/holder.js";
import type { LivenessTracker } from "../pipeline/liveness-tracker.js";
import type { BatchLayout } from "./layout.js";
import { listNames } from "./records.js";
import type { SlurmJob } from "./slurm.js";

/** Separates the name of a reclaimed runner from that of its reclaimer. */
export const RECLAIMED = ".reclaimed-by.";

/** Heartbeats within the time after which a silent runner counts as dead. */
const BEATS_A_LIFE = 12;
/** The file keeps its length, so a heartbeat is one write in place and needs no space. */
const FILE_BYTES = 1024;

/** A runner's counts so far. */
export interface Tally {
  readonly done: number;
  /** Outputs that already existed and were valid, but had no record. */
  readonly found: number;
  readonly failed: number;
  /** Failed attempts that will be repeated. */
  readonly retries: number;
  /** Time of successful items: sum and maximum. */
  readonly itemSeconds: number;
  readonly longestSeconds: number;
  readonly running: number;
}

/** A runner's file: its identity, heartbeat, and progress. */
export interface RunnerFile extends Holder {
  readonly workers: number;
  /** Silent for this long, on the observer's own clock, a runner counts as dead. */
  readonly staleMs: number;
  readonly slurm?: SlurmJob | undefined;
  readonly tally: Tally;
  /** It starts no more items. */
  readonly draining: boolean;
  /** Time of writing by the runner's clock; only for users. */
  readonly at: string;
}

/** The values that change between heartbeats. */
export type Sign = Pick<RunnerFile, "tally" | "draining">;

/** A unique name that includes the runner's host. */
export function newRunnerName(): string {
  return `${hostInName()}-${process.pid}-${randomBytes(6).toString("hex")}`;
}

function hostInName(): string {
  return hostname().replace(/[^A-Za-z0-9-]/g, "-");
}

/** Startup files older than this belong to runners that died before registering. */
const STARTUP_TIMEOUT_MS = 3_600_000;

/** Host and pid in the name of a runner's startup file: `.NAME`, renamed to `NAME` once it is whole. */
const STARTUP_FILE = /^\.(.+)-(\d+)-[0-9a-f]{12}$/;

/**
 * Remove startup files of runners that were killed before they registered: of processes of this host that are gone,
 * and of others once they have not changed for `staleMs` on this process's clock, or for an hour on theirs. One
 * whose runner lives after all makes another.
 *
 * @param liveness  remembers what was seen before; without one the hour alone counts.
 */
export async function removeStartupFiles(
  folder: string,
  staleMs = Infinity,
  liveness?: LivenessTracker,
): Promise<void> {
  for (const name of await listNames(folder)) {
    const [, host, pid] = STARTUP_FILE.exec(name) ?? [];
    if (host === undefined) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    const dead = host === hostInName() && !existsSync(`/proc/${pid}`);
    const still = liveness?.ms(name, `${found?.ino} ${found?.size} ${found?.mtimeMs}`) ?? 0;
    const age = Date.now() - (found?.mtimeMs ?? Infinity);
    if (!dead && still <= staleMs && age <= STARTUP_TIMEOUT_MS) continue;
    liveness?.forget(name);
    await rm(path, { force: true });
  }
}

/**
 * A runner's heartbeat: a file that it renews. All claims of the runner are valid while
 * this file exists. A runner that considers another dead removes the file first; the other
 * then stops everything and changes nothing more.
 *
 * Heartbeats are written in place, never by rename, so a removed file does not come back.
 */
export class Heartbeat {
  readonly #lost = new AbortController();
  #beats = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    readonly name: string,
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly inode: bigint,
    private readonly fixed: Pick<RunnerFile, "workers" | "staleMs" | "slurm">,
    private readonly sign: () => Sign,
  ) {}

  /**
   * @param sign  content of every heartbeat.
   * @param onBeat  called after a successful heartbeat.
   */
  static async open(
    layout: BatchLayout,
    name: string,
    fixed: Pick<RunnerFile, "workers" | "staleMs" | "slurm">,
    sign: () => Sign,
    onBeat: () => void,
  ): Promise<Heartbeat> {
    const heartbeat = await Heartbeat.#create(layout, name, fixed, sign);
    let under = false;
    heartbeat.#timer = setInterval(() => {
      if (under) return; // If the file system stalls, there is no heartbeat, and the guard acts.
      under = true;
      void heartbeat.#beat(onBeat).finally(() => {
        under = false;
      });
    }, beatMs(fixed.staleMs));
    return heartbeat;
  }

  static async #create(
    layout: BatchLayout,
    name: string,
    fixed: Pick<RunnerFile, "workers" | "staleMs" | "slurm">,
    sign: () => Sign,
  ): Promise<Heartbeat> {
    const path = join(layout.runners(), name);
    const partial = join(layout.runners(), `.${name}`);
    const handle = await open(partial, "w");
    const { ino } = await handle.stat({ bigint: true });
    const heartbeat = new Heartbeat(name, path, handle, ino, fixed, sign);
    await heartbeat.#write();
    try {
      await rename(partial, path);
      return heartbeat;
    } catch (error) {
      await handle.close();
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      // Another, which does not see this process, took the file for one of the dead; it is about to be gone itself.
      return await Heartbeat.#create(layout, name, fixed, sign);
    }
  }

  /** Aborted when the file is gone: another runner considers this one dead. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether the file exists now. */
  async held(): Promise<boolean> {
    try {
      if ((await stat(this.path, { bigint: true })).ino === this.inode) return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    this.#lost.abort(new PipelineError("locked", "Others took this runner for dead; it ends", { runner: this.name }));
    return false;
  }

  get staleMs(): number {
    return this.fixed.staleMs;
  }

  /** Wait until the reclaimer has released all claims that it found. */
  async reclaimed(): Promise<void> {
    const mark = `${this.name}${RECLAIMED}`;
    while ((await listNames(dirname(this.path))).some((name) => name.startsWith(mark)))
      await sleep(beatMs(this.staleMs));
  }

  /** The current content of the file. */
  text(): string {
    const value: RunnerFile = {
      ...holderNow(this.name, ++this.#beats),
      ...this.fixed,
      ...this.sign(),
      at: new Date().toISOString(),
    };
    return JSON.stringify(value);
  }

  /** Remove the file; there are no more claims. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.handle.close();
    if (!this.#lost.signal.aborted) await rm(this.path, { force: true });
    await removeStartupFiles(dirname(this.path));
  }

  async #beat(onBeat: () => void): Promise<void> {
    try {
      await this.#write();
      if (await this.held()) onBeat();
    } catch {
      // A transient fault of the file system is no loss; the next heartbeat decides.
    }
  }

  async #write(): Promise<void> {
    await this.handle.write(`${this.text().padEnd(FILE_BYTES)}\n`, 0);
  }
}

export function beatMs(staleMs: number): number {
  return staleMs / BEATS_A_LIFE;
}

/** A runner's file, and its text, which changes with every beat; no `file` where the text makes no sense, undefined when it is gone. */
export async function readRunner(path: string): Promise<{ file?: RunnerFile; text: string } | undefined> {
  try {
    const text = await readFile(path, "utf8");
    const file = parseHolder(text) as RunnerFile | undefined;
    return file && typeof file.staleMs === "number" && typeof file.tally?.done === "number" ? { file, text } : { text };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
