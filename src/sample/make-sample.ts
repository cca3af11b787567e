import { readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { RecordBatch, Schema } from "apache-arrow";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { makeOutput } from "../pipeline/output.js";
import { checkOutput } from "../pipeline/output-origin.js";
import type { Task } from "../pipeline/progress.js";
import { writeParquet } from "../table/parquet-writer.js";
import { BatchTee } from "./batch-tee.js";
import { type RasterFormat, writeRaster } from "./cdl-raster.js";
import { writeZip } from "./cdl-zip.js";
import { SAMPLE_MARK, sampleOrigin } from "./mark.js";
import { CLEAN_SCHEMA, cropColumn, RAW_SCHEMA, type TableBatch, tableBatches, truthSchema } from "./tables.js";
import { planWorld, type Shapes, type World } from "./world.js";

export interface SampleOptions extends RasterFormat {
  readonly root: string;
  readonly fields: number;
  readonly years: readonly number[];
  readonly seed: number;
  readonly shapes: Shapes;
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

/** Rows of a row group: few enough that the smallest worlds have several, too. */
function rowGroupRowsOf(fields: number): number {
  return Math.min(16_384, Math.max(256, Math.ceil(fields / 4)));
}

/**
 * Make a small world: fields, their truth, and a raster per year.
 *
 * Everything follows from `seed`, `fields`, `shapes` and the year: the same options give the
 * same bytes, and a year's raster is the same whichever other years are made.
 * Memory is flat in the number of fields.
 *
 * @throws {PipelineError} usage when a file of another maker has the name of one of the sample's, or so many fields do not fit, space, failed.
 */
export async function makeSample(options: SampleOptions, ctx: Context): Promise<SampleResult> {
  const root = resolve(options.root);
  const { years, dirty } = options;
  const world = planWorld(options.seed, options.fields, options.shapes);
  const data = (name: string) => join(root, "data", name);
  const files = { raw: data("fields_raw.parquet"), clean: data("fields_clean.parquet"), truth: data("truth.parquet") };
  const cdlSource = join(root, "cdl-source");
  const cdlPath = (year: number) => join(cdlSource, `${year}_30m_cdls.${options.unzipped ? options.format : "zip"}`);
  for (const path of [...Object.values(files), ...years.map(cdlPath)]) {
    await checkOutput(path, { originOf: sampleOrigin, force: options.force });
  }
  const rows = await makeTables(files, world, years, dirty, ctx);
  const cdl: Record<number, string> = {};
  for (const year of years) {
    await makeYear(cdlPath(year), world, year, options, ctx);
    cdl[year] = cdlPath(year);
  }
  const { format, layout, block, seed, fields } = options;
  const raster = { width: world.width, height: world.height, format, layout, block };
  return { root, fields, rows, years, seed, raster, files: { ...files, cdlSource, cdl } };
}

type TableName = keyof TableBatch;

/** All three tables in one pass. */
async function makeTables(
  files: Readonly<Record<TableName, string>>,
  world: World,
  years: readonly number[],
  dirty: boolean,
  ctx: Context,
): Promise<Record<TableName, number>> {
  const task = ctx.progress.start("rows of the field tables", world.fields);
  const batches = new BatchTee(watched(tableBatches(world, years, dirty), world.fields, task, ctx), 3);
  const words = ["shape", "place", "fault", ...years.map(cropColumn)];
  const table = async (name: TableName, schema: Schema, dictionary: string[] = []) => {
    const rowGroupRows = rowGroupRowsOf(world.fields);
    return makeSampleFile(files[name], ctx, async (partial) => {
      const options = { rowGroupRows, dictionary, delta: ["field_id"], createdBy: SAMPLE_MARK };
      const own = pluck(batches.output(), name);
      return (await writeParquet(partial, schema, own, options)).rows;
    }).catch((error: unknown) => batches.fail(error));
  };
  try {
    const made = [
      table("raw", RAW_SCHEMA),
      table("clean", CLEAN_SCHEMA),
      table("truth", truthSchema(years), words),
    ] as const;
    await Promise.allSettled(made);
    const [raw, clean, truth] = await Promise.all(made);
    return { raw, clean, truth };
  } finally {
    task.end();
  }
}

async function* pluck(batches: AsyncIterable<TableBatch>, name: TableName): AsyncGenerator<RecordBatch> {
  for await (const batch of batches) yield batch[name];
}

async function* watched(
  batches: Iterable<TableBatch>,
  fields: number,
  task: Task,
  ctx: Context,
): AsyncGenerator<TableBatch> {
  let rows = 0;
  for (const batch of batches) {
    ctx.signal.throwIfAborted();
    yield batch;
    rows += batch.truth.numRows;
    task.update(Math.min(fields, rows));
    // The encoder never waits for anything: without a turn of the event loop no signal would be seen.
    await new Promise(setImmediate);
  }
}

/** @param target  path of the zip, or of the raster where unzipped. */
async function makeYear(
  target: string,
  world: World,
  year: number,
  options: SampleOptions,
  ctx: Context,
): Promise<void> {
  const stem = `${year}_30m_cdls`;
  await makeSampleFile(target, ctx, async (partial) => {
    const scratch = dirname(partial);
    const raster = join(scratch, `${stem}.${options.format}`);
    await writeRaster(raster, world, year, options, ctx);
    if (options.unzipped) return;
    // GDAL puts an .img above 2 GiB into a file beside it.
    const made = readdirSync(scratch)
      .filter((name) => !name.startsWith("."))
      .sort()
      .map((name) => join(scratch, name));
    await writeZip(partial, made, ctx.signal);
    for (const file of made) rmSync(file);
  });
}

async function makeSampleFile<T>(target: string, ctx: Context, make: (partial: string) => Promise<T>): Promise<T> {
  try {
    return await makeOutput(target, ctx, ({ partial }) => make(partial));
  } catch (error) {
    throw asPipelineError(error, "failed", "Cannot make the sample", { path: target });
  }
}
