import { closeSync } from "node:fs";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { KernelName } from "../config/options.js";
import type { Kernel, PartialCounts } from "../kernel/kernel.js";
import { loadKernel } from "../kernel/load.js";
import { nativeKernel } from "../kernel/native.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import { isWorkerDeath, type Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError, type Where } from "../pipeline/errors.js";
import { pixelArray } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { openTiffBand } from "../raster/tiff-band.js";
import { type PlannedWindow, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { type AnswerRule, Answers } from "./answers.js";
import { type LaneReport, type LaneTask, type LaneWindow, packWindows } from "./scan-lane.js";
import { cancelQueue, endQueue, NO_SLOT, newScanQueue, pushItem } from "./scan-queue.js";

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
 * files. Windows that hold no field are not read. Workers take windows from a queue in
 * shared memory, decode them, read their part of the index and count. What only GDAL reads
 * this thread has decoded into shared memory, the next windows while the last are counted.
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
  let direct = kernelName === "native";
  let died = false;
  for (;;) {
    try {
      return await new Scan(placed, zones, rule, kernel, kernelName, direct, pool, ctx).run();
    } catch (error) {
      if (error instanceof UndecodedBlock) {
        // GDAL has the last word: it reads what writers of all kinds have made, or names what is wrong.
        ctx.log.warn("A block is not as its file's header has it, so GDAL reads the raster", error.where);
        direct = false;
        continue;
      }
      if (!isWorkerDeath(error)) throw error;
      if (died) {
        const path = placed.map(({ raster }) => raster.path).join(" ");
        throw new PipelineError("failed", "A worker died twice while counting", { path }, { cause: error });
      }
      // What the dead worker held is lost, and counting again gives the same.
      died = true;
    }
  }
}

class UndecodedBlock extends Error {
  constructor(readonly where: Where) {
    super("a block does not decode");
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
    direct: boolean,
    private readonly pool: Pool,
    private readonly ctx: Context,
  ) {
    this.#targets = placed.map((target) => new ScanTarget(target, zones, rule, kernel, direct, pool.threads));
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
    const decoded = [...items.keys()].filter((item) => !items[item]?.target.direct);
    const bytes = decoded.map((item) => (pixels[item] as number) * (items[item] as Item).target.raster.bytesPerPixel);
    const workers = Math.min(this.pool.threads, items.length);
    const slots = Array.from(
      { length: Math.min(workers + AHEAD, decoded.length) },
      () => new SharedArrayBuffer(Math.max(...bytes)),
    );
    const queue = newScanQueue(items.length);
    const freed = new Map<number, () => void>();
    const task = this.ctx.progress.start(
      "pixels counted",
      pixels.reduce((sum, count) => sum + count, 0),
    );
    let [done, left] = [0, items.length];
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const report = ({ item, slot, partial }: LaneReport) => {
      if (partial) this.#items[item]?.target.answers.add(partial);
      done += pixels[item] as number;
      task.update(done);
      freed.get(slot)?.();
      if (--left === 0) finish();
    };
    if (left === 0) finish();
    for (const [item, { target }] of items.entries()) if (target.direct) pushItem(queue, { item, slot: NO_SLOT });
    const windows = packWindows(items.map((item) => this.#laneWindow(item)));
    const lanes = Array.from({ length: workers }, () => this.#startLane({ queue, slots, windows }, report));
    // The first error, or an abort, ends the others' work, and the reading too.
    const results = Promise.all(lanes.map(({ result }) => result));
    const { signal } = this.ctx;
    let abort = () => {};
    const stopped = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort);
      results.catch(reject);
      if (signal.aborted) abort();
    });
    stopped.catch(() => cancelQueue(queue));
    const free = [...slots.keys()];
    try {
      await forEachBounded(decoded, slots.length, async (item) => {
        signal.throwIfAborted();
        const { target, window } = items[item] as Item;
        const slot = free.pop() as number;
        await target.read(window, slots[slot] as SharedArrayBuffer);
        const counted = new Promise<void>((resolve) => freed.set(slot, resolve));
        pushItem(queue, { item, slot });
        await Promise.race([counted, stopped]);
        free.push(slot);
      });
      endQueue(queue);
      // A worker's last reports may come after its result.
      await Promise.race([finished, stopped]);
    } finally {
      cancelQueue(queue);
      await Promise.allSettled(lanes.map(({ result }) => result));
      for (const { port } of lanes) port.close();
      signal.removeEventListener("abort", abort);
      task.end();
      for (const target of this.#targets) target.close();
    }
    for (const partials of await results) {
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

  #startLane(shared: Pick<LaneTask, "queue" | "slots" | "windows">, report: (report: LaneReport) => void) {
    const { port1, port2 } = new MessageChannel();
    port1.on("message", report);
    return { port: port1, result: this.#runLane(shared, port2) };
  }

  async #runLane(
    { queue, slots, windows }: Pick<LaneTask, "queue" | "slots" | "windows">,
    port: MessagePort,
  ): Promise<PartialCounts[][]> {
    const targets = this.#targets.map(({ lane }) => lane);
    const task: LaneTask = {
      kernel: this.kernelName,
      queue,
      slots,
      targets,
      windows,
      index: { path: this.zones.path, fd: this.zones.fd },
      port,
    };
    try {
      const result = await this.pool.run("scanLane", task, [port]);
      if ("waiting" in result) return result.waiting;
      const { kind, sentence, where, error, undecoded } = result;
      const path = this.#targets[result.target]?.raster.path;
      if (undecoded)
        throw new UndecodedBlock({ path, ...where, received: (error.cause as Error | undefined)?.message });
      throw new PipelineError(kind, sentence, { path, ...where }, { cause: error.cause });
    } catch (cause) {
      if (isWorkerDeath(cause) || cause instanceof UndecodedBlock) throw cause;
      throw asPipelineError(cause, "failed", "Windows cannot be counted", {
        path: this.#targets.map(({ raster }) => raster.path).join(" "),
        index: this.zones.path,
      });
    }
  }
}

/** One raster of a scan: its windows with fields in them, its handles, its answers. */
class ScanTarget {
  readonly answers: Answers;
  readonly windows: readonly (PlannedWindow & { readonly order: number })[];
  readonly raster: Raster;
  readonly lane: LaneTask["targets"][number];
  /** Undefined where workers decode by themselves. */
  readonly #reader: RasterReader | undefined;

  constructor(
    { raster, shift, skip, rowWeights }: PlacedRaster,
    zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    direct: boolean,
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
    const band = direct ? openTiffBand(raster, nativeKernel()) : undefined;
    this.lane = { type, band, skip: Float64Array.from(skip), clip, answers: this.answers.arrays, rowWeights: weights };
    if (band === undefined) this.#reader = new RasterReader(raster, Math.min(threads, MAX_HANDLES));
  }

  /** Whether workers decode the raster's blocks. */
  get direct(): boolean {
    return this.lane.band !== undefined;
  }

  async read(window: PlannedWindow["window"], slot: SharedArrayBuffer): Promise<void> {
    await this.#reader?.read(window, pixelArray(this.raster.type, slot, window.width * window.height));
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
    this.#reader?.close();
    if (this.lane.band !== undefined) closeSync(this.lane.band.fd);
  }
}
