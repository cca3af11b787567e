import { existsSync } from "node:fs";
import { layoutOf, type Options } from "../config/config.js";
import { withRun } from "../config/run.js";
import { withRootFields } from "../fields/root-fields.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { runStep } from "../pipeline/step.js";
import { type ColumnFacts, columnStep } from "./step.js";

/**
 * Make the column of a year whose zonal table exists. The caller holds the year's lock.
 *
 * @throws {PipelineError} input, if the table is missing; otherwise as the step.
 */
export function makeColumn(year: number, options: Options, force: boolean, ctx: Context): Promise<ColumnFacts> {
  const { zonal: path } = layoutOf(options, year);
  if (!existsSync(path)) {
    throw new PipelineError("input", "The zonal table is not there; make it first", { path, year });
  }
  return withRun(options, year, ctx, async (opened) => {
    const run = await withRootFields(opened);
    return runStep(columnStep({ year, path, digest: fileDigest(path) }, run), ctx, { force });
  });
}
