import { existsSync } from "node:fs";
import type { Run } from "../config/run.js";
import { existsSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Run } from "../config/run.js";
import { checkDirtyShare, DIRTY_HEADER, DirtyRows, writeDirtyRows } from "../fields/dirty.js";
import { type FieldsFile, openFields } from "../fields/fields-file.js";
import { checkIncluded, includeColumns, includedNames } from "../fields/included.js";
import { nativeKernel } from "../kernel/native.js";
import { PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import { recordPath } from "../pipeline/record.js";
import { outputProblem, type Step } from "../pipeline/step.js";
import { rasterDigest, rasterFiles } from "../raster/raster-file.js";
import { extentText, type Grid, gridText } from "../raster/grid.js";
import { nodataClasses, openRaster, type Raster } from "../raster/raster.js";
import { firstBytes, rasterDigest, rasterFiles } from "../raster/raster-file.js";
import { openParquet } from "../table/parquet-file.js";
import { parquetOrigin } from "../table/parquet-origin.js";
import type { ZonalFacts, ZoneSource } from "./count-fields.js";
import { dirtyPath, publishDirtyRows } from "./dirty-list.js";
import { zonalRule } from "./rule.js";

/**
 * The year's zonal step. `raster` and its digest come from the download step's facts. What judges it is loaded with it;
 * what counts is loaded when it runs, so that a year that is valid costs little.
 */
export async function countFields(
  fields: FieldsFile,
  targets: readonly ZonalTarget[],
  zoneSource: ZoneSource,
  rule: ZonalRule,
  run: Omit<Run, "layout">,
): Promise<ZonalFacts[]> {
  nativeKernel();
  const facts = new Map<ZonalTarget, ZonalFacts>();
  for (let left = [...targets]; left.length > 0; ) {
    const zones = await zoneSource(fields, (left[0] as ZonalTarget).raster.grid);
    try {
      const fitting = left.filter(({ raster }) => fitRaster(zones.header, raster.grid) !== undefined);
      if (fitting.length === 0) throw misfit(zones, (left[0] as ZonalTarget).raster);
      const counted = await countFitting(fields, fitting, zones, rule, run);
      fitting.forEach((target, i) => {
        facts.set(target, counted[i] as ZonalFacts);
      });
      left = left.filter((target) => !fitting.includes(target));
    } finally {
      await zones.close();
    }
  }
  return targets.map((target) => facts.get(target) as ZonalFacts);
}

function misfit(zones: ZoneReader, raster: Raster): PipelineError {
  const { grid } = zones.header;
  return new PipelineError("input", "Zone index is of another grid, or lacks fields that lie on this raster", {
    path: raster.path,
    index: zones.path,
    indexGrid: gridText(grid),
    rasterGrid: gridText(raster.grid),
  });
}

/** The same for rasters that one index serves. */
async function countFitting(
  fields: FieldsFile,
  targets: readonly ZonalTarget[],
  zones: ZoneReader,
  rule: ZonalRule,
  run: Omit<Run, "layout">,
): Promise<ZonalFacts[]> {
  const { options, pool, ctx } = run;
  const rasters = targets.map(({ raster }) => raster);
  const { answers, status, dirty } = await countRasters(fields, rasters, zones, rule, run);
  const write = async (out: string, answer: Answers): Promise<TableFacts> => {
    if (!needsHistogramColumns(rule)) return writeTable(out, fields, zones, answer, status, rule, pool(), ctx);
    await writeZonalTable(out, fields, answer, status, rule, options.batch, ctx);
    return tableFacts(answer, status, rule);
  };
  const facts: ZonalFacts[] = [];
  for (const [i, { out }] of targets.entries()) {
    const answer = answers[i] as Answers;
    const table = await write(out, answer);
    await includeColumns(out, fields, includedNames(options.include), options.batch, ctx.signal);
    if (dirty.length > 0) await writeDirtyRows(dirtyPath(out), fields, dirty, options.batch);
    facts.push(factsOf(status.length, table, dirty));
  }
  if (dirty.length > 0) ctx.log.warn(`${dirty.length} dirty rows`, dirty.counts());
  return facts;
}

/** What was counted, before it is written: answers in the order of the rasters. */
export interface Counts {
  readonly answers: readonly Answers[];
  /** FIELD_STATUS code per row. */
  readonly status: Uint8Array;
  readonly dirty: DirtyRows;
}

/**
 * Count every field under rasters that one index serves, in one pass.
 *
 * @throws {PipelineError} as countFields.
 */
export async function countRasters(
  fields: FieldsFile,
  rasters: readonly Raster[],
  zones: ZoneReader,
  rule: ZonalRule,
  { options, pool, ctx }: Omit<Run, "layout">,
): Promise<Counts> {
  const status = await zones.readStatus();
  const dirty = new DirtyRows(status, await zones.readDuplicates());
  await checkDirtyShare(fields, dirty, options.maxDirty, options.batch);
  const placed = rasters.map((raster) => {
    const shift = fitRaster(zones.header, raster.grid);
    if (shift === undefined) throw misfit(zones, raster);
    checkOverlap(fields, raster, zones, shift);
    const skip = [...options.nodata, ...nodataClasses(raster)];
    return { raster, shift, skip, rowWeights: rowWeights(rule, raster) };
  });
  for (const { raster, shift } of placed) {
    const windows = windowsWithFields(raster, zones, shift).map(({ window }) => window);
    await raster.remote?.bring(raster, windows, ctx);
  }
  return { status, dirty, answers: await scanRasters(placed, zones, rule, pool(), ctx) };
}

function factsOf(rows: number, { answered, unanswered, valid }: TableFacts, dirty: DirtyRows): ZonalFacts {
  const { rowCount } = dirty;
  return { rows, answered, unanswered, dirty: dirty.counts(), dirtyRows: rowCount, validPixels: valid };
}

/** Fields that all lie elsewhere are a CRS mistake, not an answer. */
function checkOverlap(
  fields: FieldsFile,
  raster: Raster,
  zones: ZoneReader,
  shift: { col: number; row: number },
): void {
  const { extent, grid } = zones.header;
  if (extent === null) return;
  const [left, top, right, bottom] = extent;
  const { width, height } = raster.grid;
  if (left < shift.col + width && right > shift.col && top < shift.row + height && bottom > shift.row) return;
  throw new PipelineError("input", "None of the fields overlaps the raster; is the CRS of the fields right?", {
    path: raster.path,
    fields: fields.path,
    rasterExtent: extentText(raster.grid),
    fieldsExtent: extentText(grid, [left, right], [top, bottom]),
  });
}

/** @throws {PipelineError} failed, when the file at `path` is not the zonal table of `rows` rows that a rule gives. */
export async function verifyZonalTable(path: string, rows: number, rule: ZonalRule): Promise<void> {
  const shape = await openParquet(path);
  const columns = rule.columns?.map(({ name }) => name) ?? columnNames(rule);
  if (shape.rows !== rows || columns.some((name) => !shape.columns.has(name))) {
    throw new PipelineError("failed", "Zonal table is not what was written", {
      path,
      expected: rows,
      received: shape.rows,
    });
  }
}

/** Put the list of dirty rows from the scratch folder of `out` in its place, or take an old one away. */
export function publishDirtyRows(out: string, scratch: string): void {
  const made = dirtyPath(join(scratch, basename(out)));
  if (existsSync(made)) publishFile(made, dirtyPath(out));
  else if (existsSync(dirtyPath(out)) && dirtyOrigin(dirtyPath(out)) === "ours") rmSync(dirtyPath(out));
}

/** Who made a list of dirty rows, by its first line. */
export function dirtyOrigin(path: string): Origin {
  // The list may be longer than the longest text.
  return firstBytes(path, DIRTY_HEADER.length).toString("latin1") === DIRTY_HEADER ? "ours" : "other";
}

/** The year's zonal step. `raster` and its digest come from the download step's facts. */
export function zonalStep(
  year: number,
  raster: { readonly path: string; readonly digest: string; readonly kept: boolean },
  zoneSource: ZoneSource,
  run: Run,
): Step<ZonalFacts> {
  const { options, layout } = run;
  const fieldsPath = layout.fieldsRaw;
  const { idColumn, geometryColumn, fieldsCrs, nodata, ties } = options;
  const rule = zonalRule(options);
  const files = new InputFiles(...rasterFiles(raster.path));
  if (raster.kept) for (const path of rasterFiles(raster.path)) files.recordSource(path);
  return {
    name: "zonal",
    year,
    version: 1,
    target: layout.zonal,
    record: recordPath(layout.state, options.region, year, "zonal"),
    originOf: parquetOrigin,
    errorKind: "failed",
    files,
    inFull: options.verifyInputs === "full",
    inputs: {
      fields: existsSync(fieldsPath) ? files.digest(fieldsPath) : "missing",
      idColumn: idColumn ?? null,
      geometryColumn: geometryColumn ?? null,
      fieldsCrs: fieldsCrs ?? null,
      include: options.include ?? null,
      raster: raster.digest,
      nodata,
      ties,
      pixels: rule.pixels,
      weights: options.weights ?? null,
    },
    async validate() {
      const { checkIncluded, includedNames } = await import("../fields/included.js");
      const { openFields } = await import("../fields/fields-file.js");
      const { openRaster } = await import("../raster/raster.js");
      checkIncluded(await openFields(fieldsPath, options), includedNames(options.include));
      openRaster(raster.path);
      if (rasterDigest(raster.path) === raster.digest) return;
      throw new PipelineError("input", "Raster was changed since it was taken in", { path: raster.path });
    },
    async run(partial, ctx) {
      const { openFields } = await import("../fields/fields-file.js");
      const { openRaster } = await import("../raster/raster.js");
      const { countFields } = await import("./count-fields.js");
      const target = { raster: openRaster(raster.path), out: partial };
      const [facts] = await countFields(await openFields(fieldsPath, options, ctx.log), [target], zoneSource, rule, {
        ...run,
        ctx,
      });
      return facts as ZonalFacts;
    },
    async verify(partial, facts) {
      const { verifyZonalTable } = await import("./count-fields.js");
      await verifyZonalTable(partial, facts.rows, rule);
    },
    async finish(_facts, _ctx, scratch) {
      publishDirtyRows(layout.zonal, scratch);
    },
    sideFiles: ({ dirtyRows }) => (dirtyRows > 0 ? { [dirtyPath(layout.zonal)]: undefined } : {}),
    recheck(record) {
      const facts = record.facts as ZonalFacts;
      if (facts.dirtyRows > 0 && !existsSync(dirtyPath(layout.zonal))) return "the list of dirty rows is gone";
      if (facts.dirtyRows > options.maxDirty * facts.rows) return "more rows are dirty than --max-dirty allows";
      return outputProblem(layout.zonal, record);
    },
  };
}
