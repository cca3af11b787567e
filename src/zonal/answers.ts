import type { CompleteCounts, Counted, PartialCounts, Pixels } from "../kernel/kernel.js";
import { type BandType, PIXEL_ARRAYS } from "../raster/pixels.js";
import { type Counts, Histograms } from "./histograms.js";

/** How histograms become answers. */
export interface AnswerRule {
  /** Which class a tie goes to. */
  readonly ties: "lowest" | "highest";
  /** Whole histograms are kept. */
  readonly classes: boolean;
  /** What one unit of the kernel's weights stands for, pixels or hectares; undefined where pixels are counted. */
  readonly unit?: number | undefined;
}

/** As numpy's bincount().argmax() has it; the kernel itself decides by this rule. */
export const DEFAULT_RULE: AnswerRule = { ties: "lowest", classes: false };

/** Whether every field's histogram must come from the kernel, which decides by the default rule alone. */
export function needsHistograms({ ties, classes }: AnswerRule): boolean {
  return ties !== DEFAULT_RULE.ties || classes;
}

interface OpenField {
  left: number;
  readonly histogram: Map<number, number>;
}

/** Every field's majority, by row: parallel arrays, 18 bytes a field for a raster of bytes. */
export class Answers {
  /** Class; meaningless where `pixels` is 0. */
  readonly code: Pixels;
  readonly pixels: Counts;
  /** Pixels of any class that is counted. */
  readonly valid: Counts;
  /** Pixels of the raster under the field, whatever their class; units where they are weighted. */
  readonly covered: Counts;
  readonly second: Pixels;
  readonly secondPixels: Counts;
  /** Where they are kept. */
  readonly histograms: Histograms | undefined;
  /** Fields that chunks share and that not all chunks have reported yet. */
  readonly #open = new Map<number, OpenField>();

  constructor(
    readonly rows: number,
    readonly type: BandType,
    private readonly rule: AnswerRule = DEFAULT_RULE,
  ) {
    const countType = rule.unit === undefined ? Uint32Array : Float64Array;
    this.histograms = rule.classes ? new Histograms(rows, type, countType) : undefined;
    this.code = new PIXEL_ARRAYS[type](rows);
    this.second = new PIXEL_ARRAYS[type](rows);
    this.pixels = new countType(rows);
    this.valid = new countType(rows);
    this.covered = new countType(rows);
    this.secondPixels = new countType(rows);
  }

  /** Take in one window's counts; windows may come in any order. */
  add({ complete, partial }: Partial<Counted>): void {
    if (complete) this.#addComplete(complete);
    if (partial) this.#addPartial(partial);
  }

  /**
   * Decide the fields that still wait for chunks: chunks outside the raster never come.
   *
   * @returns how many there were.
   */
  finish(): number {
    for (const [row, { histogram }] of this.#open) this.#decideMerged(row, histogram);
    const left = this.#open.size;
    this.#open.clear();
    return left;
  }

  #addComplete(counts: CompleteCounts): void {
    const { field, code, pixels, valid, covered, second, secondPixels } = counts;
    for (let i = 0; i < field.length; i++) {
      const row = field[i] as number;
      this.code[row] = code[i] as number;
      this.pixels[row] = pixels[i] as number;
      this.valid[row] = valid[i] as number;
      this.covered[row] = covered[i] as number;
      this.second[row] = second[i] as number;
      this.secondPixels[row] = secondPixels[i] as number;
    }
  }

  #addPartial(counts: PartialCounts): void {
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

  /** Most pixels win; a tie goes to the lowest class, as in native/count.cc, or to the highest. Classes ascend. */
  #decide(row: number, codes: ArrayLike<number>, counts: ArrayLike<number>): void {
    const wins = this.rule.ties === "lowest" ? (a: number, b: number) => a > b : (a: number, b: number) => a >= b;
    let [code, n, second, m, valid] = [0, 0, 0, 0, 0];
    for (let i = 0; i < codes.length; i++) {
      const [c, count] = [codes[i] as number, counts[i] as number];
      valid += count;
      if (wins(count, n)) {
        [second, m] = [code, n];
        [code, n] = [c, count];
      } else if (wins(count, m)) {
        [second, m] = [c, count];
      }
    }
    this.code[row] = code;
    const { unit = 1 } = this.rule;
    this.pixels[row] = n * unit;
    this.valid[row] = valid * unit;
    this.second[row] = second;
    this.secondPixels[row] = m * unit;
    this.histograms?.set(row, codes, unit === 1 ? counts : Float64Array.from(counts, (count) => count * unit));
  }
}
