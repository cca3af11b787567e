import { CHUNK_COLS, CHUNK_ROWS } from "../kernel/kernel.js";
import type { Window } from "./grid.js";
import type { Raster } from "./raster.js";

/** Pixels of a window are held to this, unless one block row of chunks is larger. */
const WINDOW_BYTES = 16 * 2 ** 20;

/**
 * Windows that cover the raster, in the file's own block order, each a whole number
 * of chunks.
 *
 * Strips (blocks as wide as the raster) give full-width windows, or every strip
 * would be decoded once per column of windows; tiles give windows of whole tiles.
 * A block is decoded once, but for those that a chunk edge cuts.
 */
export function planWindows(raster: Pick<Raster, "grid" | "block" | "bytesPerPixel">): Window[] {
  const { width, height } = raster.grid;
  const rows = CHUNK_ROWS * Math.max(1, Math.ceil(raster.block.height / CHUNK_ROWS));
  const step = leastCommonMultiple(raster.block.width, CHUNK_COLS);
  const fit = Math.floor(WINDOW_BYTES / (rows * raster.bytesPerPixel) / step) * step;
  const cols = raster.block.width >= width || step >= width ? width : Math.max(step, fit);
  const windows: Window[] = [];
  for (let row = 0; row < height; row += rows) {
    for (let col = 0; col < width; col += cols) {
      windows.push({ col, row, width: Math.min(cols, width - col), height: Math.min(rows, height - row) });
    }
  }
  return windows;
}

/** Numbers of the chunks inside a window, row by row, and each one's corner in it. */
export function chunksOf(window: Window, gridWidth: number): { chunk: number; row: number; col: number }[] {
  const across = Math.ceil(gridWidth / CHUNK_COLS);
  const chunks = [];
  for (let row = 0; row < window.height; row += CHUNK_ROWS) {
    for (let col = 0; col < window.width; col += CHUNK_COLS) {
      const chunk = ((window.row + row) / CHUNK_ROWS) * across + (window.col + col) / CHUNK_COLS;
      chunks.push({ chunk, row, col });
    }
  }
  return chunks;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
