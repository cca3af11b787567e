import { existsSync } from "node:fs";
import { duplicateRows } from "../fields/duplicate-rows.js";
import { compareIds } from "../fields/field-id.js";
import { type FieldPlan, planFields } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { planProjection } from "../fields/projection.js";
import { type FieldSlice, readFields } from "../fields/reader.js";
import { nativeKernel } from "../kernel/native.js";
import type { IdColumn, IdOrder } from "../kernel/parquet.js";
import type { Burned, KernelGrid } from "../kernel/zonal.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest, fingerprint } from "../pipeline/fingerprint.js";
import { InputFiles } from "../pipeline/input-files.js";
import { type Part, requireParts, shareOf } from "../pipeline/part.js";
import type { Grid } from "../raster/grid.js";
import { VERSION, type ZoneHeader } from "./format.js";
import { type PixelOptions, pixelRule } from "./pixel-rule.js";
import { RunBuffers } from "./run-buffers.js";
import { burnColumn, burnSlice, packSlice, storeSegments, unpackSlice } from "./tasks.js";
import { readZonePart, type StoredSlice, ZonePartWriter } from "./zone-part.js";
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
  const buffers = new RunBuffers();
  const plan = await planFields(fields, options.batch, pool, ctx);
  return writeZones(
    fields,
    grid,
    path,
    options,
    plan,
    buffers,
    burner(fields, grid, options, buffers, pool, ctx),
    pool,
    ctx,
  );
}

/**
 * Burn one part of a field set: a range of its slices. A part may be empty.
 *
 * @param path  of the part; what a killed run left there is gone on with.
 * @returns rows of the part.
 * @throws {PipelineError} as buildZones.
 */
export async function buildZonePart(
  fields: FieldsFile,
  grid: Grid,
  part: Part,
  path: string,
  options: ZoneOptions,
  pool: Pool,
  ctx: Context,
): Promise<number> {
  const files = new InputFiles(fields.path);
  const buffers = new RunBuffers();
  const burn = burner(fields, grid, options, buffers, pool, ctx);
  const plan = await planFields(fields, options.batch, pool, ctx);
  const { from, to } = shareOf(plan.slices.length, part);
  const own = plan.slices.slice(from, to);
  const rows = own.reduce((sum, slice) => sum + slice.rows, 0);
  const task = ctx.progress.start("fields burned", rows);
  const writer = await ZonePartWriter.open(path, partInputs(fields, grid, options, plan), part, own);
  if (writer.done > 0) ctx.log.info(`goes on after ${writer.done} of ${own.length} slices`);
  const pack = async (slice: FieldSlice) => {
    const result = await burn(slice);
    const packed = await pool.run(packSlice, result);
    buffers.give(result.burned);
    return { slice, ...packed };
  };
  try {
    let done = own.slice(0, writer.done).reduce((sum, slice) => sum + slice.rows, 0);
    for await (const { slice, packed, crc } of mapOrdered(own.slice(writer.done), pool.threads + AHEAD, pack)) {
      ctx.signal.throwIfAborted();
      // What is in the file vouches for all that was read until then.
      files.requireUnchanged();
      await writer.add(slice, packed, crc);
      done += slice.rows;
      task.update(done);
    }
    await writer.finish();
    return rows;
  } catch (error) {
    await writer.close().catch(() => {});
    throw error;
  } finally {
    task.end();
  }
}

/**
 * Join the parts of an index: the same bytes as those of an undivided run with these options.
 *
 * @param out  of which the parts lie next to.
 * @throws {PipelineError} input: parts that are missing, of other inputs, or damaged; otherwise as buildZones.
 */
export async function joinZones(
  fields: FieldsFile,
  grid: Grid,
  out: string,
  count: number,
  path: string,
  options: ZoneOptions,
  pool: Pool,
  ctx: Context,
): Promise<ZoneHeader> {
  const parts = requireParts(out, count);
  const plan = await planFields(fields, options.batch, pool, ctx);
  const inputs = partInputs(fields, grid, options, plan);
  const stored = new Map<number, StoredSlice>();
  for (const { part, path: partFile } of parts) {
    for (const slice of readZonePart(partFile, inputs, part)) stored.set(slice.firstRow, slice);
  }
  const buffers = new RunBuffers();
  const read = async ({ firstRow, rows }: FieldSlice) => {
    const slice = stored.get(firstRow);
    if (slice?.rows !== rows)
      throw new PipelineError("input", "No part has these rows", {
        path: out,
        rows: `${firstRow}..${firstRow + rows}`,
      });
    const result = await pool.run(unpackSlice, { stored: slice, buffer: buffers.take() }).catch((cause: unknown) => {
      throw asPipelineError(cause, "input", "Part cannot be read", { path: slice.path });
    });
    buffers.note(result.burned);
    return result;
  };
  return writeZones(fields, grid, path, options, plan, buffers, read, pool, ctx);
}

/** Whether a finished part is there that need not be made again. */
export async function hasZonePart(
  path: string,
  fields: FieldsFile,
  grid: Grid,
  part: Part,
  options: ZoneOptions,
  pool: Pool,
  ctx: Context,
): Promise<boolean> {
  if (!existsSync(path)) return false;
  const plan = await planFields(fields, options.batch, pool, ctx);
  try {
    readZonePart(path, partInputs(fields, grid, options, plan), part);
    return true;
  } catch {
    return false;
  }
}

/** Fingerprint of all that parts of one index have in common. */
function partInputs(fields: FieldsFile, grid: Grid, options: ZoneOptions, { slices }: FieldPlan): string {
  return fingerprint({
    fields: fieldsFingerprint(fields, options),
    grid: { ...grid },
    slices: slices.map(({ firstRow }) => firstRow),
  });
}

async function writeZones(
  fields: FieldsFile,
  grid: Grid,
  path: string,
  options: ZoneOptions,
  { slices, ids: idChunks }: FieldPlan,
  buffers: RunBuffers,
  burn: (slice: FieldSlice) => Promise<BurnResult>,
  pool: Pool,
  ctx: Context,
): Promise<ZoneHeader> {
  const files = new InputFiles(fields.path);
  const task = ctx.progress.start("fields burned", fields.rows);
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
