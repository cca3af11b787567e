import { MessageChannel } from "node:worker_threads";
import type { KernelName } from "../config/options.js";
import type { Kernel, PartialCounts } from "../kernel/kernel.js";
import { loadKernel } from "../kernel/load.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import { isWorkerDeath, type Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { pixelArray } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { type PlannedWindow, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { type AnswerRule, Answers } from "./answers.js";
import { type LaneReport, type LaneTask, type LaneWindow, packWindows } from "./scan-lane.js";
import { endQueue, newScanQueue, pushItem } from "./scan-queue.js";

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
 * files. Windows that hold no field are not read. Decoding the next windows overlaps
 * counting the last: this thread has windows decoded into shared memory, workers take
 * them from a queue there, read their part of the index and count.
 *
 * @returns answers in the order of the rasters.
 * @throws {PipelineError} input, naming file and window, when a block does not decode; failed, when a worker
 *   died twice.
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
  const scan = () => new Scan(placed, zones, rule, kernel, kernelName, pool, ctx).run();
  try {
    return await scan();
  } catch (error) {
    if (!isWorkerDeath(error)) throw error;
    // What the dead worker held is lost, and counting again gives the same.
    return await scan().catch((cause: unknown) => {
      if (!isWorkerDeath(cause)) throw cause;
      const path = placed.map(({ raster }) => raster.path).join(" ");
      throw new PipelineError("failed", "A worker died twice while counting", { path }, { cause });
    });
  }
}

/** A window of one of the rasters. */
interface Item extends PlannedWindow {
  readonly target: ScanTarget;
}

class Scan {
  readonly #targets: readonly ScanTarget[];
  readonly #items: readonly Item[];

  constructor(
    placed: readonly PlacedRaster[],
    private readonly zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    private readonly kernelName: KernelName,
    private readonly pool: Pool,
    private readonly ctx: Context,
  ) {
    this.#targets = placed.map((target) => new ScanTarget(target, zones, rule, kernel, pool.threads));
    // Of rasters that lie alike the same window is read one after the other, and its part of the index is at hand.
    this.#items = this.#targets
      .flatMap((target) => target.windows.map((planned) => ({ ...planned, target })))
      .map((item, i) => ({ item, i }))
      .sort((a, b) => a.item.order - b.item.order || a.i - b.i)
      .map(({ item }) => item);
  }

  async run(): Promise<Answers[]> {
    const items = this.#items;
    const pixels = items.map(({ window }) => window.width * window.height);
    const bytes = Math.max(0, ...items.map(({ target }, i) => (pixels[i] as number) * target.raster.bytesPerPixel));
    const workers = Math.min(this.pool.threads, items.length);
    const slots = Array.from({ length: workers + AHEAD }, () => new SharedArrayBuffer(bytes));
    const queue = newScanQueue(items.length);
    const freed = new Map<number, () => void>();
    const task = this.ctx.progress.start(
      "pixels counted",
      pixels.reduce((sum, count) => sum + count, 0),
    );
    let done = 0;
    const report = ({ item, slot, partial }: LaneReport) => {
      if (partial) this.#items[item]?.target.answers.add(partial);
      done += pixels[item] as number;
      task.update(done);
      freed.get(slot)?.();
    };
    const windows = packWindows(items.map((item) => this.#laneWindow(item)));
    const lanes = Array.from({ length: workers }, () => this.#startLane({ queue, slots, windows }, report));
    // A worker's error ends the reading too.
    const failure = Promise.all(lanes).then(() => new Promise<never>(() => {}));
    failure.catch(() => {});
    const free = slots.map((_, slot) => slot);
    try {
      await forEachBounded(items.keys(), slots.length, async (item) => {
        this.ctx.signal.throwIfAborted();
        const { target, window } = items[item] as Item;
        const slot = free.pop() as number;
        await target.read(window, slots[slot] as SharedArrayBuffer);
        const counted = new Promise<void>((resolve) => freed.set(slot, resolve));
        pushItem(queue, { item, slot });
        await Promise.race([counted, failure]);
        free.push(slot);
      });
    } finally {
      endQueue(queue);
      await Promise.allSettled(lanes);
      task.end();
      for (const target of this.#targets) target.close();
    }
    for (const partials of await Promise.all(lanes)) {
      partials.forEach((lists, i) => {
        for (const list of lists) this.#targets[i]?.answers.add(list);
      });
    }
    for (const target of this.#targets) target.finish();
    return this.#targets.map(({ answers }) => answers);
  }

  #laneWindow({ target, window, chunks }: Item): LaneWindow {
    return { target: this.#targets.indexOf(target), ...window, segments: this.zones.segmentsOf(chunks) };
  }

  async #startLane(
    { queue, slots, windows }: Pick<LaneTask, "queue" | "slots" | "windows">,
    report: (report: LaneReport) => void,
  ): Promise<PartialCounts[][]> {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", report);
    const targets = this.#targets.map(({ lane }) => lane);
    const task: LaneTask = {
      kernel: this.kernelName,
      queue,
      slots,
      targets,
      windows,
      index: { path: this.zones.path, fd: this.zones.fd },
      port: port2,
    };
    try {
      const result = await this.pool.run("scanLane", task, [port2]);
      if ("waiting" in result) return result.waiting;
      const { kind, sentence, where, error } = result;
      const path = this.#targets[result.target]?.raster.path;
      throw new PipelineError(kind, sentence, { path, ...where }, { cause: error.cause });
    } catch (cause) {
      if (isWorkerDeath(cause)) throw cause;
      throw asPipelineError(cause, "failed", "Windows cannot be counted", {
        path: this.#targets.map(({ raster }) => raster.path).join(" "),
        index: this.zones.path,
      });
    } finally {
      port1.close();
    }
  }
}

/** One raster of a scan: its windows with fields in them, its handles, its answers. */
class ScanTarget {
  readonly answers: Answers;
  readonly windows: readonly (PlannedWindow & { readonly order: number })[];
  readonly raster: Raster;
  readonly lane: LaneTask["targets"][number];
  readonly #reader: RasterReader;

  constructor(
    { raster, shift, skip, rowWeights }: PlacedRaster,
    zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    threads: number,
  ) {
    const { grid, rows } = zones.header;
    this.raster = raster;
    this.answers = new Answers(rows, raster.type, kernel, rule);
    this.windows = planWindows(raster, grid, shift)
      .map(({ window, chunks }, order) => ({ window, order, chunks: chunks.filter(({ chunk }) => zones.has(chunk)) }))
      .filter(({ chunks }) => chunks.length > 0);
    // Chunks that the raster's edge cuts have runs outside of it.
    const clip =
      shift.col !== 0 || shift.row !== 0 || raster.grid.width !== grid.width || raster.grid.height !== grid.height;
    const { type } = raster;
    const weights = rowWeights && new Float64Array(new SharedArrayBuffer(rowWeights.byteLength));
    weights?.set(rowWeights as Float64Array);
    this.lane = { type, skip: Float64Array.from(skip), clip, answers: this.answers.arrays, rowWeights: weights };
    this.#reader = new RasterReader(raster, Math.min(threads, MAX_HANDLES));
  }

  async read(window: PlannedWindow["window"], slot: SharedArrayBuffer): Promise<void> {
    await this.#reader.read(window, pixelArray(this.raster.type, slot, window.width * window.height));
  }

  finish(): void {
    const left = this.answers.finish();
    if (left > 0 && !this.lane.clip) {
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
