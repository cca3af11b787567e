import type { Kernel } from "../kernel/native.js";
import type { Pixels } from "../kernel/raster.js";
import type { AnswerArrays, PartialCounts } from "../kernel/zonal.js";
import { type BandType, PIXEL_ARRAYS } from "../raster/pixels.js";
import { Decider, type Decision } from "./decider.js";
import { type Counts, Histograms } from "./histograms.js";
import type { ValueBand } from "./value-raster.js";

/** The rule that turns histograms into answers. */
export interface AnswerRule {
  /** Which class a tie goes to. */
  readonly ties: "lowest" | "highest";
  /** Whether full histograms are kept. */
  readonly lists: boolean;
  /** Statistics of every field, by their names in `--stats`. */
  readonly stats: readonly { readonly name: string }[];
  /** Value of one unit of the kernel's weights, in pixels or hectares; undefined if pixels are counted. */
  readonly unit?: number | undefined;
}

/** The rule of numpy's bincount().argmax(), which the kernel implements. */
export const DEFAULT_RULE: AnswerRule = { ties: "lowest", lists: false, stats: [] };

/** Whether the kernel must return every field's histogram; it implements only the default rule. */
export function needsHistograms({ ties, lists, stats }: AnswerRule): boolean {
  return ties !== DEFAULT_RULE.ties || lists || stats.length > 0;
}

interface OpenField {
  left: number;
  readonly histogram: Map<number, number>;
}

/** Histograms of shared fields are added up when this many entries wait; a national raster has few at a time. */
const MERGE_ENTRIES = 65_536;

/** Every field's majority, by row: parallel arrays in shared memory, 18 bytes per field for a byte raster. */
export class Answers {
  /** Class; meaningless if `pixels` is 0. */
  readonly code: Pixels;
  readonly pixels: Counts;
  /** Pixels of any counted class. */
  readonly valid: Counts;
  /** Pixels of the raster under the field, of any class; units if weighted. */
  readonly covered: Counts;
  readonly second: Pixels;
  readonly secondPixels: Counts;
  /** Full histograms, if kept. */
  readonly histograms: Histograms | undefined;
  /** Float64 by row, NaN if there is none. */
  readonly stats: Decision["stats"];
  /** Arrays that the kernel fills in place; null if it returns histograms instead. */
  readonly arrays: AnswerArrays | null;
  /** How workers decide fields in a single chunk; null if the kernel does, or if histograms are kept. */
  readonly decision: Decision | null;
  readonly #decider: Decider;
  /** Shared fields that not all chunks have reported yet. */
  readonly #open = new Map<number, OpenField>();
  /** The same, in the kernel's format. */
  #waiting: PartialCounts[] = [];
  #mergeAt = MERGE_ENTRIES;

  constructor(
    readonly rows: number,
    readonly type: BandType,
    private readonly kernel: Pick<Kernel, "merge">,
    private readonly rule: AnswerRule = DEFAULT_RULE,
    band: ValueBand | null = null,
  ) {
    const countType = rule.unit === undefined ? Uint32Array : Float64Array;
    this.histograms = rule.lists ? new Histograms(rows, type, countType) : undefined;
    const pixelType = PIXEL_ARRAYS[type];
    const codes = () => new pixelType(new SharedArrayBuffer(rows * pixelType.BYTES_PER_ELEMENT) as never);
    const counts = () => new countType(new SharedArrayBuffer(rows * countType.BYTES_PER_ELEMENT) as never);
    [this.code, this.second] = [codes(), codes()];
    [this.pixels, this.valid, this.covered, this.secondPixels] = [counts(), counts(), counts(), counts()];
    const { code, second, pixels, valid, covered, secondPixels } = this;
    const inPlace = rule.unit === undefined && !needsHistograms(rule);
    const arrays = { code, second, pixels, valid, covered, secondPixels };
    this.arrays = inPlace ? (arrays as AnswerArrays) : null;
    this.stats = rule.stats.map(({ name }) => {
      return { name, values: new Float64Array(new SharedArrayBuffer(8 * rows)).fill(Number.NaN) };
    });
    const decision: Decision = { ties: rule.ties, unit: rule.unit ?? 1, arrays, band, stats: this.stats };
    this.decision = inPlace || rule.lists ? null : decision;
    this.#decider = new Decider(decision);
  }

  /** Add the histograms of one window; windows may come in any order. */
  add(counts: PartialCounts): void {
    if (this.arrays === null) {
      this.#addHistograms(counts);
      return;
    }
    this.#waiting.push(counts);
    if (this.#entries() < this.#mergeAt) return;
    this.#waiting = [this.kernel.merge(this.#waiting, this.arrays, false)];
    // Avoids sorting the pending entries again and again.
    this.#mergeAt = Math.max(MERGE_ENTRIES, 2 * this.#entries());
  }

  /**
   * Decide the fields that still wait for chunks: chunks outside the raster never come.
   *
   * @returns the number of their histograms.
   */
  finish(): number {
    if (this.arrays !== null) {
      const open = this.kernel.merge(this.#waiting, this.arrays, false);
      this.kernel.merge([open], this.arrays, true);
      this.#waiting = [];
      return open.field.length;
    }
    for (const [row, { histogram }] of this.#open) this.#decideMerged(row, histogram);
    const left = this.#open.size;
    this.#open.clear();
    return left;
  }

  #entries(): number {
    return this.#waiting.reduce((sum, { field }) => sum + field.length, 0);
  }

  #addHistograms(counts: PartialCounts): void {
    let pair = 0;
    for (let i = 0; i < counts.field.length; i++) {
      const row = counts.field[i] as number;
      const end = counts.end[i] as number;
      this.covered[row] = (this.covered[row] as number) + (counts.covered[i] as number);
      if (counts.parts[i] === 1) {
        this.#decide(row, counts.code.subarray(pair, end), counts.pixels.subarray(pair, end));
        pair = end;
        continue;
      }
      let open = this.#open.get(row);
      if (open === undefined) {
        open = { left: counts.parts[i] as number, histogram: new Map() };
        this.#open.set(row, open);
      }
      for (; pair < end; pair++) {
        const code = counts.code[pair] as number;
        open.histogram.set(code, (open.histogram.get(code) ?? 0) + (counts.pixels[pair] as number));
      }
      if (--open.left === 0) {
        this.#open.delete(row);
        this.#decideMerged(row, open.histogram);
      }
    }
  }

  #decideMerged(row: number, histogram: ReadonlyMap<number, number>): void {
    const pairs = [...histogram].sort(([a], [b]) => a - b);
    const codes = pairs.map(([code]) => code);
    const counts = pairs.map(([, count]) => count);
    this.#decide(row, codes, counts);
  }

  #decide(row: number, codes: ArrayLike<number>, counts: ArrayLike<number>): void {
    const { code, count } = this.#decider.decide(row, codes, counts);
    const { unit = 1 } = this.rule;
    this.histograms?.set(row, code, unit === 1 ? count : Float64Array.from(count, (n) => n * unit));
  }
}
