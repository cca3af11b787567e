import { PipelineError } from "./errors.js";

/**
 * The results of several years.
 *
 * @throws {PipelineError} the first error when all years failed; partial, naming the years, when some did.
 */
export function settledYears<T>(
  done: Readonly<Record<string, T>>,
  errors: ReadonlyMap<number, PipelineError>,
): Record<string, T> {
  const [first] = errors.values();
  const years = Object.keys(done);
  if (first === undefined) return done;
  if (years.length === 0) throw first;
  throw new PipelineError("partial", "Some years failed", {
    failed: [...errors.keys()].join(" "),
    done: years.join(" "),
  });
}
