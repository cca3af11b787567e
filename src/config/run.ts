import { openPool, type Pool } from "../parallel/pool.js";
import { availableThreads } from "../parallel/threads.js";
import type { Context } from "../pipeline/context.js";
import { type Layout, layoutOf, type Options } from "./config.js";

/** What the steps of one command share. */
export interface Run {
  readonly options: Options;
  /** Paths of the run's year; without a year, only the paths that all years share are valid. */
  readonly layout: Layout;
  /** The worker pool, opened at the first call: where everything is valid no thread starts. */
  readonly pool: () => Pool;
  readonly ctx: Context;
}

/** The same run for another year. */
export function runOfYear(run: Run, year: number): Run {
  const { fieldsRaw } = run.layout;
  return { ...run, layout: { ...layoutOf(run.options, year), fieldsRaw } };
}

/**
 * Open a run for `body`, and close its pool afterwards.
 *
 * @param year  undefined where several years or none are concerned.
 */
export async function withRun<T>(
  options: Options,
  year: number | undefined,
  ctx: Context,
  body: (run: Run) => Promise<T>,
): Promise<T> {
  let pool: Pool | undefined;
  const open = () => {
    pool ??= openPool(availableThreads(options.threads));
    return pool;
  };
  try {
    return await body({ options, layout: layoutOf(options, year ?? 0), pool: open, ctx });
  } finally {
    await pool?.close();
  }
}
