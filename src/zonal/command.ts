import { basename, dirname, join } from "node:path";
import type { Arguments } from "../cli/command.js";
import { wholeNumber } from "../cli/whole-number.js";
import { type Run, withRun } from "../config/run.js";
import { checkDirtyShare, DirtyRows } from "../fields/dirty.js";
import { openFields } from "../fields/fields-file.js";
import { withLocalFields } from "../fields/remote-fields.js";
import { withFieldsParquet } from "../fields/vector-source.js";
import { type RemoteAccess, remoteAccess } from "../network/remote-access.js";
import { isRemote } from "../network/remote-url.js";
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
import { divisionOf, type Part, partPath } from "../pipeline/part.js";
import { settledYears } from "../pipeline/settled-years.js";
import { openRaster, type Raster } from "../raster/raster.js";
import { rasterFiles } from "../raster/raster-file.js";
import { RemoteRaster } from "../raster/remote-raster.js";
import { convertTable, type TableExtension, tableExtension, tableOrigin } from "../table/table-output.js";
import { joinTableParts, notePart } from "../table/table-part.js";
import { buildZones, fieldsFingerprint } from "../zones/build-zones.js";
import { ZoneReader } from "../zones/zone-reader.js";
import { parseColumns } from "./columns.js";
import { completeTable, countFields, verifyZonalTable, type ZonalFacts, type ZoneSource } from "./count-fields.js";
import { dirtyOrigin, dirtyPath, publishDirtyRows } from "./dirty-list.js";
import { checkValueStatistics, columnNames, type ZonalRule, zonalRule } from "./rule.js";
import { checkDivisible, hasPart, type PartNote, partInputs, requireTableParts, sumFacts } from "./table-parts.js";

/** A raster and its output table. */
export interface Job {
  readonly year?: number;
  readonly rasterPath: string;
  /** A raster of values on the same grid. */
  readonly valuesPath?: string | undefined;
  readonly out: string;
}

/** The raster is undefined if it is at a URL. */
type OpenJob = Job & {
  readonly raster: Raster | undefined;
  readonly values: Raster | undefined;
  readonly band: number;
  readonly extension: TableExtension;
  readonly files: InputFiles;
};

/** The replacement for the Python step: takes fields and rasters, writes a parquet of majorities for each raster. */
export async function zonal(
  fieldsPath: string,
  index: string | undefined,
  wanted: readonly Job[],
  { options, own }: Arguments,
  ctx: Context,
) {
  const counted = zonalRule(options, own.classes === true, own.stats as string | undefined);
  checkValueStatistics(counted, own.values !== undefined);
  const columns = own.columns as string | undefined;
  const rule = { ...counted, ...(columns !== undefined && { columns: parseColumns(columns, columnNames(counted)) }) };
  const band = wholeNumber("--band", own.band as string | undefined, 1) ?? 1;
  const division = divisionOf(own.part, own.join);
  if (division !== undefined) checkDivisible(rule, index);
  const { part, join: joined } = { part: undefined, join: undefined, ...division };
  const jobs = wanted
    .map((job) => ({ ...job, extension: tableExtension(job.out) }))
    .map((job) => (part === undefined ? job : { ...job, out: partPath(job.out, part), extension: ".parquet" as const }))
    .map((job): OpenJob => {
      const { rasterPath, valuesPath } = job;
      const local = [rasterPath, valuesPath].filter((path) => path !== undefined).filter((path) => !isRemote(path));
      const files = new InputFiles(...local.flatMap((path) => rasterFiles(path)));
      const values = valuesPath === undefined ? undefined : openRaster(valuesPath);
      return { ...job, values, band, files, raster: isRemote(rasterPath) ? undefined : openRaster(rasterPath, band) };
    });
  const attributes = options.include !== undefined;
  const vector = { layer: options.layer, idColumn: options.idColumn, attributes };
  const [{ out }] = jobs as [OpenJob];
  const outs = [...new Set(jobs.map((job) => job.out))].sort();
  for (const job of jobs) {
    const inputs = [
      fieldsPath,
      job.rasterPath,
      ...(job.valuesPath === undefined ? [] : [job.valuesPath]),
      ...(index === undefined ? [] : [index]),
    ];
    await checkOutput(job.out, { inputs, originOf: tableOrigin(job.extension), force: own.force === true });
    await checkOutput(dirtyPath(job.out), { inputs, originOf: dirtyOrigin, force: own.force === true });
  }
  const access = remoteAccess(options);
  return withOutputLocks(outs, ctx, (locked) =>
    withLocalFields(fieldsPath, out, access, locked, (local) =>
      withFieldsParquet(local, vector, out, locked, (parquet) =>
        withRun<unknown>(options, undefined, locked, (run) => {
          if (joined !== undefined) return joinJobs(parquet, index as string, jobs, joined, rule, run);
          return countJobs(parquet, index, jobs, part, rule, access, run);
        }),
      ),
    ),
  );
}

async function countJobs(
  fieldsPath: string,
  indexPath: string | undefined,
  wanted: readonly OpenJob[],
  part: Part | undefined,
  rule: ZonalRule,
  access: RemoteAccess,
  run: Run,
) {
  const { options, pool, ctx } = run;
  const fieldsFile = new InputFiles(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  const fieldsDigest = fieldsFingerprint(fields, options);
  const inputs = wanted.map((job) => (part === undefined ? "" : partInputs(fieldsDigest, job, rule, options)));
  const jobs = wanted.filter(({ out }, i) => part === undefined || !hasPart(out, inputs[i] as string, part, ctx));
  if (jobs.length === 0) return { parts: wanted.map(({ out }) => out), made: false };
  const targets: Omit<Target, "raster" | "values">[] = [];
  const opened: Target[] = [];
  try {
    for (const job of jobs) {
      const scratch = openScratch(job.out);
      const name = `${basename(job.out, job.extension)}.parquet`;
      const target = { job, scratch, out: join(scratch.path, name) };
      targets.push(target);
      opened.push({
        ...target,
        values: job.values,
        raster: job.raster ?? (await openRemote(job, scratch, access, ctx)),
      });
    }
    const folder = (opened[0] as Target).scratch.path;
    let made = 0;
    const build: ZoneSource = async (set, grid) => {
      const index = join(folder, `zones-${made++}`);
      await buildZones(set, grid, index, options, pool(), ctx);
      return ZoneReader.open(index, fieldsDigest);
    };
    const given = (path: string) => async () => {
      const reader = await ZoneReader.open(path, fieldsDigest);
      return part === undefined ? reader : reader.only(part);
    };
    const zones: ZoneSource = indexPath === undefined ? build : given(indexPath);
    const count = (sound: readonly Target[]) => countFields(fields, sound, zones, rule, run);
    const { sound, facts, failed } = await countSound(opened, count, ctx);
    const results: Record<string, unknown> = {};
    for (const [i, { job, scratch, out: partial }] of sound.entries()) {
      const { out, year, files } = job;
      await verifyZonalTable(partial, (facts[i] as ZonalFacts).rows, rule);
      if (part !== undefined) {
        await notePart(partial, { inputs: inputs[wanted.indexOf(job)], part, facts: facts[i] } as PartNote);
      }
      const made = await inFormat(partial, job, ctx);
      for (const input of [fieldsFile, files]) input.requireUnchanged();
      requireHeld(ctx);
      publishFile(made, out);
      if (part === undefined) publishDirtyRows(out, scratch.path);
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

/** Join the parts of every job's table. */
async function joinJobs(
  fieldsPath: string,
  indexPath: string,
  jobs: readonly OpenJob[],
  count: number,
  rule: ZonalRule,
  { options, ctx }: Run,
) {
  const fieldsFile = new InputFiles(fieldsPath);
  const fields = await openFields(fieldsPath, options, ctx.log);
  const fieldsDigest = fieldsFingerprint(fields, options);
  const zones = await ZoneReader.open(indexPath, fieldsDigest);
  try {
    const dirty = new DirtyRows(await zones.readStatus(), await zones.readDuplicates());
    await checkDirtyShare(fields, dirty, options.maxDirty, options.batch);
    const results = [];
    for (const job of jobs) {
      const { out, year, files, extension } = job;
      const parts = requireTableParts(out, count, partInputs(fieldsDigest, job, rule, options));
      const scratch = openScratch(out);
      try {
        const partial = join(scratch.path, `${basename(out, extension)}.parquet`);
        await joinTableParts(
          parts.map(({ path }) => path),
          partial,
          ctx.signal,
        );
        await completeTable(partial, fields, dirty, options, ctx);
        await verifyZonalTable(partial, fields.rows, rule);
        const made = await inFormat(partial, job, ctx);
        for (const input of [fieldsFile, files]) input.requireUnchanged();
        requireHeld(ctx);
        publishFile(made, out);
        publishDirtyRows(out, scratch.path);
      } finally {
        endScratch(scratch, false, ctx);
      }
      const facts = sumFacts(
        parts.map(({ note }) => note.facts),
        dirty,
      );
      ctx.log.info(`${facts.answered} of ${facts.rows} fields have a crop: ${out}`);
      results.push({ ...(year !== undefined && { year }), out, ...facts });
    }
    if (dirty.length > 0) ctx.log.warn(`${dirty.length} dirty rows`, dirty.counts());
    return jobs[0]?.year === undefined ? results[0] : { years: results };
  } finally {
    await zones.close();
  }
}

function openRemote({ rasterPath, band }: OpenJob, scratch: Scratch, access: RemoteAccess, ctx: Context) {
  const name = basename(rasterPath.replace(/[?#].*$/, "")) || "raster";
  return RemoteRaster.open(rasterPath, join(scratch.path, name), access, ctx).then((remote) => remote.raster(band));
}

/** The table in the format of its file extension, in scratch. */
async function inFormat(parquet: string, { out, extension }: OpenJob, ctx: Context): Promise<string> {
  if (extension === ".parquet") return parquet;
  const converted = join(dirname(parquet), basename(out));
  await convertTable(parquet, converted, extension, ctx);
  return converted;
}

interface Target {
  readonly job: OpenJob;
  readonly raster: Raster;
  readonly values: Raster | undefined;
  readonly scratch: Scratch;
  /** In scratch. */
  readonly out: string;
}

/** Count all years in one pass. If a year's raster cannot be read, report it and count the others. */
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
      const broken = ({ raster }: Target) => isOf(error, raster);
      const left = sound.filter((target) => !broken(target));
      const { remote } = sound.find(broken)?.raster ?? {};
      const named = (remote?.named(error) ?? error) as PipelineError;
      if (ctx.signal.aborted || left.length === sound.length || left.length === 0) throw named;
      for (const { job } of sound.filter(broken)) {
        failed.set(job.year as number, named);
        ctx.log.error(named.message, { year: job.year });
      }
      sound = left;
    }
  }
}

function isOf(error: unknown, { path, remote }: Raster): boolean {
  if (!(error instanceof PipelineError)) return false;
  return error.where.path === path || (remote !== undefined && error.where.url === remote.url);
}
