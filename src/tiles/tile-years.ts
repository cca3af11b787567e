import { existsSync } from "node:fs";
import { layoutOf, type Options } from "../config/config.js";
import { type Run, runOfYear, withRun } from "../config/run.js";
import { withYearLock } from "../config/year-lock.js";
import { withRootFields } from "../fields/root-fields.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { settledYears } from "../pipeline/settled-years.js";
import { judgeStep, runStep } from "../pipeline/step.js";
import { type PassMember, RewritePass } from "./rewrite-pass.js";
import { singleArchiveStep, tilesStep } from "./step.js";
import type { TilesFacts, YearTable } from "./year-tiles.js";

/**
 * Tile several years whose zonal tables exist. All years that are not valid yet
 * share one pass over the base (unless they are tiled in full); a year that fails before it does not stop the others.
 *
 * @returns facts by year.
 * @throws {PipelineError} a single year's own error; partial, naming the years, when some of several failed.
 */
export async function tileYears(
  years: readonly number[],
  options: Options,
  force: boolean,
  ctx: Context,
): Promise<Record<string, TilesFacts>> {
  const tables = years.map((year) => zonalTable(year, options));
  return withYears(years, options, ctx, async (run) => {
    const stepOf = (table: YearTable, member?: PassMember) => tilesStep(table, runOfYear(run, table.year), member);
    const todo: boolean[] = [];
    for (const table of tables) todo.push(!(await judgeStep(stepOf(table), force)).skip);
    const pass = new RewritePass(todo.filter(Boolean).length);
    const make = async (table: YearTable, runs: boolean) => {
      const member = (runs ? pass : new RewritePass()).member();
      try {
        return await runStep(stepOf(table, member), run.ctx, { force });
      } finally {
        member.leave();
      }
    };
    const results: Promise<TilesFacts>[] = [];
    for (const [i, table] of tables.entries()) {
      const result = make(table, todo[i] as boolean);
      result.catch(() => {}); // reported with the others
      results.push(result);
      // tippecanoe uses the whole machine for one year.
      if (options.tiles === "full") await result.catch(() => {});
    }
    return gather(years, await Promise.allSettled(results), run.ctx);
  });
}

/** All years' crops in one archive. */
export async function tileYearsTogether(
  years: readonly number[],
  options: Options,
  force: boolean,
  ctx: Context,
): Promise<TilesFacts & { archive: string }> {
  const tables = years.map((year) => zonalTable(year, options));
  return withYears(years, options, ctx, async (run) => {
    const step = singleArchiveStep(tables, run);
    return { archive: step.target, ...(await runStep(step, run.ctx, { force })) };
  });
}

function zonalTable(year: number, options: Options): YearTable {
  const { zonal: path } = layoutOf(options, year);
  if (existsSync(path)) return { year, path, digest: fileDigest(path) };
  throw new PipelineError("input", "The zonal table to tile is not there; make it first", { path, year });
}

/** A run under the locks of all years, taken in ascending order. */
function withYears<T>(
  years: readonly number[],
  options: Options,
  ctx: Context,
  body: (run: Run) => Promise<T>,
): Promise<T> {
  const locked = (left: readonly number[], own: Context): Promise<T> => {
    const [year, ...others] = left;
    if (year === undefined) return withRun(options, years[0], own, async (run) => body(await withRootFields(run)));
    return withYearLock(year, options, own, (held) => locked(others, held));
  };
  return locked(
    years.toSorted((a, b) => a - b),
    ctx,
  );
}

function gather(
  years: readonly number[],
  results: readonly PromiseSettledResult<TilesFacts>[],
  ctx: Context,
): Record<string, TilesFacts> {
  ctx.signal.throwIfAborted();
  const done: Record<string, TilesFacts> = {};
  const errors = new Map<number, PipelineError>();
  for (const [i, result] of results.entries()) {
    const year = years[i] as number;
    if (result.status === "fulfilled") done[year] = result.value;
    else errors.set(year, asPipelineError(result.reason, "failed", "Year failed", { year }));
  }
  if (errors.size < years.length) for (const [year, error] of errors) ctx.log.error(error.message, { year });
  return settledYears(done, errors);
}
