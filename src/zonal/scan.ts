import type { KernelName } from "../config/options.js";
import type { Kernel } from "../kernel/kernel.js";
import { loadKernel } from "../kernel/load.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { windowText } from "../raster/grid.js";
import { pixelArray } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { type PlannedWindow, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { type AnswerRule, Answers } from "./answers.js";

/** Handles beyond libuv's four threads only wait for one another. */
const MAX_HANDLES = 4;
/** Windows in memory beyond those being counted: one is read while another waits for a worker. */
const AHEAD = 2;

/** A raster on the lattice of a zone index. */
export interface PlacedRaster {
  readonly raster: Raster;
  /** The raster's north-west corner on the index's grid, pixels. */
  readonly shift: { readonly col: number; readonly row: number };
  /** Classes that are not counted. */
  readonly skip: readonly number[];
  /** Weight of a whole pixel of each of the raster's rows; undefined where pixels are counted. */
  readonly rowWeights?: Float64Array | undefined;
}

/**
 * Count every field under one or several rasters in one scan, in the block order of the
 * files. Windows that hold no field are not read, and each part of the index is read once
 * for rasters that lie alike. Decoding the next windows overlaps counting the last.
 *
 * @returns answers in the order of the rasters.
 * @throws {PipelineError} input, naming file and window, when a block does not decode.
 */
export async function scanRasters(
  placed: readonly PlacedRaster[],
  zones: ZoneReader,
  rule: AnswerRule,
  kernelName: KernelName,
  pool: Pool,
  ctx: Context,
): Promise<Answers[]> {
  const kernel = await loadKernel(kernelName);
  const targets = placed.map((target) => new ScanTarget(target, zones, rule, kernel, pool));
  const groups = new Map<string, { windows: PlannedWindow[]; targets: ScanTarget[] }>();
  for (const target of targets) {
    const key = JSON.stringify(target.windows.map(({ window }) => window));
    const group = groups.get(key);
    if (group) group.targets.push(target);
    else groups.set(key, { windows: target.windows, targets: [target] });
  }
  const task = ctx.progress.start(
    "pixels counted",
    targets.reduce((sum, target) => sum + target.pixels, 0),
  );
  let done = 0;
  try {
    for (const { windows, targets: alike } of groups.values()) {
      await forEachBounded(windows, pool.threads + AHEAD, async (planned) => {
        ctx.signal.throwIfAborted();
        const words = await zones.read(planned.chunks);
        for (const target of alike) {
          await target.count(planned, words, kernelName);
          done += planned.window.width * planned.window.height;
          task.update(done);
        }
      });
    }
  } finally {
    task.end();
    for (const target of targets) target.close();
  }
  for (const target of targets) target.finish();
  return targets.map(({ answers }) => answers);
}

/** One raster of a scan: its windows with fields in them, its handles and buffers, its answers. */
class ScanTarget {
  readonly answers: Answers;
  readonly windows: PlannedWindow[];
  readonly pixels: number;
  /** Chunks that the raster's edge cuts have runs outside of it. */
  readonly #clip: boolean;
  readonly #reader: RasterReader;
  readonly #largest: number;
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #skip: Float64Array;
  readonly #rowWeights: Float64Array | undefined;

  constructor(
    { raster, shift, skip, rowWeights }: PlacedRaster,
    zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    private readonly pool: Pool,
  ) {
    const { grid, rows } = zones.header;
    this.raster = raster;
    this.#rowWeights = rowWeights;
    this.answers = new Answers(rows, raster.type, kernel, rule);
    this.windows = planWindows(raster, grid, shift)
      .map(({ window, chunks }) => ({ window, chunks: chunks.filter(({ chunk }) => zones.has(chunk)) }))
      .filter(({ chunks }) => chunks.length > 0);
    const sizes = this.windows.map(({ window }) => window.width * window.height);
    this.pixels = sizes.reduce((sum, size) => sum + size, 0);
    this.#largest = Math.max(0, ...sizes);
    this.#clip =
      shift.col !== 0 || shift.row !== 0 || raster.grid.width !== grid.width || raster.grid.height !== grid.height;
    this.#skip = Float64Array.from(skip);
    this.#reader = new RasterReader(raster, Math.min(pool.threads, MAX_HANDLES));
  }

  private readonly raster: Raster;

  async count(
    { window, chunks }: PlannedWindow,
    { words, wordCount, layout }: Awaited<ReturnType<ZoneReader["read"]>>,
    kernel: KernelName,
  ): Promise<void> {
    const { raster } = this;
    const { type } = raster;
    const pixels = this.#buffers.pop() ?? new SharedArrayBuffer(this.#largest * raster.bytesPerPixel);
    await this.#reader.read(window, pixelArray(type, pixels, this.#largest));
    try {
      const { width: stride, height } = window;
      const task = {
        kernel,
        type,
        pixels,
        stride,
        height,
        words,
        wordCount,
        layout,
        skip: this.#skip,
        clip: this.#clip,
        answers: this.answers.arrays,
        rowWeights: this.#rowWeights?.slice(window.row, window.row + height),
      };
      this.answers.add(await this.pool.run("countWindow", task));
    } catch (cause) {
      throw asPipelineError(cause, "failed", "Window cannot be counted", {
        path: raster.path,
        window: windowText(window),
        chunks: chunks.length,
      });
    }
    this.#buffers.push(pixels);
  }

  finish(): void {
    const left = this.answers.finish();
    if (left > 0 && !this.#clip) {
      throw new PipelineError("failed", "Fields were left without all their chunks", {
        path: this.raster.path,
        fields: left,
      });
    }
  }

  close(): void {
    this.#reader.close();
  }
}
