import { basename, dirname, join } from "node:path";
import type { Arguments } from "../cli/command.js";
import { type Run, withRun } from "../config/run.js";
import { rasterFiles } from "../download/raster-file.js";
import { openFields } from "../fields/fields-file.js";
import { withFieldsParquet } from "../fields/vector-source.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import {
  endScratch,
  openScratch,
  publishFile,
  requireHeld,
  type Scratch,
  withOutputLocks,
} from "../pipeline/output.js";
import { checkOutput } from "../pipeline/output-origin.js";
import { settledYears } from "../pipeline/settled-years.js";
import { openRaster, type Raster } from "../raster/raster.js";
import { convertTable, type TableExtension, tableExtension, tableOrigin } from "../table/table-output.js";
import { buildZones, fieldsFingerprint } from "../zones/build-zones.js";
import { ZoneReader } from "../zones/zone-reader.js";
import { type ZonalRule, zonalRule } from "./rule.js";
import { countFields, dirtyOrigin, dirtyPath, publishDirtyRows, verifyZonalTable, type ZoneSource } from "./step.js";

/** A raster, and the table to make of it. */
export interface Job {
  readonly year?: number;
  readonly rasterPath: string;
  readonly out: string;
}

type OpenJob = Job & { readonly raster: Raster; readonly extension: TableExtension; readonly files: InputFiles };

function bandNumber(text: unknown): number {
  const band = Number(text ?? 1);
  if (Number.isInteger(band) && band >= 1) return band;
  throw new PipelineError("usage", "--band must be a whole number from 1", { received: String(text) });
}

/** The drop-in for the Python step: fields and rasters in, a parquet of majorities for each out. */
export async function zonal(
  fieldsPath: string,
  index: string | undefined,
  wanted: readonly Job[],
  { options, own }: Arguments,
  ctx: Context,
) {
  const rule = zonalRule(
    options,
    own.classes === true,
    own.columns as string | undefined,
    own.stats as string | undefined,
  );
  const band = bandNumber(own.band);
  const jobs = wanted
    .map((job) => ({ ...job, extension: tableExtension(job.out) }))
    .map((job): OpenJob => {
      const files = new InputFiles(...rasterFiles(job.rasterPath));
      return { ...job, files, raster: openRaster(job.rasterPath, band) };
    });
  const attributes = options.include !== undefined;
  const vector = { layer: options.layer, idColumn: options.idColumn, attributes };
  const [{ out }] = jobs as [OpenJob];
  const outs = [...new Set(jobs.map((job) => job.out))].sort();
  for (const job of jobs) {
    const inputs = [fieldsPath, job.rasterPath, ...(index === undefined ? [] : [index])];
    await checkOutput(job.out, { inputs, originOf: tableOrigin(job.extension), force: own.force === true });
    await checkOutput(dirtyPath(job.out), { inputs, originOf: dirtyOrigin, force: own.force === true });
  }
  return withOutputLocks(outs, ctx, (locked) =>
    withFieldsParquet(fieldsPath, vector, out, locked, (parquet) =>
      withRun(options, undefined, locked, (run) => countJobs(parquet, index, jobs, rule, run)),
    ),
  );
}

async function countJobs(
  fieldsPath: string,
  indexPath: string | undefined,
  jobs: readonly OpenJob[],
  rule: ZonalRule,
  run: Run,
) {
  const { options, pool, ctx } = run;
  const fieldsFile = new InputFiles(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  const fieldsDigest = fieldsFingerprint(fields, options);
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
      return ZoneReader.open(index, fieldsDigest);
    };
    const given = (path: string) => async () => ZoneReader.open(path, fieldsDigest);
    const zones: ZoneSource = indexPath === undefined ? build : given(indexPath);
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
    return jobs[0]?.year === undefined ? done[0] : { years: done };
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
