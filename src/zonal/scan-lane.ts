import type { MessagePort } from "node:worker_threads";
import type { Kernel } from "../kernel/native.js";
import { nativeKernel } from "../kernel/native.js";
import type { Pixels, TiffBand } from "../kernel/raster.js";
import type { AnswerArrays, PartialCounts } from "../kernel/zonal.js";
import { asPipelineError, type ErrorKind, type PipelineError, type Where } from "../pipeline/errors.js";
import { windowText } from "../raster/grid.js";
import { type BandType, maskArray, PIXEL_ARRAYS, pixelArray } from "../raster/pixels.js";
import { type PlacedSegment, type RowRange, SegmentReader } from "../zones/zone-reader.js";
import { Decider, type Decision } from "./decider.js";
import { NO_SLOT, type ScanQueue, takeItem } from "./scan-queue.js";
import { pairPixels, type ValueBand, valueWindow } from "./value-raster.js";

/** The workers' view of one raster. */
export interface LaneTarget {
  readonly type: BandType;
  /** The band whose blocks the workers decode; undefined if GDAL does, in the main thread. */
  readonly band: TiffBand | undefined;
  /** Whether a window's mask follows its pixels. */
  readonly masked: boolean;
  /** The raster whose values are in the slot with the classes, to be counted as pairs. */
  readonly values: ValueBand | null;
  readonly skip: Float64Array;
  readonly clip: boolean;
  /** In shared memory; null if every field's histogram is needed, not only its majority. */
  readonly answers: AnswerArrays | null;
  /** How the worker decides fields in a single chunk if the kernel does not; null: the main thread decides. */
  readonly decision: Decision | null;
  /** Shared; weights of the raster's rows, if pixels are weighted. */
  readonly rowWeights: Float64Array | undefined;
}

/** A window of one raster. */
export interface LaneWindow {
  readonly target: number;
  readonly col: number;
  readonly row: number;
  readonly width: number;
  readonly height: number;
  readonly segments: readonly PlacedSegment[];
}

const WINDOW_NUMBERS = 6;
const SEGMENT_NUMBERS = 7;

/** All windows of a scan as numbers in shared memory, because copying objects to many workers takes long. */
export interface LaneWindows {
  readonly windows: Float64Array;
  readonly segments: Float64Array;
}

export function packWindows(all: readonly LaneWindow[]): LaneWindows {
  const count = all.reduce((sum, { segments }) => sum + segments.length, 0);
  const windows = new Float64Array(new SharedArrayBuffer(8 * WINDOW_NUMBERS * all.length));
  const segments = new Float64Array(new SharedArrayBuffer(8 * SEGMENT_NUMBERS * count));
  let end = 0;
  all.forEach(({ target, col, row, width, height, segments: own }, i) => {
    for (const segment of own) {
      const { chunk, offset, entries, runs, crc } = segment;
      segments.set([chunk, segment.row, segment.col, offset, entries, runs, crc], SEGMENT_NUMBERS * end++);
    }
    windows.set([target, col, row, width, height, end], WINDOW_NUMBERS * i);
  });
  return { windows, segments };
}

function unpackWindow({ windows, segments }: LaneWindows, item: number): LaneWindow {
  const at = WINDOW_NUMBERS * item;
  const [target, col, row, width, height, end] = windows.subarray(at, at + WINDOW_NUMBERS) as unknown as SixNumbers;
  const begin = item === 0 ? 0 : (windows[at - 1] as number);
  const own: PlacedSegment[] = [];
  for (let i = begin; i < end; i++) {
    const numbers = segments.subarray(SEGMENT_NUMBERS * i, SEGMENT_NUMBERS * (i + 1));
    const [chunk, chunkRow, chunkCol, offset, entries, runs, crc] = numbers as unknown as [...SixNumbers, number];
    own.push({ chunk, row: chunkRow, col: chunkCol, offset, entries, runs, crc });
  }
  return { target, col, row, width, height, segments: own };
}

type SixNumbers = [number, number, number, number, number, number];

export interface LaneTask {
  readonly queue: ScanQueue;
  readonly targets: readonly LaneTarget[];
  readonly windows: LaneWindows;
  /** Shared; each as large as the largest window that GDAL reads. */
  readonly slots: readonly SharedArrayBuffer[];
  readonly index: { readonly path: string; readonly fd: number; readonly rows: RowRange };
  /** Reports every finished window. */
  readonly port: MessagePort;
}

/** A counted window; its slot, if any, is free again. */
export interface LaneReport {
  readonly item: number;
  readonly slot: number;
  /** Histograms for the main thread to add up, if any. */
  readonly partial?: PartialCounts;
}

/** A worker's result. Errors lose everything but their message between threads, so this one is a value. */
export type LaneResult =
  | { readonly waiting: PartialCounts[][] }
  | {
      readonly error: PipelineError;
      readonly kind: ErrorKind;
      readonly sentence: string;
      readonly where: Where;
      readonly target: number;
      /** A block did not decode here; GDAL may decode it. */
      readonly undecoded: boolean;
    };

/** Histograms of shared fields are merged when there are this many. */
const MERGE_ENTRIES = 16_384;
/** Pairs whose class does not count are already masked. */
const NO_CLASSES = new Float64Array(0);

/** A worker's part of a scan: take windows until there are no more. */
export async function runLane(task: LaneTask): Promise<LaneResult> {
  const { queue, windows, index, port } = task;
  const lane = new Lane(task, nativeKernel(), new SegmentReader(index.path, index.fd, index.rows));
  try {
    for (let next = takeItem(queue); next !== undefined; next = takeItem(queue)) {
      const window = unpackWindow(windows, next.item);
      try {
        port.postMessage({ ...next, ...lane.count(window, next.slot) } satisfies LaneReport);
      } catch (cause) {
        const at = { window: windowText(window), chunks: window.segments.length };
        const error = asPipelineError(cause, "failed", "Window cannot be counted", at);
        const { kind, sentence, where } = error;
        const undecoded = (cause as { code?: string }).code === "BLOCK";
        return { error, kind, sentence, where, target: window.target, undecoded };
      }
    }
  } finally {
    port.close();
  }
  return { waiting: lane.waiting };
}

class Lane {
  /** Histograms by raster that wait for other parts. */
  readonly waiting: PartialCounts[][];
  readonly #mergeAt: number[];
  readonly #deciders: readonly (Decider | undefined)[];
  /** Buffer for windows that are decoded here. */
  #own = new ArrayBuffer(0);

  constructor(
    private readonly task: LaneTask,
    private readonly kernel: Kernel,
    private readonly reader: SegmentReader,
  ) {
    this.waiting = task.targets.map(() => []);
    this.#mergeAt = task.targets.map(() => MERGE_ENTRIES);
    this.#deciders = task.targets.map(({ decision }) => decision && new Decider(decision)).map((d) => d ?? undefined);
  }

  /** @returns histograms for the main thread: those that other chunks share, or all if it needs them. */
  count(window: LaneWindow, slot: number): { partial?: PartialCounts } {
    const { target, row, width, height, segments } = window;
    const { skip, clip, answers, rowWeights, values } = this.task.targets[target] as LaneTarget;
    const { pixels, mask } = this.#counted(window, slot);
    const skipped = values === null ? skip : NO_CLASSES;
    const { words, layout } = this.reader.read(segments);
    const weights = rowWeights?.slice(row, row + height);
    const partial = weights
      ? this.kernel.countWeighted(pixels, width, words, layout, skipped, clip, weights, mask)
      : this.kernel.count(pixels, width, words, layout, skipped, clip, answers, mask);
    if (answers === null) return { partial: this.#deciders[target]?.decideWhole(partial) ?? partial };
    const held = this.waiting[target] as PartialCounts[];
    held.push(partial);
    if (entriesOf(held) >= (this.#mergeAt[target] as number)) {
      const open = this.kernel.merge(held, answers, false);
      this.waiting[target] = [open];
      // Entries with parts at other workers stay; avoid sorting them again and again.
      this.#mergeAt[target] = Math.max(MERGE_ENTRIES, 2 * open.field.length);
    }
    return {};
  }

  /** A window's pixels, or pairs, and their mask. */
  #counted(window: LaneWindow, slot: number): { pixels: Pixels; mask: Uint8Array | undefined } {
    const { type, masked, skip, values } = this.task.targets[window.target] as LaneTarget;
    const count = window.width * window.height;
    const buffer = this.task.slots[slot] as SharedArrayBuffer;
    if (values !== null) {
      const { pairs, mask } = pairPixels(valueWindow(values, buffer, count), values, masked, skip);
      return { pixels: pairs, mask };
    }
    return { pixels: this.#pixels(window, slot), mask: masked ? maskArray(type, buffer, count) : undefined };
  }

  #pixels(window: LaneWindow, slot: number): Pixels {
    const { type, band } = this.task.targets[window.target] as LaneTarget;
    const count = window.width * window.height;
    if (slot !== NO_SLOT) return pixelArray(type, this.task.slots[slot] as SharedArrayBuffer, count);
    const bytes = count * PIXEL_ARRAYS[type].BYTES_PER_ELEMENT;
    if (this.#own.byteLength < bytes) this.#own = new ArrayBuffer(bytes);
    const pixels = pixelArray(type, this.#own, count);
    nativeKernel().readBlocks(band as TiffBand, window, pixels);
    return pixels;
  }
}

function entriesOf(lists: readonly PartialCounts[]): number {
  return lists.reduce((sum, { field }) => sum + field.length, 0);
}
