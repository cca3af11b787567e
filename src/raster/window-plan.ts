import type { Window } from "../kernel/raster.js";
import { CHUNK_COLS, CHUNK_ROWS } from "../kernel/zonal.js";
import type { Grid } from "./grid.js";
import type { Raster } from "./raster.js";

/**
 * Target for the pixels of a window, if the file's blocks allow it: a chunk of bytes, which stays in the processor's cache.
 * Smaller windows cost the main thread more calls than the cache saves; larger ones only take memory.
 */
const WINDOW_BYTES = 2 ** 20;

/** A chunk of the zone index, and its corner in a window; negative if the window begins inside it. */
export interface ChunkPlace {
  readonly chunk: number;
  readonly row: number;
  readonly col: number;
}

export interface PlannedWindow {
  /** In the raster's pixels. */
  readonly window: Window;
  readonly chunks: readonly ChunkPlace[];
}

/**
 * Windows that cover the raster in the file's block order, each over whole chunks
 * of the zone index.
 *
 * Strips (blocks as wide as the raster) give full-width windows, because otherwise every strip
 * would be decoded once per column of windows; tiles give windows of whole tiles.
 * A block is decoded once, unless a chunk edge cuts it.
 *
 * @param index  the zone index's grid.
 * @param shift  the raster's northwest corner on it, pixels.
 */
export function planWindows(
  raster: Pick<Raster, "grid" | "block" | "bytesPerPixel">,
  index: Pick<Grid, "width" | "height">,
  shift: { readonly col: number; readonly row: number },
): PlannedWindow[] {
  const { width, height } = raster.grid;
  const rows = CHUNK_ROWS * Math.max(1, Math.ceil(raster.block.height / CHUNK_ROWS));
  const step = leastCommonMultiple(raster.block.width, CHUNK_COLS);
  const fit = Math.floor(WINDOW_BYTES / (rows * raster.bytesPerPixel) / step) * step;
  const whole = raster.block.width >= width || step >= width;
  const bands = {
    row: cut(shift.row, height, index.height, rows),
    col: cut(shift.col, width, index.width, whole ? Infinity : Math.max(step, fit)),
  };
  return bands.row.flatMap(([top, bottom]) =>
    bands.col.map(([left, right]) => ({
      window: { col: left - shift.col, row: top - shift.row, width: right - left, height: bottom - top },
      chunks: chunksOf(left, right, top, bottom, index.width),
    })),
  );
}

/** The common part of raster and index along one axis, cut at multiples of `step` of the index. */
function cut(shift: number, size: number, indexSize: number, step: number): [number, number][] {
  const [begin, end] = [Math.max(0, shift), Math.min(indexSize, shift + size)];
  const pieces: [number, number][] = [];
  for (let at = begin; at < end; ) {
    const next = step === Infinity ? end : Math.min(end, (Math.floor(at / step) + 1) * step);
    pieces.push([at, next]);
    at = next;
  }
  return pieces;
}

function chunksOf(left: number, right: number, top: number, bottom: number, gridWidth: number): ChunkPlace[] {
  const across = Math.ceil(gridWidth / CHUNK_COLS);
  const chunks: ChunkPlace[] = [];
  for (let row = Math.floor(top / CHUNK_ROWS); row * CHUNK_ROWS < bottom; row++) {
    for (let col = Math.floor(left / CHUNK_COLS); col * CHUNK_COLS < right; col++) {
      chunks.push({ chunk: row * across + col, row: row * CHUNK_ROWS - top, col: col * CHUNK_COLS - left });
    }
  }
  return chunks;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
