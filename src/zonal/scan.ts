import type { KernelName } from "../config/options.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { windowText } from "../raster/grid.js";
import { pixelArray } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { chunksOf, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { Answers } from "./answers.js";

/** Handles beyond libuv's four threads only wait for one another. */
const MAX_HANDLES = 4;
/** Windows in memory beyond those being counted: one is read while another waits for a worker. */
const AHEAD = 2;

/**
 * Count every field in one scan of the raster, in its own block order. Windows that
 * hold no field are not read. Decoding the next windows overlaps counting the last.
 *
 * @param skip  classes that are not counted.
 * @throws {PipelineError} input, naming file and window, when a block does not decode.
 */
export async function scanRaster(
  raster: Raster,
  zones: ZoneReader,
  skip: readonly number[],
  kernel: KernelName,
  pool: Pool,
  ctx: Context,
): Promise<Answers> {
  const answers = new Answers(zones.header.rows, raster.type);
  const windows = planWindows(raster)
    .map((window) => ({ window, chunks: chunksOf(window, raster.grid.width).filter(({ chunk }) => zones.has(chunk)) }))
    .filter(({ chunks }) => chunks.length > 0);
  if (windows.length === 0) return answers;
  const largest = Math.max(...windows.map(({ window }) => window.width * window.height));
  const buffers: SharedArrayBuffer[] = [];
  const reader = new RasterReader(raster, Math.min(pool.threads, MAX_HANDLES));
  const task = ctx.progress.start(
    "pixels counted",
    windows.reduce((sum, { window: w }) => sum + w.width * w.height, 0),
  );
  let done = 0;
  try {
    await forEachBounded(windows, pool.threads + AHEAD, async ({ window, chunks }) => {
      ctx.signal.throwIfAborted();
      const pixels = buffers.pop() ?? new SharedArrayBuffer(largest * raster.bytesPerPixel);
      const [{ words, wordCount, layout }] = await Promise.all([
        zones.read(chunks),
        reader.read(window, pixelArray(raster.type, pixels, largest)),
      ]);
      try {
        const { width: stride, height } = window;
        const argument = {
          kernel,
          type: raster.type,
          pixels,
          stride,
          height,
          words,
          wordCount,
          layout,
          skip: Float64Array.from(skip),
        };
        answers.add(await pool.run("countWindow", argument));
      } catch (cause) {
        throw asPipelineError(cause, "failed", "Window cannot be counted", {
          path: raster.path,
          window: windowText(window),
        });
      }
      buffers.push(pixels);
      done += window.width * window.height;
      task.update(done);
    });
  } finally {
    task.end();
    reader.close();
  }
  if (answers.unfinished > 0) {
    throw new PipelineError("failed", "Fields were left without all their chunks", {
      path: raster.path,
      fields: answers.unfinished,
    });
  }
  return answers;
}
