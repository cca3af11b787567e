import type { Options } from "../config/options.js";
import { withRun } from "../config/run.js";
import { withRootFields } from "../fields/root-fields.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { ensureBase } from "../tiles/base.js";
import { runYear } from "./run-year.js";
import { isSelected, type Stage } from "./stages.js";

/** What years share, once it is there. */
export interface Prepared {
  /** The year whose zonal table was made with the zone index. */
  readonly year: number;
  /** Path of the base; absent where the years need none. */
  readonly base?: string;
}

/**
 * Make what some years share, so that they can be made on several nodes at once without waiting for one another: the
 * copy of the fields and the zone index, with the zonal table of the first year that can be made, then the base.
 *
 * @param until  the last stage that the years are made to.
 * @throws {PipelineError} as runYear and ensureBase.
 */
export async function prepareYears(
  years: readonly [number, ...number[]],
  until: Stage | undefined,
  options: Options,
  ctx: Context,
): Promise<Prepared> {
  const year = await firstYear(years, until === "download" ? until : "zonal", options, ctx);
  const rewrites = isSelected("tiles", { force: new Set(), until }) && options.tiles === "rewrite";
  if (!rewrites || options.base !== undefined) return { year };
  ctx.drain?.throwIfAborted();
  const { path } = await withRun(options, undefined, ctx, async (run) =>
    ensureBase(undefined, await withRootFields(run)),
  );
  ctx.log.info(`base of all years: ${path}`);
  return { year, base: path };
}

/** Make the first year that can be made. @throws the last one's error, when none can. */
async function firstYear(
  years: readonly [number, ...number[]],
  until: Stage,
  options: Options,
  ctx: Context,
): Promise<number> {
  let last: unknown;
  for (const year of years) {
    try {
      await runYear(year, options, { force: new Set(), until }, ctx);
      return year;
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (error instanceof PipelineError && error.kind === "paused") throw error;
      ctx.log.warn(asPipelineError(error, "failed", "The year cannot be made", { year }).message);
      last = error;
    }
  }
  throw last;
}
