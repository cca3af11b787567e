import { existsSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Layout } from "../config/config.js";
import type { Options } from "../config/options.js";
import { checkDirtyShare, countProblems, type DirtyRow, dirtyRows, writeDirtyRows } from "../fields/dirty.js";
import { type FieldsFile, openFields, openParquet } from "../fields/fields-file.js";
import { FIELD_STATUS, LAST_DIRTY_STATUS, loadKernel, STATUS_OUTSIDE } from "../kernel/kernel.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { publishFile, scratchBeside } from "../pipeline/output.js";
import { recordPath } from "../pipeline/record.js";
import type { Step } from "../pipeline/step.js";
import { extentText } from "../raster/grid.js";
import { openRaster, type Raster } from "../raster/raster.js";
import { ZoneReader } from "../zones/zone-reader.js";
import { scanRaster } from "./scan.js";
import { writeZonalTable } from "./zonal-table.js";

/** What a zonal table holds. */
export type ZonalFacts = {
  readonly rows: number;
  /** Fields with a crop. */
  readonly answered: number;
  /** Fields without one, by reason. */
  readonly unanswered: Readonly<Record<string, number>>;
  /** Dirty rows, by problem. */
  readonly dirty: Readonly<Record<string, number>>;
  /** Pixels counted over all fields. */
  readonly validPixels: number;
};

/** The side file that lists dirty rows, beside the zonal table. */
export function dirtyPath(table: string): string {
  return join(dirname(table), `${basename(table, ".parquet")}.dirty.csv`);
}

/** Gives the zone index of a field set on a raster's grid; made where it is missing. */
export type ZoneSource = (fields: FieldsFile, raster: Raster) => Promise<ZoneReader>;

/**
 * Majority class of every field: zone index and raster in, parquet out.
 *
 * @param out  the parquet file; dirty rows are listed beside it.
 * @throws {PipelineError} input, naming the file; dirty above `--max-dirty`; an error with both extents
 *   when no field lies on the raster.
 */
export async function countFields(
  fields: FieldsFile,
  raster: Raster,
  zoneSource: ZoneSource,
  out: string,
  options: Options,
  pool: Pool,
  ctx: Context,
): Promise<ZonalFacts> {
  await loadKernel(options.kernel);
  const zones = await zoneSource(fields, raster);
  try {
    const status = await zones.readStatus();
    const dirty = dirtyRows(status, await zones.readDuplicates());
    await checkDirtyShare(fields, dirty, options.maxDirty, options.batch);
    checkOverlap(fields, raster, zones, status);
    const skip = [...options.nodata, ...(raster.nodata === undefined ? [] : [raster.nodata])];
    const answers = await scanRaster(raster, zones, skip, options.kernel, pool, ctx);
    await writeZonalTable(out, fields, answers, status, options.batch, ctx);
    const facts = summarise(status, answers.pixels, answers.valid, dirty);
    if (dirty.length > 0) {
      ctx.log.warn(`${dirty.length} dirty rows`, { ...facts.dirty });
      await writeDirtyRows(dirtyPath(out), fields, dirty, options.batch);
    }
    return facts;
  } finally {
    await zones.close();
  }
}

function summarise(
  status: Uint8Array,
  pixels: Uint32Array,
  valid: Uint32Array,
  dirty: readonly DirtyRow[],
): ZonalFacts {
  const unanswered: Record<string, number> = {};
  let [answered, validPixels] = [0, 0];
  status.forEach((code, row) => {
    validPixels += valid[row] as number;
    if ((pixels[row] as number) > 0) answered++;
    else {
      const reason = code === 0 ? "only background or nodata" : (FIELD_STATUS[code] as string);
      unanswered[reason] = (unanswered[reason] ?? 0) + 1;
    }
  });
  return { rows: status.length, answered, unanswered, dirty: countProblems(dirty), validPixels };
}

/** Fields that all lie elsewhere are a CRS mistake, not an answer. */
function checkOverlap(fields: FieldsFile, raster: Raster, zones: ZoneReader, status: Uint8Array): void {
  const usable = status.filter((code) => code === 0 || code > LAST_DIRTY_STATUS);
  if (usable.length === 0 || usable.some((code) => code !== STATUS_OUTSIDE)) return;
  const e = zones.header.extent;
  throw new PipelineError("input", "No field lies on the raster; is the CRS of the fields right?", {
    path: raster.path,
    fields: fields.path,
    rasterExtent: extentText(raster.grid),
    fieldsExtent: e === null ? "none" : extentText(raster.grid, [e[0], e[2]], [e[1], e[3]]),
  });
}

/** @throws {PipelineError} failed, when the file at `path` is not a zonal table of `rows` rows. */
export async function verifyZonalTable(path: string, rows: number): Promise<void> {
  const shape = await openParquet(path);
  const columns = ["field_id", "crop_code", "crop_pixels", "valid_pixels"];
  if (shape.rows !== rows || columns.some((name) => !shape.columns.has(name))) {
    throw new PipelineError("failed", "Zonal table is not what was written", {
      path,
      expected: rows,
      received: shape.rows,
    });
  }
}

/** Put the list of dirty rows in its place, or take an old one away. */
export function publishDirtyRows(out: string): void {
  const made = dirtyPath(join(scratchBeside(out), basename(out)));
  if (existsSync(made)) publishFile(made, dirtyPath(out));
  else rmSync(dirtyPath(out), { force: true });
}

/** The year's zonal step. `raster` and its digest come from the download step's facts. */
export function zonalStep(
  year: number,
  raster: { readonly path: string; readonly digest: string },
  options: Options,
  layout: Layout,
  zoneSource: ZoneSource,
  pool: () => Pool,
): Step<ZonalFacts> {
  const fieldsPath = layout.fieldsRaw;
  const { idColumn, geometryColumn, fieldsCrs, nodata } = options;
  return {
    name: "zonal",
    year,
    version: 1,
    target: layout.zonal,
    record: recordPath(layout.state, options.region, year, "zonal"),
    errorKind: "failed",
    inputs: {
      fields: existsSync(fieldsPath) ? fileDigest(fieldsPath) : "missing",
      idColumn: idColumn ?? null,
      geometryColumn: geometryColumn ?? null,
      fieldsCrs: fieldsCrs ?? null,
      raster: raster.digest,
      nodata,
    },
    async validate() {
      await openFields(fieldsPath, options);
      openRaster(raster.path);
    },
    async run(partial, ctx) {
      return countFields(
        await openFields(fieldsPath, options),
        openRaster(raster.path),
        zoneSource,
        partial,
        options,
        pool(),
        ctx,
      );
    },
    verify: (partial, facts) => verifyZonalTable(partial, facts.rows),
    async finish() {
      publishDirtyRows(layout.zonal);
    },
  };
}
