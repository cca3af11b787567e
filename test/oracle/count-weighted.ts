import { float64s, uint32s } from "../../dist/fields/growing-array.js";
import type { Pixels } from "../../dist/kernel/raster.js";
import { type PartialCounts, WEIGHTED_RUN } from "../../dist/kernel/zonal.js";
import type { Segment } from "./count.js";

/** Weights of all segments that were counted so far; see native/zonal/count_weighted.cc. */
export class WeightedCounter {
  readonly #field = uint32s();
  readonly #parts = uint32s();
  readonly #covered = float64s();
  readonly #end = uint32s();
  readonly #code = float64s();
  readonly #weight = float64s();
  readonly #histogram = new Map<number, number>();
  readonly #skip: ReadonlySet<number>;
  readonly #share = new Float32Array(1);
  readonly #shareBits = new Uint32Array(this.#share.buffer);
  /** Of the field that is being counted. */
  #fieldCovered = 0;

  constructor(
    private readonly pixels: Pixels,
    private readonly stride: number,
    skip: Float64Array,
    private readonly clip: boolean,
    private readonly rowWeights: Float64Array,
    private readonly mask: Uint8Array | undefined,
  ) {
    this.#skip = new Set(skip);
  }

  /** False when a run leaves the window or the segment's own lengths disagree. */
  countSegment(segment: Segment): boolean {
    const words = segment.run;
    let at = 0;
    for (let entry = 0; entry < segment.field.length; entry++) {
      const shape = segment.shape[entry] as number;
      const stop = at + (shape >>> 16);
      if (stop > words.length) return false;
      while (at < stop) {
        const run = words[at++] as number;
        const length = (run & 2047) + 1;
        const shares = run >= WEIGHTED_RUN ? words.subarray(at, at + length) : undefined;
        if (shares !== undefined) at += length;
        if (at > stop) return false;
        if (!this.#countRun(segment, run, length, shares)) return false;
      }
      this.#keep(segment.field[entry] as number, shape & 0xffff);
    }
    return at === words.length;
  }

  #countRun(segment: Segment, run: number, length: number, shares: Uint32Array | undefined): boolean {
    const { pixels, stride } = this;
    const row = segment.row + ((run >>> 22) & 511);
    const first = segment.col + ((run >>> 11) & 2047);
    let [col, end] = [first, first + length];
    if (row < 0 || row >= this.rowWeights.length || col < 0 || end > stride) {
      if (!this.clip) return false;
      [col, end] = [Math.max(col, 0), Math.min(end, stride)];
      if (row < 0 || row >= this.rowWeights.length || col >= end) return true;
    }
    for (; col < end; col++) {
      let share = 1;
      if (shares !== undefined) {
        this.#shareBits[0] = shares[col - first] as number;
        share = this.#share[0] as number;
      }
      const weight = Math.floor(share * (this.rowWeights[row] as number) + 0.5);
      if (!(weight > 0)) continue;
      this.#fieldCovered += weight;
      const code = pixels[row * stride + col] as number;
      if (this.mask?.[row * stride + col] === 0) continue;
      if (!Number.isNaN(code)) this.#histogram.set(code, (this.#histogram.get(code) ?? 0) + weight);
    }
    return true;
  }

  #keep(field: number, parts: number): void {
    for (const [code, weight] of [...this.#histogram].sort(([a], [b]) => a - b)) {
      if (this.#skip.has(code)) continue;
      this.#code.push(code);
      this.#weight.push(weight);
    }
    this.#field.push(field);
    this.#parts.push(parts);
    this.#covered.push(this.#fieldCovered);
    this.#end.push(this.#code.length);
    this.#histogram.clear();
    this.#fieldCovered = 0;
  }

  counted(): PartialCounts {
    return {
      field: this.#field.take(),
      parts: this.#parts.take(),
      covered: this.#covered.take(),
      end: this.#end.take(),
      code: this.#code.take(),
      pixels: this.#weight.take(),
    };
  }
}
