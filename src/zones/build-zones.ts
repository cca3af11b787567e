import { duplicateRows } from "../fields/duplicate-rows.js";
import { compareIds } from "../fields/field-id.js";
import { planFields } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { planProjection } from "../fields/projection.js";
import { type FieldSlice, readFields } from "../fields/reader.js";
import { nativeKernel } from "../kernel/native.js";
import type { IdColumn, IdOrder } from "../kernel/parquet.js";
import type { Burned, KernelGrid } from "../kernel/zonal.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { fileDigest, fingerprint } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import type { Grid } from "../raster/grid.js";
import { VERSION, type ZoneHeader } from "./format.js";
import { type PixelOptions, pixelRule } from "./pixel-rule.js";
import { RunBuffers } from "./run-buffers.js";
import { burnColumn, burnSlice, storeSegments } from "./tasks.js";
import { type SegmentStore, ZoneWriter } from "./zone-writer.js";

/** Slices handed out beyond the number of workers, so that none waits for the writer. */
const AHEAD = 2;

export interface ZoneOptions extends PixelOptions {
  /** Fields a worker takes at a time. */
  readonly batch: number;
  /** See ZoneWriter.open. */
  readonly bufferBytes?: number;
}

/** What decides the pixels of a field set on any given grid. */
export function fieldsFingerprint(fields: FieldsFile, options: PixelOptions): string {
  const { idColumn, geometryColumn, crs, path } = fields;
  const rule = pixelRule(options);
  const other = rule === "centre" ? {} : { rule };
  return fingerprint({ version: VERSION, fields: fileDigest(path), idColumn, geometryColumn, crs, ...other });
}

/**
 * Burn a field set on a grid and write its zone index.
 *
 * Memory is bounded: a page or slice per worker, and the writer's buffer.
 *
 * @throws {PipelineError} input, naming file, row group, rows and column, where the parquet is damaged.
 */
export async function buildZones(
  fields: FieldsFile,
  grid: Grid,
  path: string,
  options: ZoneOptions,
  pool: Pool,
  ctx: Context,
): Promise<ZoneHeader> {
  const files = new InputFiles(fields.path);
  const buffers = new RunBuffers();
  const burn = burner(fields, grid, options, buffers, pool, ctx);
  const task = ctx.progress.start("fields burned", fields.rows);
  const { slices, ids: idChunks } = await planFields(fields, options.batch, pool, ctx);
  const begins = new Set([fields.rows, ...slices.map(({ firstRow }) => firstRow)]);
  const kernel = nativeKernel();
  const writer = await ZoneWriter.open(
    path,
    fieldsFingerprint(fields, options),
    grid,
    fields.rows,
    (row) => begins.has(row),
    (...column) => kernel.encodeIds(...column),
    segmentStore(buffers, pool),
    // A checkpoint vouches for all that was read until then.
    () => files.requireUnchanged(),
    options.bufferBytes,
  );
  const order = new RisingIds(writer.note);
  if (writer.rows > 0) ctx.log.info(`goes on after ${writer.rows} of ${fields.rows} fields`);
  try {
    const left = slices.filter(({ firstRow }) => firstRow >= writer.rows);
    for await (const { burned, ids, idColumn } of mapOrdered(left, pool.threads + AHEAD, burn)) {
      ctx.signal.throwIfAborted();
      order.add(ids);
      await writer.add(burned, idColumn, order.note);
      task.update(writer.rows);
    }
    const duplicates = order.rising ? new Uint32Array(0) : await duplicateRows(fields, idChunks, options.batch, pool);
    return await writer.finish(duplicates);
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  } finally {
    task.end();
  }
}

interface BurnResult {
  readonly burned: Burned;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
}

function burner(
  fields: FieldsFile,
  grid: Grid,
  options: ZoneOptions,
  buffers: RunBuffers,
  pool: Pool,
  ctx: Context,
): (slice: FieldSlice) => Promise<BurnResult> {
  const { path, idColumn, geometryColumn } = fields;
  const projection = planProjection(fields.crs, grid.crs);
  const target = {
    rule: pixelRule(options),
    grid: kernelGrid(grid),
    albers: projection.kind === "albers" ? projection.constants : null,
  };
  const tellOnce = (unsupported: string | undefined) => {
    if (unsupported === undefined || told) return;
    told = true;
    ctx.log.debug(`read through parquet-wasm: ${unsupported}`, { path });
  };
  let told = false;
  return async (slice) => {
    const source = { path, slice, idColumn, geometryColumn };
    const buffer = buffers.take();
    try {
      if (projection.kind !== "proj") {
        const { unsupported, ...result } = await pool.run(burnSlice, { ...source, ...target, buffer });
        tellOnce(unsupported);
        buffers.note(result.burned);
        return result;
      }
      const { column, unsupported, ...ids } = await pool.run(readFields, source);
      tellOnce(unsupported);
      const burned = await pool.run(burnColumn, {
        ...target,
        column: projection.reproject(column),
        firstRow: slice.firstRow,
        buffer,
      });
      buffers.note(burned);
      return { burned, ...ids };
    } catch (cause) {
      throw asPipelineError(cause, "input", "Fields cannot be read", {
        path,
        rowGroup: slice.rowGroup,
        rows: `${slice.firstRow}..${slice.firstRow + slice.rows}`,
      });
    }
  };
}

function segmentStore(buffers: RunBuffers, pool: Pool): SegmentStore {
  return {
    lanes: pool.threads,
    write: (path, range, batches) => pool.run(storeSegments, { path, range, batches }),
    release: (batch) => buffers.give(batch),
  };
}

function kernelGrid(grid: Grid): KernelGrid {
  const [c, a, , f, , e] = grid.geotransform;
  return { a, c, e, f, width: grid.width, height: grid.height };
}

/** Follows ids over slices: as long as they rise, none can repeat. */
class RisingIds {
  rising = true;
  #last: bigint | string | undefined;

  /** @param note  of an earlier run, to go on from. */
  constructor(note: string) {
    if (note === "") return;
    const { rising, type, last } = JSON.parse(note) as { rising: boolean; type: string; last: string };
    this.rising = rising;
    this.#last = type === "bigint" ? BigInt(last) : last;
  }

  add(ids: IdOrder): void {
    this.rising &&= ids.rising && (this.#last === undefined || compareIds(this.#last, ids.first) < 0);
    this.#last = ids.last;
  }

  get note(): string {
    return JSON.stringify({ rising: this.rising, type: typeof this.#last, last: String(this.#last) });
  }
}
