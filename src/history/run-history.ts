import { join } from "node:path";
import { layoutOf, type Options } from "../config/config.js";
import type { Context } from "../pipeline/context.js";
import { withLock } from "../pipeline/lock.js";
import { runStep } from "../pipeline/step.js";
import { type HistoryFacts, type HistoryOptions, historyStep } from "./step.js";

/** Join the zonal tables of all years, under the history's own lock; what is valid is kept. */
export function runHistory(options: Options, own: HistoryOptions, force: boolean, ctx: Context): Promise<HistoryFacts> {
  const { state } = layoutOf(options, own.years[0] ?? 0);
  return withLock(join(state, `${options.region}_history.lock`), ctx, async (locked) =>
    runStep(await historyStep(options, own), locked, { force }),
  );
}
