import type { Run } from "../config/run.js";
import { checkDirtyShare, DirtyRows, writeDirtyRows } from "../fields/dirty.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { includeColumns, includedNames } from "../fields/included.js";
import { nativeKernel } from "../kernel/native.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { extentText, type Grid, gridText } from "../raster/grid.js";
import { nodataClasses, type Raster } from "../raster/raster.js";
import { openParquet } from "../table/parquet-file.js";
import { fitRaster } from "../zones/fit.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import type { Answers } from "./answers.js";
import { dirtyPath } from "./dirty-list.js";
import { rowWeights } from "./row-weights.js";
import { columnNames, needsHistogramColumns, type ZonalRule } from "./rule.js";
import { scanRasters } from "./scan.js";
import { windowsWithFields } from "./scan-target.js";
import { type TableFacts, tableFacts, writeTable } from "./write-table.js";
import { writeZonalTable } from "./zonal-table.js";

/** Summary of a zonal table. */
export type ZonalFacts = {
  readonly rows: number;
  /** Fields with a crop. */
  readonly answered: number;
  /** Fields without a crop, by reason. */
  readonly unanswered: Readonly<Record<string, number>>;
  /** Dirty rows, by problem. */
  readonly dirty: Readonly<Record<string, number>>;
  /** All dirty rows; a row with two problems counts once. */
  readonly dirtyRows: number;
  /** Pixels counted over all fields; weighted by area, hectares. */
  readonly validPixels: number;
};

/** Returns a zone index of a field set for a grid; makes it if missing. */
export type ZoneSource = (fields: FieldsFile, grid: Grid) => Promise<ZoneReader>;

/** A raster of classes, and one of values on the same grid, for statistics. */
export interface CountedRaster {
  readonly raster: Raster;
  readonly values?: Raster | undefined;
}

/** A raster and the path of its table. */
export interface ZonalTarget extends CountedRaster {
  /** The parquet file; dirty rows are listed next to it. */
  readonly out: string;
}

/**
 * Majority class of every field under each raster: takes zone index and rasters, writes a parquet
 * file for each raster. Rasters whose pixels align are scanned in one pass.
 *
 * @returns facts in the order of the targets.
 * @throws {PipelineError} input, naming the file; dirty above `--max-dirty`; an error with both extents
 *   if no field is on a raster.
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
  return new PipelineError("input", "Zone index has another grid, or lacks fields that lie on this raster", {
    path: raster.path,
    index: zones.path,
    indexGrid: gridText(grid),
    rasterGrid: gridText(raster.grid),
  });
}

/** The same for rasters with a common index. */
async function countFitting(
  fields: FieldsFile,
  targets: readonly ZonalTarget[],
  zones: ZoneReader,
  rule: ZonalRule,
  run: Omit<Run, "layout">,
): Promise<ZonalFacts[]> {
  const { options, pool, ctx } = run;
  const { answers, status, dirty } = await countRasters(fields, targets, zones, rule, run);
  const write = async (out: string, answer: Answers): Promise<TableFacts> => {
    const own = status.subarray(zones.rows.from, zones.rows.to);
    if (!needsHistogramColumns(rule)) return writeTable(out, fields, zones, answer, own, rule, pool(), ctx);
    await writeZonalTable(out, fields, answer, own, rule, options.batch, ctx);
    return tableFacts(answer, own, rule);
  };
  const facts: ZonalFacts[] = [];
  for (const [i, { out }] of targets.entries()) {
    const answer = answers[i] as Answers;
    const table = await write(out, answer);
    if (!zones.isPart) await completeTable(out, fields, dirty, options, ctx);
    facts.push(factsOf(answer.rows, table, dirty));
  }
  if (!zones.isPart && dirty.length > 0) ctx.log.warn(`${dirty.length} dirty rows`, dirty.counts());
  return facts;
}

/** Add what a table of all fields has besides answers: columns of the fields, and its list of dirty rows. */
export async function completeTable(
  out: string,
  fields: FieldsFile,
  dirty: DirtyRows,
  options: Pick<Run["options"], "include" | "batch">,
  ctx: Context,
): Promise<void> {
  await includeColumns(out, fields, includedNames(options.include), options.batch, ctx.signal);
  if (dirty.length > 0) await writeDirtyRows(dirtyPath(out), fields, dirty, options.batch);
}

/** Results before writing: answers in the order of the rasters. */
export interface Counts {
  readonly answers: readonly Answers[];
  /** FIELD_STATUS code per row. */
  readonly status: Uint8Array;
  readonly dirty: DirtyRows;
}

/**
 * Count every field under rasters with a common index, in one pass.
 *
 * @throws {PipelineError} as countFields.
 */
export async function countRasters(
  fields: FieldsFile,
  rasters: readonly CountedRaster[],
  zones: ZoneReader,
  rule: ZonalRule,
  { options, pool, ctx }: Omit<Run, "layout">,
): Promise<Counts> {
  const status = await zones.readStatus();
  const dirty = new DirtyRows(status, await zones.readDuplicates());
  await checkDirtyShare(fields, dirty, options.maxDirty, options.batch);
  const placed = rasters.map(({ raster, values }) => {
    const shift = fitRaster(zones.header, raster.grid);
    if (shift === undefined) throw misfit(zones, raster);
    checkOverlap(fields, raster, zones, shift);
    const skip = [...options.nodata, ...nodataClasses(raster)];
    return { raster, values, shift, skip, rowWeights: rowWeights(rule, raster) };
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

/** If all fields are elsewhere, that is a CRS mistake, not an answer. */
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

/** @throws {PipelineError} failed, if the file at `path` is not the rule's zonal table with `rows` rows. */
export async function verifyZonalTable(path: string, rows: number, rule: ZonalRule): Promise<void> {
  const shape = await openParquet(path);
  const columns = rule.columns?.map(({ name }) => name) ?? columnNames(rule);
  if (shape.rows !== rows || columns.some((name) => !shape.columns.has(name))) {
    throw new PipelineError("failed", "Zonal table differs from what was written", {
      path,
      expected: rows,
      received: shape.rows,
    });
  }
}
