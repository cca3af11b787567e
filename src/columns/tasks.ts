import { featureView, readLayers } from "../archive/mvt.js";
import { firstTileId, tileOf } from "../archive/tile-id.js";
import { PipelineError } from "../pipeline/errors.js";
import { BaseTiles } from "../tiles/base-tiles.js";
import { emptyBoxes } from "./block-boxes.js";
import { PLACE_BITS } from "./hilbert-places.js";

export interface TilesOfBase {
  readonly path: string;
  readonly rows: number;
  readonly maxZoom: number;
  /** Directory entries [from, to). */
  readonly from: number;
  readonly to: number;
}

export interface PlacesTask extends TilesOfBase {
  /** Shared Uint32Array; by row, see placeRows. */
  readonly places: SharedArrayBuffer;
  /** Shared Uint8Array; by row, the lowest zoom with a tile that has it. */
  readonly zooms: SharedArrayBuffer;
}

/**
 * Store each row's position: the first tile of the highest zoom that has it, along the Hilbert curve; for a row that is
 * only in tiles of lower zooms, 2^28 is added. Workers share the arrays; the smallest number stays, so order does not matter.
 */
export function placeRows(task: PlacesTask): void {
  const [places, zooms] = [new Uint32Array(task.places), new Uint8Array(task.zooms)];
  forEachTile(task, (tileId, rowsOf) => {
    const { z } = tileOf(tileId);
    const place = placeOf(tileId - firstTileId(z), z) + (z === task.maxZoom ? 0 : 2 ** PLACE_BITS);
    for (const row of rowsOf()) {
      atomicMin(places, row, place);
      atomicMin(zooms, row, z);
    }
  });
}
placeRows.module = import.meta.url;

export interface BoxesTask extends TilesOfBase {
  /** Shared Uint32Array; by row, its block. */
  readonly blockOf: SharedArrayBuffer;
  readonly blocks: number;
  /** By block west, north, east, south of its tiles at the highest zoom; undefined in the pass that computes it. */
  readonly known: Uint32Array | undefined;
}

/**
 * Boxes of blocks, in tiles of the highest zoom. The first pass covers the highest zoom's tiles. The second: if a tile of
 * a lower zoom has a row whose block is outside (the row is in the tile's buffer), add its nearest tile of the highest zoom.
 */
export function boxBlocks(task: BoxesTask): Uint32Array {
  const { blocks, known, maxZoom } = task;
  const blockOf = new Uint32Array(task.blockOf);
  const boxes = emptyBoxes(blocks);
  forEachTile(task, (tileId, rowsOf) => {
    const { z, x, y } = tileOf(tileId);
    if ((z === maxZoom) !== (known === undefined)) return;
    const scale = 2 ** (maxZoom - z);
    const [west, north, east, south] = [x * scale, y * scale, (x + 1) * scale - 1, (y + 1) * scale - 1];
    const done = new Set<number>();
    for (const row of rowsOf()) {
      const block = blockOf[row] as number;
      if (done.has(block)) continue;
      done.add(block);
      const at = 4 * block;
      if (known === undefined) grow(boxes, at, west, north);
      else {
        const [left, top, right, bottom] = known.subarray(at, at + 4) as unknown as [number, number, number, number];
        const isEmpty = left > right;
        if (!isEmpty && left <= east && right >= west && top <= south && bottom >= north) continue;
        grow(
          boxes,
          at,
          isEmpty ? west : nearest(left, right, west, east),
          isEmpty ? north : nearest(top, bottom, north, south),
        );
      }
    }
  });
  return boxes;
}
boxBlocks.module = import.meta.url;

/** The number in `low` .. `high` that is nearest to the range `from` .. `to`. */
function nearest(from: number, to: number, low: number, high: number): number {
  return to < low ? low : from > high ? high : Math.max(low, from);
}

function grow(boxes: Uint32Array, at: number, x: number, y: number): void {
  boxes[at] = Math.min(boxes[at] as number, x);
  boxes[at + 1] = Math.min(boxes[at + 1] as number, y);
  boxes[at + 2] = Math.max(boxes[at + 2] as number, x);
  boxes[at + 3] = Math.max(boxes[at + 3] as number, y);
}

/** Calls `visit` with each tile of the entries; its rows are read on demand. */
function forEachTile({ path, rows, from, to }: TilesOfBase, visit: (tileId: number, rowsOf: () => number[]) => void) {
  const tiles = new BaseTiles(path, rows);
  const view = featureView();
  const { entries } = tiles.archive;
  try {
    for (let entry = from; entry < to; entry++) {
      let read: number[] | undefined;
      const rowsOf = () => {
        read ??= readLayers(tiles.tile(entry)).flatMap((layer) =>
          Array.from({ length: layer.featureCount }, (_, f) => {
            layer.readFeature(f, view);
            if (view.id !== undefined && view.id < rows) return view.id;
            throw new PipelineError("input", "Feature id is not a row number", { path, received: view.id ?? "none" });
          }),
        );
        return read;
      };
      for (let run = 0; run < entries.runLength(entry); run++) visit(entries.tileId(entry) + run, rowsOf);
    }
  } finally {
    tiles.close();
  }
}

function placeOf(along: number, z: number): number {
  return Math.floor(along * 4 ** (PLACE_BITS / 2 - z));
}

function atomicMin(values: Uint32Array | Uint8Array, at: number, value: number): void {
  let before = Atomics.load(values, at);
  while (value < before) {
    const found = Atomics.compareExchange(values, at, before, value);
    if (found === before) return;
    before = found;
  }
}
