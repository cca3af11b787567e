import { freemem } from "node:os";
import type { Kernel } from "../kernel/native.js";
import { nativeKernel } from "../kernel/native.js";
import { forEachBounded } from "../parallel/map-ordered.js";
import { isWorkerDeath, type Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import type { PlannedWindow } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import type { AnswerRule, Answers } from "./answers.js";
import { LaneTeam, UndecodedBlock } from "./lane-team.js";
import { type LaneReport, type LaneWindow, packWindows } from "./scan-lane.js";
import { endQueue, NO_SLOT, newScanQueue, pushItem } from "./scan-queue.js";
import { type PlacedRaster, ScanTarget } from "./scan-target.js";

/** Windows in memory in addition to those being counted: one is read while another waits for a worker. */
const AHEAD = 2;
/** Maximum share of the free memory for all windows. */
const MEMORY_SHARE = 0.5;

/**
 * Count every field under one or several rasters in one scan, in the block order of the
 * files. Windows without fields are not read. Workers take windows from a queue in
 * shared memory, decode them, read their part of the index and count. For rasters that only GDAL
 * reads, this thread lets GDAL decode windows into shared memory while earlier ones are counted.
 *
 * @returns answers in the order of the rasters.
 * @throws {PipelineError} input, naming file and window, if a block does not decode; failed, if a worker
 *   died twice.
 */
export async function scanRasters(
  placed: readonly PlacedRaster[],
  zones: ZoneReader,
  rule: AnswerRule,
  pool: Pool,
  ctx: Context,
): Promise<Answers[]> {
  const kernel = nativeKernel();
  // Rasters that GDAL reads.
  const undecoded = new Set<string>();
  let died = false;
  for (;;) {
    try {
      return await new Scan(placed, zones, rule, kernel, undecoded, pool, ctx).run();
    } catch (error) {
      if (error instanceof UndecodedBlock) {
        // Fall back to GDAL: it reads files of all writers, or reports what is wrong.
        ctx.log.warn("A block differs from the file header; reading the raster with GDAL", error.where);
        undecoded.add(error.path);
        continue;
      }
      if (!isWorkerDeath(error)) throw error;
      if (died) {
        const path = placed.map(({ raster }) => raster.path).join(" ");
        throw new PipelineError("failed", "A worker died twice while counting", { path }, { cause: error });
      }
      // The dead worker's results are lost; a second count gives the same answers.
      died = true;
    }
  }
}

/** A window of one of the rasters. */
interface Item extends PlannedWindow {
  readonly target: ScanTarget;
  readonly pixels: number;
}

class Scan {
  readonly #targets: ScanTarget[] = [];
  readonly #items: readonly Item[];

  constructor(
    placed: readonly PlacedRaster[],
    private readonly zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    undecoded: ReadonlySet<string>,
    private readonly pool: Pool,
    private readonly ctx: Context,
  ) {
    try {
      for (const one of placed) {
        const direct = !undecoded.has(one.raster.path);
        this.#targets.push(new ScanTarget(one, zones, rule, kernel, direct, pool.threads));
      }
    } catch (error) {
      this.#close();
      throw error;
    }
    // Rasters with the same grid read the same window one after the other, so its part of the index is cached.
    this.#items = this.#targets
      .flatMap((target) => target.windows.map((planned) => ({ ...planned, target })))
      .map((item, i) => ({ item: { ...item, pixels: item.window.width * item.window.height }, i }))
      .sort((a, b) => a.item.order - b.item.order || a.i - b.i)
      .map(({ item }) => item);
  }

  async run(): Promise<Answers[]> {
    try {
      await this.#count();
    } finally {
      this.#close();
    }
    for (const target of this.#targets) target.finish();
    return this.#targets.map(({ answers }) => answers);
  }

  #close(): void {
    for (const target of this.#targets) target.close();
  }

  async #count(): Promise<void> {
    const items = this.#items;
    // Windows for GDAL; all others are in the queue from the start.
    const read = [...items.keys()].filter((item) => !items[item]?.target.direct);
    const bytes = read.reduce((most, item) => Math.max(most, bytesOf(items[item] as Item)), 0);
    const workers = Math.min(this.pool.threads, items.length, workersInMemory(items));
    const slots = Array.from({ length: Math.min(workers + AHEAD, read.length) }, () => new SharedArrayBuffer(bytes));
    const queue = newScanQueue(items.length);
    for (const [item, { target }] of items.entries()) if (target.direct) pushItem(queue, { item, slot: NO_SLOT });

    const reports = this.#reports();
    const task = {
      queue,
      slots,
      targets: this.#targets.map(({ lane }) => lane),
      windows: packWindows(items.map((item) => this.#laneWindow(item))),
      index: { path: this.zones.path, fd: this.zones.fd, rows: this.zones.rows },
    };
    const paths = this.#targets.map(({ raster }) => raster.path);
    const team = new LaneTeam(workers, task, paths, this.pool, this.ctx.signal, reports.take);
    const free = [...slots.keys()];
    try {
      await forEachBounded(read, slots.length, async (item) => {
        const { target, window } = items[item] as Item;
        const slot = free.pop() as number;
        await target.read(window, slots[slot] as SharedArrayBuffer);
        const counted = reports.of(item);
        pushItem(queue, { item, slot });
        await Promise.race([counted, team.stopped]);
        free.push(slot);
      });
      endQueue(queue);
      // A worker's last reports may arrive after its result.
      await Promise.race([reports.all, team.stopped]);
      for (const partials of await team.results) {
        partials.forEach((lists, i) => {
          for (const list of lists) this.#targets[i]?.answers.add(list);
        });
      }
    } finally {
      await team.close();
      reports.end();
    }
  }

  #laneWindow({ target, window, chunks }: Item): LaneWindow {
    return { target: this.#targets.indexOf(target), ...window, segments: this.zones.segmentsOf(chunks) };
  }

  /** Collects the workers' reports and lets callers wait for them. */
  #reports() {
    const items = this.#items;
    const total = items.reduce((sum, { pixels }) => sum + pixels, 0);
    const progress = this.ctx.progress.start("pixels counted", total);
    const waiting = new Map<number, () => void>();
    let [left, done] = [items.length, 0];
    let finish = () => {};
    const all = new Promise<void>((resolve) => {
      finish = resolve;
    });
    if (left === 0) finish();
    return {
      all,
      of: (item: number) => new Promise<void>((resolve) => waiting.set(item, resolve)),
      take: ({ item, partial }: LaneReport) => {
        const { target, pixels } = items[item] as Item;
        if (partial) target.answers.add(partial);
        done += pixels;
        progress.update(done);
        waiting.get(item)?.();
        waiting.delete(item);
        if (--left === 0) finish();
      },
      end: () => progress.end(),
    };
  }
}

/** Each worker holds a window, which is 512 full rows for a wide raster in strips. */
function workersInMemory(items: readonly Item[]): number {
  const largest = items.reduce((most, item) => Math.max(most, bytesOf(item)), 1);
  return Math.max(1, Math.floor((MEMORY_SHARE * freemem()) / largest));
}

function bytesOf({ pixels, target }: Item): number {
  return target.bytesOf(pixels);
}
