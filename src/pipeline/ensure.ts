import type { Context } from "./context.js";
import { clearDeadLock, withLock } from "./lock.js";
import { clearEndedScratch } from "./output.js";
import type { Facts } from "./record.js";
import { judgeStep, runStep, type Step } from "./step.js";

/**
 * What several processes may want at once, made by one of them while the others wait.
 *
 * @param lock  path of the lock file.
 * @param find  undefined where there is none that fits; called again under the lock.
 * @param make  under the lock.
 */
export async function ensureMade<T>(
  lock: string,
  ctx: Context,
  find: () => Promise<T | undefined>,
  make: (ctx: Context) => Promise<T>,
): Promise<T> {
  const found = await find();
  if (found !== undefined) {
    // A kill between the rename and the end leaves it.
    await clearDeadLock(lock, ctx);
    return found;
  }
  return withLock(lock, ctx, async (own) => (await find()) ?? make(own), { wait: true });
}

/** The output of a step that several processes may want at once. */
export async function ensureStep<F extends Facts>(step: Step<F>, lock: string, ctx: Context): Promise<void> {
  const isValid = async () => {
    if (!(await judgeStep(step, false)).skip) return undefined;
    // A kill between the record and the clean-up leaves it.
    clearEndedScratch(step.target);
    return true;
  };
  await ensureMade(lock, ctx, isValid, async (own) => {
    await runStep(step, own);
    return true;
  });
}
