import type { Context } from "../pipeline/context.js";
import { withLock } from "../pipeline/lock.js";
import { layoutOf } from "./config.js";
import type { Options } from "./options.js";

/**
 * Hold a year's lock while `body` runs. The command's options are kept in the root only once it is held: a command
 * that is refused changes nothing.
 *
 * @throws {PipelineError} locked, when another process works on this year.
 */
export function withYearLock<T>(
  year: number,
  options: Options,
  ctx: Context,
  body: (ctx: Context) => Promise<T>,
): Promise<T> {
  return withLock(layoutOf(options, year).lock, ctx, async (held) => {
    await held.keepOptions?.(held);
    return body(held);
  });
}
