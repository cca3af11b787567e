import { existsSync } from "node:fs";
import { join } from "node:path";
import { layoutOf, type Options } from "../config/config.js";
import { openPool } from "../parallel/pool.js";
import { availableThreads } from "../parallel/threads.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { withLock } from "../pipeline/lock.js";
import { judgeStep, runStep } from "../pipeline/step.js";
import { singleArchiveStep, type TilesFacts, tilesStep, type YearTable } from "../tiles/step.js";
import { SwapPass } from "../tiles/swap-pass.js";

/**
 * Tile several years, whose zonal tables are there. With the swap all that are not valid yet
 * go through the base in one pass; a year that fails before does not end the others.
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
  return withYearLocks(years, options, ctx, async (own) => {
    const pool = lazyPool(options);
    try {
      const todo = [];
      for (const table of tables) {
        const step = tilesStep(table, options, layoutOf(options, table.year), pool.get);
        todo.push(!(await judgeStep(step, force)).skip);
      }
      const pass = new SwapPass(todo.filter(Boolean).length);
      const make = async (table: YearTable, runs: boolean) => {
        const member = (runs ? pass : new SwapPass()).member();
        const step = tilesStep(table, options, layoutOf(options, table.year), pool.get, member);
        try {
          return await runStep(step, own, { force });
        } finally {
          member.leave();
        }
      };
      const results: Promise<TilesFacts>[] = [];
      for (const [i, table] of tables.entries()) {
        const result = make(table, todo[i] as boolean);
        result.catch(() => {}); // reported with the others
        results.push(result);
        // tippecanoe takes the whole machine for one year.
        if (options.tiles === "full") await result.catch(() => {});
      }
      return gather(years, await Promise.allSettled(results), own);
    } finally {
      await pool.close();
    }
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
  return withYearLocks(years, options, ctx, async (own) => {
    const pool = lazyPool(options);
    try {
      const step = singleArchiveStep(tables, options, layoutOf(options, years[0] as number), pool.get);
      return { archive: step.target, ...(await runStep(step, own, { force })) };
    } finally {
      await pool.close();
    }
  });
}

function zonalTable(year: number, options: Options): YearTable {
  const { zonal: path } = layoutOf(options, year);
  if (existsSync(path)) return { year, path, digest: fileDigest(path) };
  throw new PipelineError("input", "The zonal table to tile is not there; make it first", { path, year });
}

/** Hold the locks of all years, taken in ascending order. */
function withYearLocks<T>(
  years: readonly number[],
  options: Options,
  ctx: Context,
  body: (ctx: Context) => Promise<T>,
): Promise<T> {
  const [year, ...others] = [...years].sort((a, b) => a - b);
  if (year === undefined) return body(ctx);
  const lock = join(layoutOf(options, year).state, `${options.region}_${year}.lock`);
  return withLock(lock, ctx, (own) => withYearLocks(others, options, own, body));
}

function gather(
  years: readonly number[],
  results: readonly PromiseSettledResult<TilesFacts>[],
  ctx: Context,
): Record<string, TilesFacts> {
  ctx.signal.throwIfAborted();
  const done: Record<string, TilesFacts> = {};
  const errors: [number, PipelineError][] = [];
  for (const [i, result] of results.entries()) {
    const year = years[i] as number;
    if (result.status === "fulfilled") done[year] = result.value;
    else errors.push([year, asPipelineError(result.reason, "failed", "Year failed", { year })]);
  }
  const [first] = errors;
  if (first === undefined) return done;
  if (errors.length === years.length) throw first[1];
  for (const [year, error] of errors) ctx.log.error(error.message, { year });
  throw new PipelineError("partial", "Some years failed", {
    failed: errors.map(([year]) => year).join(" "),
    done: Object.keys(done).join(" "),
  });
}

/** Opened by the first step that works. */
function lazyPool(options: Options) {
  let pool: ReturnType<typeof openPool> | undefined;
  return {
    get: () => {
      pool ??= openPool(availableThreads(options.threads));
      return pool;
    },
    close: async () => pool?.close(),
  };
}
