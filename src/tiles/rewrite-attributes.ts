import { centerOf } from "../archive/center.js";
import { COMPRESSION } from "../archive/header.js";
import type { Metadata } from "../archive/metadata.js";
import { Archive } from "../archive/reader.js";
import { tileName } from "../archive/tile-id.js";
import { ArchiveWriter } from "../archive/writer.js";
import { nativeKernel } from "../kernel/native.js";
import type { AttributePlan } from "../kernel/tiles.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { LAYERS } from "./archive-metadata.js";
import { planAttributes, type YearAttributes } from "./attribute-plan.js";
import { type Base, rowsOfLayer } from "./base.js";
import { BatchOffsets } from "./batch-offsets.js";
import { type ContentRange, contentsOf, directoryOf, rangesOf, setLengths, spansOf } from "./contents.js";
import { writeYearTiles } from "./tasks.js";

/** One archive to make. */
export interface YearOutput {
  readonly path: string;
  /** One year, or several in one archive. */
  readonly years: readonly YearAttributes[];
  readonly metadata: Metadata;
}

export interface RewriteReport {
  readonly tiles: number;
  /** Seconds of the workers' CPU: reading base tiles, rewriting, compressing; and filling records. */
  readonly cpu: readonly [number, number, number, number];
  /** Tiles of all outputs that were rewritten because their records could not be filled. */
  readonly rewritten: number;
  /** The library that compressed those. */
  readonly gzip: string;
}

/**
 * Level, 1 to 9. libdeflate 5 is the fastest level whose archives are smaller than zlib 6's, by
 * 1.6 %; level 4 is 1.0 % larger than zlib, level 6 takes 16 % more time for 0.2 %.
 */
const GZIP_LEVEL = 5;
/** Level for zlib. */
const ZLIB_LEVEL = 6;

/** Approximate bytes of a batch, all outputs together: large enough that the transfer costs nothing. */
const BATCH_BYTES = 4 * 2 ** 20;
const MIN_BATCH_BYTES = 2 ** 18;
/** Minimum of batches per thread, so that all threads end at about the same time. */
const BATCHES = 8;
const BATCH_TILES = 2 ** 16;
/** Batches in work or waiting for the writer, beyond one per worker. */
const AHEAD = 2;
const FIRST_ROWS = 20;

/**
 * Make archives from the base with attributes of some years: the same tiles, ids and
 * geometry. If an archive has one year's crop codes, these are filled into the base's records; other
 * attributes, and tiles that do not fit their records, are rewritten tile by tile.
 *
 * The result does not depend on the number of threads. Memory holds a few batches per worker; workers write the
 * archives. Every feature of the highest zoom is checked off against the base's audit.
 *
 * @throws {PipelineError} input, naming the tile or the rows; space; tool, if a result is wrong.
 */
export async function rewriteAttributes(
  base: Base,
  outputs: readonly YearOutput[],
  pool: Pool,
  ctx: Context,
): Promise<RewriteReport> {
  const { rows } = base.facts;
  for (const { crops } of outputs.flatMap(({ years }) => years)) {
    if (crops.index.length === rows) continue;
    throw new PipelineError("input", "Base has another number of fields", {
      path: base.path,
      expected: crops.index.length,
      received: rows,
    });
  }
  const seen = new Map(LAYERS.map((layer) => [layer, new Uint8Array(new SharedArrayBuffer(rows))]));
  const gzip = nativeKernel().gzipLibrary;
  const level = gzip.startsWith("libdeflate") ? GZIP_LEVEL : ZLIB_LEVEL;
  const plan = planAttributes(
    rows,
    seen,
    outputs.map(({ years }) => years),
    level,
  );
  ctx.log.info("writing crops into tiles", { base: base.path, gzip, threads: pool.threads });
  const archive = new Archive(base.path);
  const writers: ArchiveWriter[] = [];
  try {
    for (const { path } of outputs) writers.push(new ArchiveWriter(path, COMPRESSION.gzip));
    const { cpu, rewritten } = await writeTiles(base, archive, writers, plan, pool, ctx);
    requireEveryRow(base, seen);
    const { bounds, minZoom, maxZoom } = archive.header;
    const center = centerOf(archive.header.center, bounds, minZoom, maxZoom);
    for (const [o, { metadata }] of outputs.entries()) writers[o]?.finish({ metadata, bounds, center });
    return { tiles: archive.entries.count, cpu, rewritten, gzip };
  } finally {
    for (const writer of writers) writer.close();
    archive.close();
  }
}

/** Workers write the tiles into the files; the writers receive each tile's position. */
async function writeTiles(
  base: Base,
  archive: Archive,
  writers: readonly ArchiveWriter[],
  plan: AttributePlan,
  pool: Pool,
  ctx: Context,
) {
  const contents = contentsOf(archive);
  const most = Math.min(BATCH_BYTES, archive.header.tiles.length / (pool.threads * BATCHES)) / writers.length;
  const size = (c: number) => contents.lengths[c] as number;
  const ranges = [...rangesOf(contents, Math.max(MIN_BATCH_BYTES, most), BATCH_TILES, size)];
  const offsets = BatchOffsets.create(ranges.length, writers.length);
  const shared = {
    path: archive.path,
    plan,
    outputs: writers.map(({ path }) => path),
    offsets: { shared: offsets.shared, batches: offsets.batches, outputs: offsets.outputs },
  };
  const run = async ([batch, range]: [number, ContentRange]) => {
    const { from, to } = range;
    const marked = contents.highest.indexOf(1, from);
    const markFrom = marked < 0 || marked >= to ? to - from : marked - from;
    try {
      const task = { ...shared, ...spansOf(contents, range), markFrom, batch };
      return { batch, range, ...(await pool.run(writeYearTiles, task)) };
    } catch (cause) {
      throw asPipelineError(cause, "input", "Base cannot be read", { path: archive.path });
    }
  };
  const lengths = writers.map(() => new Uint32Array(contents.count));
  const cpu: [number, number, number, number] = [0, 0, 0, 0];
  let rewritten = 0;
  const task = ctx.progress.start("tiles given attributes", contents.count);
  try {
    for await (const made of mapOrdered(ranges.entries(), pool.threads + AHEAD, run)) {
      ctx.signal.throwIfAborted();
      if (made.damaged !== undefined) {
        const { tile, reason } = made.damaged;
        throw damagedBase(base, contents.tileIds[made.range.from + tile] as number, reason);
      }
      if (made.late !== undefined) writeLate(made.late, made.batch, offsets, writers);
      for (const [o, ends] of made.ends.entries()) setLengths(lengths[o] as Uint32Array, made.range, ends);
      for (const i of [0, 1, 2, 3] as const) cpu[i] += made.cpu[i] as number;
      rewritten += made.rewritten;
      task.update(made.range.to);
    }
  } finally {
    task.end();
  }
  const ends = offsets.ends();
  for (const [o, writer] of writers.entries()) {
    writer.adopt(directoryOf(archive, contents, lengths[o] as Uint32Array), contents.count, ends[o] as number);
  }
  return { cpu, rewritten };
}

/** Write a batch that its worker could not, because the previous batches took long. */
function writeLate(
  late: readonly Uint8Array[],
  batch: number,
  offsets: BatchOffsets,
  writers: readonly ArchiveWriter[],
) {
  const at = offsets.take(
    batch,
    late.map(({ length }) => length),
  );
  if (at === undefined)
    throw new PipelineError("failed", "Internal error: output offset of this batch is unknown", { batch });
  for (const [o, content] of late.entries()) writers[o]?.writeTiles(content, at[o] as number);
}

function damagedBase(base: Base, tileId: number, reason: string): PipelineError {
  base.forget?.();
  const next = base.forget === undefined ? "" : ", the next run makes it again";
  const where = { path: base.path, tile: tileName(tileId), reason };
  return new PipelineError("input", `Base is damaged${next}`, where);
}

/** Compare the features that the kernel wrote with the base's audit, made by a tile-by-tile reader. */
function requireEveryRow(base: Base, seen: ReadonlyMap<string, Uint8Array>): void {
  for (const [layer, flags] of seen) {
    const bits = rowsOfLayer(base, layer);
    const [lost, strange]: [number[], number[]] = [[], []];
    for (let row = 0; row < flags.length; row++) {
      const wanted = ((bits[row >> 3] as number) >> (row & 7)) & 1;
      if (wanted !== flags[row]) (wanted === 1 ? lost : strange).push(row);
    }
    if (lost.length === 0 && strange.length === 0) continue;
    const expected = flags.length;
    throw new PipelineError("input", "Base does not have the features that its audit lists", {
      path: base.path,
      layer,
      fields: expected,
      lost: lost.length,
      firstLost: lost.slice(0, FIRST_ROWS).join(" ") || undefined,
      strange: strange.length,
      firstStrange: strange.slice(0, FIRST_ROWS).join(" ") || undefined,
    });
  }
}
