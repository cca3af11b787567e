import { Archive } from "../archive/reader.js";
import { firstTileId } from "../archive/tile-id.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { emptyBoxes, growBoxes } from "./block-boxes.js";
import { type BlocksIndex, NO_TILE, writeBlocksIndex, writeIds } from "./column-file.js";
import { NO_PLACE, PLACE_BITS } from "./hilbert-places.js";
import { storedBlock, writeColumnFile } from "./stored-file.js";
import { boxBlocks, placeRows } from "./tasks.js";

/**
 * Fields per block. A view reads whole blocks, so small ones are better at its edges; with fewer fields the overhead
 * of a block (about 45 bytes) and the index grow.
 */
const BLOCK_FIELDS = 2048;
/** Tiles that a worker reads at a time. */
const RANGE = 512;

export type BlocksFacts = {
  readonly fingerprint: string;
  readonly rows: number;
  readonly blocks: number;
};

/**
 * Write a base's blocks file. Each row is in one block, together with nearby rows that appear from the same zoom on;
 * rows that are in no tile come last. So a tile needs only blocks of its zoom and lower zooms whose boxes intersect
 * it.
 *
 * @param base  precompressed tiles.
 * @throws {PipelineError} input, when the base is damaged; space.
 */
export async function makeBlocks(
  base: { readonly path: string; readonly rows: number },
  target: string,
  pool: Pool,
  ctx: Context,
): Promise<BlocksFacts> {
  const { rows, path } = base;
  const archive = new Archive(path);
  const { header, entries } = archive;
  const { minZoom, maxZoom } = header;
  const entryCount = entries.count;
  const highest = entries.findAtOrBefore(firstTileId(maxZoom) - 1) + 1;
  archive.close();
  const tiles = { path, rows, maxZoom };
  const each = async <R>(
    title: string,
    from: number,
    to: number,
    run: (range: Range) => Promise<R>,
    done?: (part: R) => void,
  ) => {
    const progress = ctx.progress.start(title, to - from);
    try {
      for await (const { range, part } of mapOrdered(rangesOf(from, to), pool.threads + 1, async (range) => ({
        range,
        part: await run(range),
      }))) {
        ctx.signal.throwIfAborted();
        done?.(part);
        progress.update(range.to - from);
      }
    } catch (error) {
      throw asPipelineError(error, "input", "Base cannot be read", { path });
    } finally {
      progress.end();
    }
  };
  const places = new SharedArrayBuffer(4 * rows);
  const zooms = new SharedArrayBuffer(rows);
  new Uint32Array(places).fill(NO_PLACE);
  new Uint8Array(zooms).fill(NO_TILE);
  await each("tiles read for their fields", 0, entryCount, (range) =>
    pool.run(placeRows, { ...tiles, ...range, places, zooms }),
  );
  const order = orderRows(new Uint8Array(zooms), new Uint32Array(places));
  const blocks = cutBlocks(order, new Uint8Array(zooms));
  const blockOf = new SharedArrayBuffer(4 * rows);
  const blockOfRow = new Uint32Array(blockOf);
  blocks.forEach(({ ids }, b) => {
    for (const id of ids) blockOfRow[id] = b;
  });
  const boxTask = { ...tiles, blockOf, blocks: blocks.length };
  const boxes = emptyBoxes(blocks.length);
  const grow = (part: Uint32Array) => growBoxes(boxes, part);
  await each(
    "tiles read for boxes",
    Math.max(0, highest - 1),
    entryCount,
    (range) => pool.run(boxBlocks, { ...boxTask, ...range, known: undefined }),
    grow,
  );
  const known = boxes.slice();
  await each(
    "lower tiles read for boxes",
    0,
    highest,
    (range) => pool.run(boxBlocks, { ...boxTask, ...range, known }),
    grow,
  );
  blocks.forEach(({ zoom }, b) => {
    // In no tile: any box is correct, because none is searched.
    if (zoom === NO_TILE) boxes.fill(0, 4 * b, 4 * b + 4);
  });
  const stored = blocks.map(({ ids }) => storedBlock(writeIds(ids)));
  const index: Omit<BlocksIndex, "offsets" | "count"> = {
    rows,
    minZoom,
    maxZoom,
    zooms: Uint8Array.from(blocks, ({ zoom }) => zoom),
    sizes: Uint32Array.from(blocks, ({ ids }) => ids.length),
    boxes,
  };
  const lengths = stored.map(({ length }) => length);
  const fingerprint = writeColumnFile(target, "blocks", writeBlocksIndex(index, lengths), stored);
  return { fingerprint, rows, blocks: blocks.length };
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function* rangesOf(from: number, to: number): Generator<Range> {
  for (let at = from; at < to; at += RANGE) yield { from: at, to: Math.min(to, at + RANGE) };
}

/** Rows by zoom, then position, then row: a radix sort, with two passes over the position and one over the zoom. */
function orderRows(zooms: Uint8Array, places: Uint32Array): Uint32Array {
  let order: Uint32Array = Uint32Array.from({ length: zooms.length }, (_, row) => row);
  const half = 2 ** (PLACE_BITS / 2);
  order = sortBy(order, half, (row) => (places[row] as number) & (half - 1));
  order = sortBy(order, half, (row) => ((places[row] as number) >>> (PLACE_BITS / 2)) & (half - 1));
  return sortBy(order, 256, (row) => zooms[row] as number);
}

/** A stable sort. */
function sortBy(order: Uint32Array, keys: number, key: (row: number) => number): Uint32Array {
  const ends = new Uint32Array(keys + 1);
  for (const row of order) (ends[key(row) + 1] as number)++;
  for (let k = 0; k < keys; k++) (ends[k + 1] as number) += ends[k] as number;
  const sorted = new Uint32Array(order.length);
  for (const row of order) sorted[(ends[key(row)] as number)++] = row;
  return sorted;
}

function cutBlocks(order: Uint32Array, zooms: Uint8Array): { zoom: number; ids: Uint32Array }[] {
  const blocks: { zoom: number; ids: Uint32Array }[] = [];
  for (let from = 0; from < order.length; ) {
    const zoom = zooms[order[from] as number] as number;
    let to = from;
    while (to < order.length && to - from < BLOCK_FIELDS && zooms[order[to] as number] === zoom) to++;
    blocks.push({ zoom, ids: order.slice(from, to).sort() });
    from = to;
  }
  return blocks;
}
