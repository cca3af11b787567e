import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { mapOrdered } from "../parallel/map-ordered.js";
import { openPool, type Pool } from "../parallel/pool.js";
import { availableThreads } from "../parallel/threads.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { makeOutput } from "../pipeline/output.js";
import { checkOutput } from "../pipeline/output-origin.js";
import { removeTree } from "../pipeline/remove-tree.js";
import { concatParquet } from "../table/concat-parquet.js";
import { type RasterFormat, writeRasters } from "./cdl-raster.js";
import { writeZip } from "./cdl-zip.js";
import type { Spread } from "./density.js";
import { sampleOrigin } from "./origin.js";
import { countSections, makePart, paintRows } from "./tasks.js";
import { planWorldWith, type Shapes, type World } from "./world.js";

export interface SampleOptions extends RasterFormat {
  readonly root: string;
  readonly fields: number;
  readonly years: readonly number[];
  readonly seed: number;
  readonly shapes: Shapes;
  /** Where the fields lie. Default even. */
  readonly like?: Spread;
  /** Rasters as large as the national one. */
  readonly national?: boolean;
  /** Worker threads. Default: the physical cores. */
  readonly threads?: number | undefined;
  /** Add a row of every fault behind the good ones. */
  readonly dirty: boolean;
  /** Leave the rasters as they are, not zipped. */
  readonly unzipped: boolean;
  /** Replace files of these names that are not of a sample. */
  readonly force: boolean;
}

export interface SampleResult {
  readonly root: string;
  readonly fields: number;
  /** Rows of each file; more than `fields` where there are dirty ones. */
  readonly rows: { readonly raw: number; readonly clean: number; readonly truth: number };
  readonly years: readonly number[];
  readonly seed: number;
  readonly raster: { readonly width: number; readonly height: number } & RasterFormat;
  readonly files: {
    readonly raw: string;
    readonly clean: string;
    readonly truth: string;
    readonly cdlSource: string;
    /** Zip, or raster where unzipped, by year. */
    readonly cdl: Readonly<Record<number, string>>;
  };
}

/** Years that are painted together: what does not change is worked out once for them. */
const YEARS_AT_ONCE = 4;

/**
 * Make a small world: fields, their truth, and a raster per year.
 *
 * Everything follows from the options and the year: the same options give the
 * same bytes with any number of threads, and a year's raster is the same whichever other years are made.
 * Memory is flat in the number of fields.
 *
 * @throws {PipelineError} usage when a file of another maker has the name of one of the sample's, or so many fields do not fit, space, failed.
 */
export async function makeSample(options: SampleOptions, ctx: Context): Promise<SampleResult> {
  const root = resolve(options.root);
  const { years } = options;
  const data = (name: string) => join(root, "data", name);
  const files = { raw: data("fields_raw.parquet"), clean: data("fields_clean.parquet"), truth: data("truth.parquet") };
  const cdlSource = join(root, "cdl-source");
  const cdlPath = (year: number) => join(cdlSource, `${year}_30m_cdls.${options.unzipped ? options.format : "zip"}`);
  const pool = openPool(availableThreads(options.threads));
  try {
    const world = await planWorldWith(options, pool.threads, (rows) => pool.run(countSections, rows));
    for (const path of [...Object.values(files), ...years.map(cdlPath)]) {
      await checkOutput(path, { originOf: sampleOrigin, force: options.force });
    }
    const rows = await makeTables(files, world, options, pool, ctx);
    const cdl: Record<number, string> = {};
    for (let at = 0; at < years.length; at += YEARS_AT_ONCE) {
      const group = years.slice(at, at + YEARS_AT_ONCE);
      await makeYears(group, cdlPath, world, options, pool, ctx);
      for (const year of group) cdl[year] = cdlPath(year);
    }
    const { format, layout, block, seed, fields } = options;
    const raster = { width: world.width, height: world.height, format, layout, block };
    return { root, fields, rows, years, seed, raster, files: { ...files, cdlSource, cdl } };
  } finally {
    await pool.close();
  }
}

const TABLES = ["raw", "clean", "truth"] as const;
type TableName = (typeof TABLES)[number];

/** All three tables in one pass: workers make a part of each, and the parts are put one behind the other. */
async function makeTables(
  files: Readonly<Record<TableName, string>>,
  world: World,
  { years, dirty }: SampleOptions,
  pool: Pool,
  ctx: Context,
): Promise<Record<TableName, number>> {
  const task = ctx.progress.start("rows of the field tables", world.fields);
  const rows = { raw: 0, clean: 0, truth: 0 };
  const makeParts = async (partials: Readonly<Record<TableName, string>>) => {
    const folder = join(dirname(partials.raw), "parts");
    mkdirSync(folder);
    const parts = mapOrdered(world.parts, pool.threads + 1, (part) => {
      ctx.signal.throwIfAborted();
      return pool.run(makePart, { world, part, years, dirty, folder });
    });
    const paths: Record<TableName, string>[] = [];
    for await (const part of parts) {
      paths.push(part.paths);
      for (const name of TABLES) rows[name] += part.rows[name];
      task.update(Math.min(world.fields, rows.truth));
    }
    for (const name of TABLES)
      await joinParts(
        paths.map((path) => path[name]),
        partials[name],
        ctx,
      );
    removeTree(folder);
  };
  try {
    await makeSampleFile(files.raw, ctx, (raw) =>
      makeSampleFile(files.clean, ctx, (clean) =>
        makeSampleFile(files.truth, ctx, async (truth) => {
          try {
            await makeParts({ raw, clean, truth });
          } catch (error) {
            if (ctx.signal.aborted) throw ctx.signal.reason;
            // A worker writes all three side by side: which of them failed is not known.
            throw asPipelineError(error, "failed", "Cannot make the sample's tables", { path: dirname(files.raw) });
          }
        }),
      ),
    );
    return rows;
  } finally {
    task.end();
  }
}

async function joinParts(paths: readonly string[], partial: string, ctx: Context): Promise<void> {
  const [only, ...others] = paths as [string, ...string[]];
  if (others.length === 0) return renameSync(only, partial);
  const parts = paths.map((path) => ({ path, partition: new Map<string, string>() }));
  await concatParquet(parts, partial, ctx.signal);
  for (const path of paths) rmSync(path);
}

/** Paint some years together, each into its zip, or its raster where unzipped. */
async function makeYears(
  years: readonly number[],
  target: (year: number) => string,
  world: World,
  options: SampleOptions,
  pool: Pool,
  ctx: Context,
): Promise<void> {
  const paint = (from: number, to: number) => pool.run(paintRows, { world, years, from, to });
  const make = async (partials: readonly string[]): Promise<void> => {
    const year = years[partials.length];
    if (year !== undefined) {
      await makeSampleFile(target(year), ctx, (partial) => make([...partials, partial]));
      return;
    }
    const rasters = partials.map((partial, i) => join(dirname(partial), `${years[i]}_30m_cdls.${options.format}`));
    await writeRasters(rasters, years, world, options, paint, pool.threads, ctx);
    if (!options.unzipped) await Promise.all(partials.map((partial) => zipRaster(partial, ctx)));
  };
  await make([]);
}

async function zipRaster(partial: string, ctx: Context): Promise<void> {
  const scratch = dirname(partial);
  // GDAL puts an .img above 2 GiB into a file beside it.
  const made = readdirSync(scratch)
    .filter((name) => !name.startsWith("."))
    .sort()
    .map((name) => join(scratch, name));
  await writeZip(partial, made, ctx.signal);
  for (const file of made) rmSync(file);
}

async function makeSampleFile<T>(target: string, ctx: Context, make: (partial: string) => Promise<T>): Promise<T> {
  try {
    return await makeOutput(target, ctx, ({ partial }) => make(partial));
  } catch (error) {
    throw asPipelineError(error, "failed", "Cannot make the sample", { path: target });
  }
}
