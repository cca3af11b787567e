import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { crc32 } from "node:zlib";
import type { Bounds, Header } from "../archive/header.js";
import type { Metadata } from "../archive/metadata.js";
import { Archive } from "../archive/reader.js";
import { tileId, tileName, tileOf } from "../archive/tile-id.js";
import { ArchiveWriter } from "../archive/writer.js";
import { isLngLat } from "../fields/crs-identifier.js";
import { planFields } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import type { Projection } from "../fields/projection.js";
import type { FieldSlice } from "../fields/reader.js";
import { STATUS_OK } from "../kernel/geometry.js";
import type { BucketChunks, CellPlan, ShapeCounts, TilePlan } from "../kernel/tiler.js";
import { forEachBounded, mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError, type Where } from "../pipeline/errors.js";
import { type CellZooms, LAYERS } from "./archive-metadata.js";
import { auditRows, FIELD_ZOOM } from "./audit.js";
import { recordWriter } from "./precompress.js";
import { recordPlan } from "./record-plan.js";
import { readFully, SpillFile } from "./spill-file.js";
import type { Tiled } from "./tile-fields.js";
import { type TilerAttributes, tilestatsOf } from "./tiler-stats.js";
import {
  mergeCells,
  type Piece,
  readColumns,
  type SpilledChunks,
  type StoredZoom,
  spillColumn,
  spillSlice,
  tileBucket,
} from "./tiler-tasks.js";

/** Changes when the same fields give different tiles. */
const VERSION = 1;
const ENGINE = `fields-pipeline tiler ${VERSION}`;
/** Bytes of uncompressed tiles that a worker holds at a time; a larger bucket is processed in parts. */
const LIMIT_BYTES = 96 * 2 ** 20;
/** Slices and buckets in the queue beyond one per worker. */
const AHEAD = 1;
/** Bytes of tiles that the writer reads at a time. */
const READ_BYTES = 8 * 2 ** 20;
const WORLD = 2 ** 32;

export interface TilerOptions {
  readonly batch: number;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** Store precompressed tiles (tiles/precompress.ts), instead of gzip. */
  readonly records?: boolean;
  /** For tests: see LIMIT_BYTES. */
  readonly limitBytes?: number;
}

/** A bucket: the fields that intersect one tile, in pieces by slice. */
interface Bucket {
  readonly tile: number;
  readonly offsets: number[];
  readonly bytes: number[];
  readonly crcs: number[];
}

/**
 * Tile every field and its centroid next to `partial`, in two passes: fields are sorted into buckets, one per tile
 * of the zoom above the first that shows every field; then each bucket becomes the tiles under it. Memory holds one
 * slice or bucket per worker; the same fields give the same bytes with any number of workers. Workers audit each
 * bucket's tiles as they store them; then the archive is compared with the audited tiles.
 *
 * @throws {PipelineError} tool, naming tile and row, when a tile is not a vector tile or lacks a field.
 */
export async function tileNatively(
  fields: FieldsFile,
  attributes: TilerAttributes,
  partial: string,
  options: TilerOptions,
  pool: Pool,
  ctx: Context,
): Promise<Tiled> {
  const folder = join(dirname(partial), "tiler");
  const path = join(dirname(partial), "tiled.pmtiles");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const spill = SpillFile.create(join(folder, "fields"));
  const spilled = await spillFields(fields, attributes, spill, options, pool, ctx);
  const { buckets, status, bounds } = spilled;
  if (bounds === undefined) throw new PipelineError("input", "No field can be drawn", { path: fields.path });
  const seen = LAYERS.map(() => new Uint8Array(new SharedArrayBuffer(fields.rows)));
  const zooms = await tileBuckets(buckets, { ...attributes, seen }, spill, folder, options, pool, ctx);
  rmSync(spill.path);
  const tilestats = await tilestatsOf(fields, attributes, status, options.batch);
  await writeArchive(path, zooms, bounds, { tilestats }, options, ctx);
  await compareWritten(path, zooms, ctx);
  rmSync(folder, { recursive: true });
  const { minZoom, maxZoom } = options;
  const audit = auditRows(
    seen,
    { first: Math.max(minZoom, Math.min(FIELD_ZOOM, maxZoom)), last: maxZoom },
    status,
    path,
  );
  const drawn = status.reduce((sum, code) => sum + (code === STATUS_OK ? 1 : 0), 0);
  return { path, engine: ENGINE, cells: cellZooms(options), status, drawn, audit };
}

/** Zooms below the first that shows every field. */
function cellZooms({ minZoom, maxZoom }: Pick<TilerOptions, "minZoom" | "maxZoom">): CellZooms | undefined {
  const highest = Math.min(FIELD_ZOOM, maxZoom) - 1;
  return minZoom > highest ? undefined : { minzoom: minZoom, maxzoom: highest };
}

async function spillFields(
  fields: FieldsFile,
  { fieldId }: TilerAttributes,
  file: SpillFile,
  { batch, minZoom, maxZoom }: TilerOptions,
  pool: Pool,
  ctx: Context,
) {
  const { path, idColumn, geometryColumn } = fields;
  const projection = await projectionOf(fields.crs);
  const task = { path, idColumn, geometryColumn, withIds: fieldId, zooms: { minZoom, maxZoom }, file: file.shared };
  const spill = async (slice: FieldSlice): Promise<{ slice: FieldSlice; chunks: SpilledChunks }> => {
    try {
      if (projection.kind !== "proj") return { slice, chunks: await pool.run(spillSlice, { ...task, slice }) };
      const { column, ids } = await pool.run(readColumns, { ...task, slice });
      const source = { column: projection.reproject(column), ids, firstRow: slice.firstRow };
      return { slice, chunks: await pool.run(spillColumn, { ...source, zooms: task.zooms, file: task.file }) };
    } catch (cause) {
      throw asPipelineError(cause, "input", "Fields cannot be read", {
        path,
        rows: `${slice.firstRow}..${slice.firstRow + slice.rows}`,
      });
    }
  };
  const status = new Uint8Array(fields.rows);
  const buckets = new Map<number, Bucket>();
  const box = [WORLD, WORLD, 0, 0] as [number, number, number, number];
  let told = false;
  const progress = ctx.progress.start("fields projected", fields.rows);
  try {
    const { slices } = await planFields(fields, batch, pool, ctx);
    for await (const { slice, chunks } of mapOrdered(slices, pool.threads + AHEAD, spill)) {
      ctx.signal.throwIfAborted();
      status.set(chunks.status, slice.firstRow);
      chunks.tiles.forEach((tile, i) => {
        const bucket = buckets.get(tile) ?? { tile, offsets: [], bytes: [], crcs: [] };
        buckets.set(tile, bucket);
        bucket.offsets.push(chunks.offsets[i] as number);
        bucket.bytes.push(chunks.bytes[i] as number);
        bucket.crcs.push(chunks.crcs[i] as number);
      });
      const [west, north, east, south] = chunks.box as unknown as typeof box;
      if (west <= east) {
        box[0] = Math.min(box[0], west);
        box[1] = Math.min(box[1], north);
        box[2] = Math.max(box[2], east);
        box[3] = Math.max(box[3], south);
      }
      if (chunks.unsupported !== undefined && !told) {
        told = true;
        ctx.log.debug(`read through parquet-wasm: ${chunks.unsupported}`, { path });
      }
      progress.update(slice.firstRow + slice.rows);
    }
  } finally {
    progress.end();
  }
  const ordered = [...buckets.values()].sort((a, b) => a.tile - b.tile);
  return { buckets: ordered, status, bounds: ordered.length === 0 ? undefined : boundsOf(box) };
}

async function projectionOf(crs: string): Promise<Projection> {
  if (isLngLat(crs)) return { kind: "same" };
  const { planProjection } = await import("../fields/projection.js");
  return planProjection(crs, "OGC:CRS84");
}

/** The tiles of one zoom: a scratch file, and pieces of it in the order of ids. */
interface ScratchZoom {
  readonly zoom: number;
  readonly file: SpillFile;
  readonly parts: StoredZoom[];
}

async function tileBuckets(
  buckets: readonly Bucket[],
  { area, fieldId, included, seen }: TilerAttributes & Pick<TilePlan, "seen">,
  spill: SpillFile,
  folder: string,
  { minZoom, maxZoom, records, limitBytes = LIMIT_BYTES }: TilerOptions,
  pool: Pool,
  ctx: Context,
): Promise<ScratchZoom[]> {
  const hectares = new Float32Array(area);
  const store = records ? { records: recordPlan(hectares.length) } : {};
  const attributes = { area: hectares, hasIds: fieldId, included: included?.columns };
  const plan: TilePlan = { minZoom, maxZoom, ...attributes, limit: limitBytes, seen, ...store };
  const zooms: ScratchZoom[] = Array.from({ length: maxZoom - minZoom + 1 }, (_, i) => ({
    zoom: minZoom + i,
    file: SpillFile.create(join(folder, `z${minZoom + i}`)),
    parts: [],
  }));
  const files = zooms.map(({ file }) => file.shared);
  const summaries = SpillFile.create(join(folder, "cells"));
  const cells = new Map<number, Piece>();
  const make = async (bucket: Bucket) => {
    const chunks: BucketChunks = {
      offsets: Float64Array.from(bucket.offsets),
      bytes: Uint32Array.from(bucket.bytes),
      crcs: Uint32Array.from(bucket.crcs),
    };
    try {
      const task = { path: spill.path, chunks, tile: bucket.tile, plan, files, summaries: summaries.shared };
      return { tile: bucket.tile, ...(await pool.run(tileBucket, task)) };
    } catch (cause) {
      throw tilerError(cause, { bucket: bucket.tile });
    }
  };
  const shapes: Record<keyof ShapeCounts, number> = {
    drawn: 0,
    whole: 0,
    repaired: 0,
    squares: 0,
    pieces: 0,
    rejoined: 0,
    unsolved: 0,
  };
  let [done, largest, largestZoom] = [0, 0, 0];
  // The largest first: regions differ, and many workers would wait for a full bucket at the end. The results are
  // put together in the original order.
  const made: Awaited<ReturnType<typeof make>>[] = [];
  const sizes = buckets.map(({ bytes }) => bytes.reduce((sum, n) => sum + n, 0));
  const order = [...buckets.keys()].sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  const progress = ctx.progress.start("regions tiled", buckets.length);
  try {
    await forEachBounded(order, pool.threads + AHEAD, async (i) => {
      ctx.signal.throwIfAborted();
      made[i] = await make(buckets[i] as Bucket);
      progress.update(++done);
    });
  } finally {
    progress.end();
  }
  for (const { tile, zooms: parts, summary, shapes: counts } of made) {
    for (const part of parts) {
      zooms[part.zoom - minZoom]?.parts.push(part);
      if (part.largest > largest) [largest, largestZoom] = [part.largest, part.zoom];
    }
    if (summary.bytes > 0) cells.set(tile, summary);
    for (const key of Object.keys(shapes) as (keyof ShapeCounts)[]) shapes[key] += counts[key];
  }
  await mergeUpwards(cells, zooms, summaries, { minZoom, rows: hectares.length, ...store }, pool, ctx);
  rmSync(summaries.path);
  ctx.log.info("tiles made", { regions: buckets.length, largestBytes: largest, largestZoom });
  ctx.log.debug("shapes", shapes);
  return zooms;
}

/** A worker reports a bad tile as a RangeError. */
function tilerError(cause: unknown, where: Where): PipelineError {
  return cause instanceof RangeError
    ? asPipelineError(cause, "tool", "Tiles fail the audit", where)
    : asPipelineError(cause, "failed", "Tiles cannot be made", where);
}

/** Make the tiles of cells above the buckets' tiles, zoom by zoom. */
async function mergeUpwards(
  cells: ReadonlyMap<number, Piece>,
  zooms: readonly ScratchZoom[],
  summaries: SpillFile,
  { minZoom, ...plan }: CellPlan & Pick<TilePlan, "minZoom">,
  pool: Pool,
  ctx: Context,
): Promise<void> {
  for (let known = cells; ; ) {
    const children = new Map<number, (Piece | undefined)[]>();
    for (const [id, piece] of known) {
      const { z, x, y } = tileOf(id);
      if (z <= minZoom) return;
      const parent = tileId({ z: z - 1, x: x >> 1, y: y >> 1 });
      const four = children.get(parent) ?? [undefined, undefined, undefined, undefined];
      four[2 * (y & 1) + (x & 1)] = piece;
      children.set(parent, four);
    }
    if (children.size === 0) return;
    const tiles = [...children].sort(([a], [b]) => a - b);
    const merged = new Map<number, Piece>();
    const merge = async ([tile, four]: (typeof tiles)[0]) => {
      const { file } = zooms[tileOf(tile).z - minZoom] as ScratchZoom;
      const task = { tile, plan, children: four, file: file.shared, summaries: summaries.shared };
      try {
        return { tile, ...(await pool.run(mergeCells, task)) };
      } catch (cause) {
        throw tilerError(cause, { tile: tileName(tile) });
      }
    };
    for await (const { tile, zoom, summary } of mapOrdered(tiles, pool.threads + AHEAD, merge)) {
      ctx.signal.throwIfAborted();
      zooms[zoom.zoom - minZoom]?.parts.push(zoom);
      if (summary.bytes > 0) merged.set(tile, summary);
    }
    known = merged;
  }
}

/** All zooms' tiles in one file, in the order of their ids; each scratch file is removed after it is copied. */
async function writeArchive(
  path: string,
  zooms: readonly ScratchZoom[],
  bounds: Bounds,
  metadata: Metadata,
  { minZoom, maxZoom, records }: TilerOptions,
  ctx: Context,
): Promise<Header> {
  const writer = records ? recordWriter(path) : new ArchiveWriter(path);
  const tiles = zooms.reduce((sum, { parts }) => sum + parts.reduce((n, part) => n + part.sizes.length, 0), 0);
  const progress = ctx.progress.start("tiles written", tiles);
  let written = 0;
  try {
    let buffer = Buffer.allocUnsafe(READ_BYTES);
    for (const { file, parts } of zooms) {
      const fd = openSync(file.path, "r");
      try {
        for (const { offset, tileIds, sizes } of parts) {
          let at = offset;
          for (let first = 0; first < sizes.length; ) {
            let [last, bytes] = [first, 0];
            while (last < sizes.length && (last === first || bytes + (sizes[last] as number) <= READ_BYTES)) {
              bytes += sizes[last++] as number;
            }
            if (bytes > buffer.length) buffer = Buffer.allocUnsafe(bytes);
            readFully(fd, buffer, bytes, at, file.path);
            at += bytes;
            for (let begin = 0; first < last; first++) {
              const end = begin + (sizes[first] as number);
              writer.write(tileIds[first] as number, buffer.subarray(begin, end));
              begin = end;
              written++;
            }
            await breathe();
            ctx.signal.throwIfAborted();
            progress.update(written);
          }
        }
      } finally {
        closeSync(fd);
      }
      rmSync(file.path);
    }
    const [lng, lat] = [(bounds.west + bounds.east) / 2, (bounds.south + bounds.north) / 2];
    return writer.finish({
      metadata,
      bounds,
      center: { zoom: Math.min(maxZoom, Math.max(minZoom, FIELD_ZOOM)), lng, lat },
    });
  } finally {
    progress.end();
    writer.close();
  }
}

/** Whether the archive contains the audited tiles, byte for byte. */
async function compareWritten(path: string, zooms: readonly ScratchZoom[], ctx: Context): Promise<void> {
  const archive = new Archive(path);
  try {
    const { entries } = archive;
    let [entry, past, read] = [-1, 0, 0];
    let crc = 0;
    for (const { tileIds, crcs } of zooms.flatMap(({ parts }) => parts)) {
      for (let i = 0; i < tileIds.length; i++) {
        const id = tileIds[i] as number;
        // Neighbors with the same content share an entry.
        if (id >= past) {
          entry++;
          if (entry === entries.count || entries.tileId(entry) !== id) break;
          past = id + entries.runLength(entry);
          crc = crc32(archive.storedTile(entry));
        }
        if (crc !== crcs[i]) break;
        read++;
      }
      await breathe();
      ctx.signal.throwIfAborted();
    }
    const expected = zooms.reduce((sum, { parts }) => sum + parts.reduce((n, part) => n + part.sizes.length, 0), 0);
    if (read !== expected || entry !== entries.count - 1) {
      throw new PipelineError("failed", "Archive differs from the tiles that were made", {
        path,
        expected,
        received: read,
      });
    }
  } finally {
    archive.close();
  }
}

/** Degrees of a box in world coordinates. */
function boundsOf([west, north, east, south]: readonly [number, number, number, number]): Bounds {
  const lng = (x: number) => (x / WORLD) * 360 - 180;
  const lat = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / WORLD))) * 180) / Math.PI;
  return { west: lng(west), south: lat(south), east: lng(east), north: lat(north) };
}
