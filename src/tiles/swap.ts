import { COMPRESSION } from "../archive/header.js";
import type { Metadata } from "../archive/metadata.js";
import { Archive } from "../archive/reader.js";
import { firstTileId } from "../archive/tile-id.js";
import { ArchiveWriter } from "../archive/writer.js";
import { nativeKernel } from "../kernel/native.js";
import type { SwapPlan, Swapped } from "../kernel/tiles.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { LAYERS } from "./archive-metadata.js";
import { type BaseArchive, rowsOfLayer } from "./base-archive.js";
import { planSwap, type YearAttributes } from "./swap-plan.js";
import type { PreparedBase } from "./swap-template.js";
import { swapTiles } from "./tasks.js";
import { fillTemplate, planFill } from "./template-swap.js";

/** One archive to make. */
export interface SwapOutput {
  readonly path: string;
  /** One year, or several in one archive. */
  readonly years: readonly YearAttributes[];
  readonly metadata: Metadata;
}

export interface SwapReport {
  readonly tiles: number;
  /** Seconds of the workers' CPU: decompressing, rewriting, compressing; and filling in a template. */
  readonly cpu: readonly [number, number, number, number];
  /** Tiles that the template could not give, of all outputs together; undefined without a template. */
  readonly misfits: number | undefined;
  /** What compressed the tiles. */
  readonly gzip: string;
}

/**
 * Of 1 to 9. libdeflate 5 is the fastest whose archives are smaller than zlib's at 6, by
 * 1.6 %; 4 is 1.0 % larger than that, 6 costs 16 % more time for 0.2 %.
 */
export const GZIP_LEVEL = 5;
/** The same for zlib. */
const ZLIB_LEVEL = 6;

/** Compressed bytes that a worker hands back at a time, of all outputs together, about. */
const BATCH_BYTES = 2 ** 20;
/** At least so many of the base are read for them. */
const LEAST_BATCH_BYTES = 2 ** 17;
/** And at most so many tiles, where they are tiny. */
const BATCH_TILES = 4096;
/** Batches in work or waiting for the writer, beyond one a worker. */
const AHEAD = 2;
const FIRST_ROWS = 20;

/**
 * Make archives that are the base with attributes of some years: the same tiles, ids and
 * geometry, byte for byte. With the base's template only the crops' codes are filled in; without,
 * each tile is decompressed once and compressed once an output.
 *
 * The answer does not depend on the number of threads; memory holds a few batches a worker.
 * Every feature of the highest zoom is ticked off against the base's own census, and a
 * sample of tiles is read back and compared by a decoder that shares nothing with the kernel.
 *
 * @throws {PipelineError} input, naming the tile or the rows; space; tool, when a result is not what it must be.
 */
export async function swapAttributes(
  base: PreparedBase,
  outputs: readonly SwapOutput[],
  pool: Pool,
  ctx: Context,
): Promise<SwapReport> {
  const { rows } = base.facts;
  for (const { crops } of outputs.flatMap(({ years }) => years)) {
    if (crops.index.length === rows) continue;
    throw new PipelineError("input", "Base archive has another number of fields", {
      path: base.path,
      expected: crops.index.length,
      received: rows,
    });
  }
  const seen = new Map(LAYERS.map((layer) => [layer, new Uint8Array(new SharedArrayBuffer(rows))]));
  const gzip = nativeKernel().gzipLibrary;
  const level = gzip.startsWith("libdeflate") ? GZIP_LEVEL : ZLIB_LEVEL;
  const plan = planSwap(
    rows,
    seen,
    outputs.map(({ years }) => years),
    level,
  );
  ctx.log.info("attributes go into the base's tiles", { base: base.path, gzip, threads: pool.threads });
  const archive = new Archive(base.path);
  const writers: ArchiveWriter[] = [];
  try {
    for (const { path } of outputs) writers.push(new ArchiveWriter(path, archive.header.tileCompression));
    const report =
      base.template === undefined
        ? { swapCpu: await rewriteTiles(archive, writers, plan, pool, ctx), fillCpu: 0, misfits: undefined }
        : await fillTemplate(
            archive,
            base.template,
            writers,
            planFill(
              plan,
              outputs.map(({ years }) => years),
            ),
            plan,
            pool,
            ctx,
          );
    requireEveryRow(base, seen);
    const { bounds, center } = archive.header;
    for (const [o, { metadata }] of outputs.entries()) writers[o]?.finish({ metadata, bounds, center });
    const { swapCpu, fillCpu, misfits } = report;
    return { tiles: archive.entries.count, cpu: [...swapCpu, fillCpu], misfits, gzip };
  } finally {
    for (const writer of writers) writer.close();
    archive.close();
  }
}

async function rewriteTiles(
  archive: Archive,
  writers: readonly ArchiveWriter[],
  plan: SwapPlan,
  pool: Pool,
  ctx: Context,
): Promise<[number, number, number]> {
  const cpu: [number, number, number] = [0, 0, 0];
  const { entries } = archive;
  const batchBytes = Math.max(LEAST_BATCH_BYTES, BATCH_BYTES / writers.length);
  const run = async (batch: Batch) => {
    try {
      return { batch, swapped: await pool.run(swapTiles, { ...batch, path: archive.path, plan }) };
    } catch (cause) {
      throw asPipelineError(cause, "input", "Base archive cannot be read", { path: archive.path });
    }
  };
  const task = ctx.progress.start("tiles given attributes", entries.count);
  try {
    let done = 0;
    for await (const { batch, swapped } of mapOrdered(batchesOf(archive, batchBytes), pool.threads + AHEAD, run)) {
      ctx.signal.throwIfAborted();
      for (const [o, writer] of writers.entries())
        writeBatch(writer, batch, swapped.outputs[o] as Swapped["outputs"][0]);
      for (const i of [0, 1, 2] as const) cpu[i] += swapped.cpu[i] as number;
      done += batch.tileIds.length;
      task.update(done);
    }
  } finally {
    task.end();
  }
  return cpu;
}

function writeBatch(writer: ArchiveWriter, batch: Batch, { content, ends }: Swapped["outputs"][0]): void {
  let begin = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] as number;
    writer.write(batch.tileIds[i] as number, content.subarray(begin, end), batch.runLengths[i]);
    begin = end;
  }
}

/** A stretch of the directory, for one worker; see SwapTask. */
interface Batch {
  readonly spans: Float64Array;
  readonly ends: Uint32Array;
  readonly tileIds: Float64Array;
  readonly runLengths: Uint32Array;
  readonly compressed: boolean;
  readonly markFrom: number;
}

/** The archive's tiles in order; contents that lie one behind the other are read at once. */
function* batchesOf({ entries, header }: Archive, batchBytes: number): Generator<Batch> {
  const highest = firstTileId(header.maxZoom);
  for (let from = 0; from < entries.count; ) {
    const spans: number[] = [];
    const ends: number[] = [];
    let [bytes, next, to] = [0, -1, from];
    for (; to < entries.count && to - from < BATCH_TILES && (bytes < batchBytes || to === from); to++) {
      const [offset, length] = [header.tiles.offset + entries.offset(to), entries.length(to)];
      if (offset === next) spans[spans.length - 1] = (spans.at(-1) as number) + length;
      else spans.push(offset, length);
      next = offset + length;
      bytes += length;
      ends.push(bytes);
    }
    const tileIds = entries.tileIds.slice(from, to);
    const first = tileIds.findIndex((id) => id >= highest);
    yield {
      spans: Float64Array.from(spans),
      ends: Uint32Array.from(ends),
      tileIds,
      runLengths: entries.runLengths.slice(from, to),
      compressed: header.tileCompression === COMPRESSION.gzip,
      markFrom: first < 0 ? tileIds.length : first,
    };
    from = to;
  }
}

/** Hold the features that the kernel wrote against the base's census, which a tile-by-tile reader took. */
function requireEveryRow(base: BaseArchive, seen: ReadonlyMap<string, Uint8Array>): void {
  for (const [layer, flags] of seen) {
    const bits = rowsOfLayer(base, layer);
    const [lost, strange]: [number[], number[]] = [[], []];
    for (let row = 0; row < flags.length; row++) {
      const wanted = ((bits[row >> 3] as number) >> (row & 7)) & 1;
      if (wanted !== flags[row]) (wanted === 1 ? lost : strange).push(row);
    }
    if (lost.length === 0 && strange.length === 0) continue;
    const expected = flags.length;
    throw new PipelineError("input", "Base archive does not have the features that its census lists", {
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
