import type { Context } from "../pipeline/context.js";
import { PipelineError, unexpectedError } from "../pipeline/errors.js";
import { settledYears } from "../pipeline/settled-years.js";
import type { Options } from "./config.js";
import { withYearLock } from "./year-lock.js";
import { parseYears } from "./years.js";

/**
 * Do one thing for each of several years, each under its year's lock. A year that fails
 * does not end the others.
 *
 * @param positionals  years as typed: `2020`, `2018-2020`.
 * @throws {PipelineError} usage without a year; a single year's own error; partial, naming the years,
 *   when some of several failed; the first error when all did; the signal's reason at once; paused at once.
 */
export async function eachYear<T>(
  positionals: readonly string[],
  options: Options,
  ctx: Context,
  task: (year: number, ctx: Context) => Promise<T>,
): Promise<Record<string, T>> {
  const years = positionals.flatMap(parseYears);
  if (years.length === 0) throw new PipelineError("usage", "Missing YEAR, e.g. 2020 or 2018-2020");
  const results: Record<string, T> = {};
  const errors = new Map<number, PipelineError>();
  for (const year of years) {
    try {
      results[year] = await withYearLock(year, options, ctx, (own) => task(year, own));
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (error instanceof PipelineError && error.kind === "paused") throw error;
      errors.set(year, unexpectedError(error, "Year failed", { year }));
      if (years.length > 1) ctx.log.error(errors.get(year)?.message ?? "", { year });
    }
  }
  return settledYears(results, errors);
}
