import { basename, dirname, join, resolve } from "node:path";
import { type Arguments, parseYears } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import { type Run, withRun } from "./config/run.js";
import { rasterFiles } from "./download/raster-file.js";
import { openFields } from "./fields/fields-file.js";
import { withFieldsParquet } from "./fields/vector-source.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { InputFiles } from "./pipeline/input-files.js";
import { endScratch, openScratch, publishFile, requireHeld, type Scratch, withOutputLocks } from "./pipeline/output.js";
import { checkOutput } from "./pipeline/output-origin.js";
import { openRaster, type Raster } from "./raster/raster.js";
import { isRemote } from "./raster/remote-raster.js";
import { convertTable, type TableExtension, tableExtension, tableOrigin } from "./table/table-output.js";
import { settledYears } from "./year/each-year.js";
import { type ZonalRule, zonalRule } from "./zonal/rule.js";
import {
  countFields,
  dirtyOrigin,
  dirtyPath,
  publishDirtyRows,
  verifyZonalTable,
  type ZoneSource,
} from "./zonal/step.js";
import { buildZones, fieldsFingerprint } from "./zones/build-zones.js";
import { ZoneReader } from "./zones/zone-reader.js";

/** The drop-in for the Python step: fields and rasters in, a parquet of majorities for each out. */
async function zonal(args: Arguments, ctx: Context) {
  const { options, own } = args;
  const fieldsPath = path(own, "fields");
  const rule = zonalRule(options, own.classes === true, own.columns as string | undefined);
  const jobs = jobsOf(own)
    .map((job) => ({ ...job, extension: tableExtension(job.out) }))
    .map((job): OpenJob => {
      const files = new InputFiles(...rasterFiles(job.rasterPath));
      return { ...job, files, raster: openRaster(job.rasterPath) };
    });
  const vector = { layer: own.layer as string | undefined, idColumn: options.idColumn };
  const [{ out }] = jobs as [OpenJob];
  const index = own.index === undefined ? [] : [path(own, "index")];
  const outs = [...new Set(jobs.map((job) => job.out))].sort();
  for (const job of jobs) {
    const inputs = [fieldsPath, job.rasterPath, ...index];
    await checkOutput(job.out, { inputs, originOf: tableOrigin(job.extension), force: own.force === true });
    await checkOutput(dirtyPath(job.out), { inputs, originOf: dirtyOrigin, force: own.force === true });
  }
  return withOutputLocks(outs, ctx, (locked) =>
    withFieldsParquet(fieldsPath, vector, out, locked, (parquet) =>
      withRun(options, undefined, locked, (run) => countJobs(parquet, jobs, rule, own, run)),
    ),
  );
}

async function countJobs(
  fieldsPath: string,
  jobs: readonly OpenJob[],
  rule: ZonalRule,
  own: Arguments["own"],
  run: Run,
) {
  const { options, pool, ctx } = run;
  const fieldsFile = new InputFiles(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  const print = fieldsFingerprint(fields, options);
  const targets: Target[] = [];
  try {
    for (const job of jobs) {
      const scratch = openScratch(job.out);
      const name = `${basename(job.out, job.extension)}.parquet`;
      targets.push({ job, raster: job.raster, scratch, out: join(scratch.path, name) });
    }
    const folder = (targets[0] as Target).scratch.path;
    let made = 0;
    const build: ZoneSource = async (set, grid) => {
      const index = join(folder, `zones-${made++}`);
      await buildZones(set, grid, index, options, pool(), ctx);
      return ZoneReader.open(index, print);
    };
    const given: ZoneSource = async () => ZoneReader.open(path(own, "index"), print);
    const zones = own.index === undefined ? build : given;
    const count = (sound: readonly Target[]) => countFields(fields, sound, zones, rule, run);
    const { sound, facts, failed } = await countSound(targets, count, ctx);
    const results: Record<string, unknown> = {};
    for (const [i, { job, scratch, out: partial }] of sound.entries()) {
      const { out, year, files } = job;
      await verifyZonalTable(partial, fields.rows, rule);
      const made = await inFormat(partial, job, ctx);
      for (const input of [fieldsFile, files]) input.requireUnchanged();
      requireHeld(ctx);
      publishFile(made, out);
      publishDirtyRows(out, scratch.path);
      ctx.log.info(`${facts[i]?.answered} of ${facts[i]?.rows} fields have a crop: ${out}`);
      results[year ?? ""] = { ...(year !== undefined && { year }), out, ...facts[i] };
    }
    const done = Object.values(settledYears(results, failed));
    return own.years === undefined ? done[0] : { years: done };
  } catch (error) {
    throw ctx.signal.aborted ? ctx.signal.reason : error;
  } finally {
    for (const { scratch } of targets) endScratch(scratch, false, ctx);
  }
}

/** The table in the format that its name asks for, in scratch. */
async function inFormat(parquet: string, { out, extension }: OpenJob, ctx: Context): Promise<string> {
  if (extension === ".parquet") return parquet;
  const converted = join(dirname(parquet), basename(out));
  await convertTable(parquet, converted, extension, ctx);
  return converted;
}

interface Target {
  readonly job: OpenJob;
  readonly raster: Raster;
  readonly scratch: Scratch;
  /** In scratch. */
  readonly out: string;
}

/** Count all years at once; where one's raster cannot be read it is named, and the others are counted without it. */
async function countSound<T>(
  targets: readonly Target[],
  count: (targets: readonly Target[]) => Promise<T[]>,
  ctx: Context,
): Promise<{ sound: readonly Target[]; facts: T[]; failed: Map<number, PipelineError> }> {
  const failed = new Map<number, PipelineError>();
  for (let sound = targets; ; ) {
    try {
      return { sound, facts: await count(sound), failed };
    } catch (error) {
      const broken = (target: Target) => error instanceof PipelineError && error.where.path === target.raster.path;
      const left = sound.filter((target) => !broken(target));
      if (ctx.signal.aborted || left.length === sound.length || left.length === 0) throw error;
      for (const { job } of sound.filter(broken)) {
        failed.set(job.year as number, error as PipelineError);
        ctx.log.error((error as PipelineError).message, { year: job.year });
      }
      sound = left;
    }
  }
}

interface Job {
  readonly year?: number;
  readonly rasterPath: string;
  readonly out: string;
}

type OpenJob = Job & { readonly raster: Raster; readonly extension: TableExtension; readonly files: InputFiles };

/** One raster and one table, or, with --years, one of each a year. */
function jobsOf(own: Arguments["own"]): Job[] {
  const [raster, out] = [path(own, "raster"), path(own, "out")];
  if (own.years === undefined) return [{ rasterPath: raster, out }];
  for (const [flag, text] of [
    ["raster", raster],
    ["out", out],
  ] as const) {
    if (!text.includes("{year}"))
      throw new PipelineError("usage", `With --years, --${flag} must hold {year}`, { received: text });
  }
  const fill = (text: string, year: number) => text.replaceAll("{year}", String(year));
  return parseYears(own.years as string).map((year) => ({
    year,
    rasterPath: fill(raster, year),
    out: fill(out, year),
  }));
}

function path(own: Arguments["own"], flag: string): string {
  const value = own[flag];
  if (typeof value !== "string") throw new PipelineError("usage", `--${flag} is missing`);
  return isRemote(value) ? value : resolve(value);
}

await main(
  {
    name: "node dist/zonal.js",
    summary: "Majority class of every field under a raster, or under one a year in a single pass.",
    options: [
      "idColumn",
      "geometryColumn",
      "fieldsCrs",
      "nodata",
      "maxDirty",
      "ties",
      "allTouched",
      "smallFields",
      "coverage",
      "weights",
      "batch",
      "threads",
      "json",
      "quiet",
    ],
    own: {
      fields: { type: "string", help: "parquet of polygons (WKB), or any vector source that GDAL reads, zipped too" },
      layer: { type: "string", help: "layer of a vector source that has several" },
      raster: {
        type: "string",
        help: "categorical raster that GDAL reads, or the http(s):// or s3:// URL of one; with --years, one that holds {year}",
      },
      out: { type: "string", help: "table to write, .parquet, .csv or .arrow; with --years, a path that holds {year}" },
      years: { type: "string", help: "years to do in one pass, as 2008-2024" },
      index: { type: "string", help: "zone index from dist/prepare.js; without it the fields are burned on the fly" },
      classes: { type: "boolean", help: "also every field's whole histogram: class_codes and class_pixels, lists" },
      force: { type: "boolean", help: "replace a file at --out, whoever made it" },
      columns: {
        type: "string",
        help: "columns to write, renamed and typed: crop_code=majority:int16,crop_share=share (field_id always)",
      },
    },
    examples: [
      "node dist/zonal.js --fields data/fields_raw.parquet --raster data/cdl/2020_30m_cdls.tif --out zonal_us_2020.parquet",
      "node dist/zonal.js --fields F.parquet --index F.zones --years 2008-2024 --raster 'cdl/{year}_30m_cdls.tif' --out 'zonal_us_{year}.parquet'",
    ],
  },
  zonal,
);
