import { hostname } from "node:os";
import type { Progress, Task } from "../pipeline/progress.js";
import type { Context } from "./context.js";
import { PipelineError } from "./errors.js";
import { readJson, writeJsonAtomic } from "./json-file.js";

/** Progress of a year's run, for other processes to read; one small JSON file next to its log. */
export interface LiveState {
  readonly version: 1;
  readonly year: number;
  readonly state: "running" | "done" | "failed" | "paused";
  /** The stage under way, or the one that failed. */
  readonly stage?: string;
  /** What is counted now. */
  readonly task?: LiveTask;
  /** Where it failed. */
  readonly error?: string;
  readonly startedAt: string;
  /** Written every few seconds while the run lives. */
  readonly updatedAt: string;
  readonly host: string;
  readonly pid: number;
  /** As Slurm names the job and its step, where it runs in one. */
  readonly slurmJob?: string;
  readonly slurmStep?: string;
}

export interface LiveTask {
  readonly label: string;
  readonly done: number;
  readonly total?: number;
  readonly startedAt: string;
}

const WRITE_MS = 5_000;

/** Undefined where there is none or it cannot be read. */
export function readLive(path: string): LiveState | undefined {
  const state = readJson(path) as LiveState | undefined;
  return state?.version === 1 && typeof state.updatedAt === "string" ? state : undefined;
}

/**
 * Run `body` and keep `path` telling how it stands: at once, every five seconds, and at
 * its end. A state that cannot be written (a full disk) never ends the run.
 *
 * @param body  gets a context whose progress is noted too, and says which stage it begins.
 */
export async function withLiveState<T>(
  path: string,
  year: number,
  ctx: Context,
  body: (ctx: Context, begin: (stage: string) => void) => Promise<T>,
): Promise<T> {
  const startedAt = new Date().toISOString();
  const { SLURM_JOB_ID, SLURM_STEP_ID } = process.env;
  let stage: string | undefined;
  let task: LiveTask | undefined;
  const write = (state: LiveState["state"], error?: string) => {
    const live: LiveState = {
      version: 1,
      year,
      state,
      ...(stage !== undefined && { stage }),
      ...(task !== undefined && { task }),
      ...(error !== undefined && { error }),
      startedAt,
      updatedAt: new Date().toISOString(),
      host: hostname(),
      pid: process.pid,
      ...(SLURM_JOB_ID && { slurmJob: SLURM_JOB_ID }),
      ...(SLURM_STEP_ID && { slurmStep: SLURM_STEP_ID }),
    };
    // A successor tells of itself now.
    if (ctx.held?.() === false) return;
    try {
      writeJsonAtomic(path, live);
    } catch {
      // The error that matters comes from the output itself.
    }
  };
  const progress: Progress = {
    start(label, total): Task {
      const own = ctx.progress.start(label, total);
      const began = new Date().toISOString();
      const note = (done: number) => {
        task = { label, done, ...(total !== undefined && { total }), startedAt: began };
      };
      note(0);
      return {
        update(done) {
          note(done);
          own.update(done);
        },
        end: () => own.end(),
      };
    },
  };
  write("running");
  const timer = setInterval(() => write("running"), WRITE_MS);
  timer.unref();
  try {
    const result = await body({ ...ctx, progress }, (next) => {
      [stage, task] = [next, undefined];
      write("running");
    });
    [stage, task] = [undefined, undefined];
    write("done");
    return result;
  } catch (error) {
    const paused = error instanceof PipelineError && ["paused", "interrupted", "terminated"].includes(error.kind);
    write(paused ? "paused" : "failed", error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    clearInterval(timer);
  }
}
