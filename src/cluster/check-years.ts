import type { Options } from "../config/config.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { planYear } from "../year/run-year.js";
import type { Selection } from "../year/stages.js";

/** Whether a year is done: all of its outputs exist, are verified, and were made from the current inputs. */
export interface CheckedYear {
  readonly year: number;
  readonly done: boolean;
  /** The first stage to do, and why. */
  readonly reason?: string;
}

/** Judge years without changes: what a run would have to do. */
export async function checkYears(
  years: readonly number[],
  options: Options,
  selection: Selection,
  ctx: Context,
): Promise<CheckedYear[]> {
  const checked: CheckedYear[] = [];
  for (const year of years) {
    ctx.signal.throwIfAborted();
    checked.push({ year, ...(await firstLeft(year, options, selection, ctx)) });
  }
  return checked;
}

async function firstLeft(year: number, options: Options, selection: Selection, ctx: Context) {
  try {
    const plan = await planYear(year, options, selection, ctx);
    const left = plan.find(({ runs }) => runs);
    return left === undefined ? { done: true } : { done: false, reason: `${left.stage}: ${left.reason}` };
  } catch (error) {
    // A year that cannot be judged is not done; the others are still judged.
    if (error instanceof PipelineError) return { done: false, reason: error.message };
    throw error;
  }
}
