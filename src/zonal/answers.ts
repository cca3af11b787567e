import type { CompleteCounts, Counted, PartialCounts, Pixels } from "../kernel/kernel.js";
import { type BandType, PIXEL_ARRAYS } from "../raster/pixels.js";

interface OpenField {
  left: number;
  readonly histogram: Map<number, number>;
}

/** Every field's majority, by row: parallel arrays, 18 bytes a field for a raster of bytes. */
export class Answers {
  /** Class; meaningless where `pixels` is 0. */
  readonly code: Pixels;
  readonly pixels: Uint32Array;
  /** Pixels of any class that is counted. */
  readonly valid: Uint32Array;
  /** Pixels of the raster under the field, whatever their class. */
  readonly covered: Uint32Array;
  readonly second: Pixels;
  readonly secondPixels: Uint32Array;
  /** Fields that chunks share and that not all chunks have reported yet. */
  readonly #open = new Map<number, OpenField>();

  constructor(
    readonly rows: number,
    readonly type: BandType,
  ) {
    this.code = new PIXEL_ARRAYS[type](rows);
    this.second = new PIXEL_ARRAYS[type](rows);
    this.pixels = new Uint32Array(rows);
    this.valid = new Uint32Array(rows);
    this.covered = new Uint32Array(rows);
    this.secondPixels = new Uint32Array(rows);
  }

  /** Take in one window's counts; windows may come in any order. */
  add(counted: Counted): void {
    this.#addComplete(counted.complete);
    this.#addPartial(counted.partial);
  }

  /**
   * Decide the fields that still wait for chunks: chunks outside the raster never come.
   *
   * @returns how many there were.
   */
  finish(): number {
    for (const [row, { histogram }] of this.#open) this.#decide(row, histogram);
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
      let open = this.#open.get(row);
      if (open === undefined) {
        open = { left: counts.parts[i] as number, histogram: new Map() };
        this.#open.set(row, open);
      }
      this.covered[row] = (this.covered[row] as number) + (counts.covered[i] as number);
      for (const end = counts.end[i] as number; pair < end; pair++) {
        const code = counts.code[pair] as number;
        open.histogram.set(code, (open.histogram.get(code) ?? 0) + (counts.pixels[pair] as number));
      }
      if (--open.left === 0) {
        this.#open.delete(row);
        this.#decide(row, open.histogram);
      }
    }
  }

  /** Most pixels win, a tie goes to the lowest class; the same rule as native/count.cc. */
  #decide(row: number, histogram: ReadonlyMap<number, number>): void {
    const ranked = [...histogram].sort(([a, n], [b, m]) => m - n || a - b);
    this.code[row] = ranked[0]?.[0] ?? 0;
    this.pixels[row] = ranked[0]?.[1] ?? 0;
    this.valid[row] = ranked.reduce((sum, [, n]) => sum + n, 0);
    this.second[row] = ranked[1]?.[0] ?? 0;
    this.secondPixels[row] = ranked[1]?.[1] ?? 0;
  }
}
