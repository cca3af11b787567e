import type { Counted, Pixels } from "../kernel.js";
import { float64s, uint32s } from "./growing-array.js";

/** One chunk's share of the zone index, and where the chunk lies in the window; see native/count.h. */
export interface Segment {
  readonly field: Uint32Array;
  readonly shape: Uint32Array;
  readonly run: Uint32Array;
  readonly row: number;
  readonly col: number;
}

/** Answers of all segments that were counted so far. */
export class Counter {
  readonly #complete = {
    field: uint32s(),
    code: float64s(),
    pixels: uint32s(),
    valid: uint32s(),
    covered: uint32s(),
    second: float64s(),
    secondPixels: uint32s(),
  };
  readonly #partial = {
    field: uint32s(),
    parts: uint32s(),
    covered: uint32s(),
    end: uint32s(),
    code: float64s(),
    pixels: uint32s(),
  };
  /** Pixels of the window under the field that is being counted. */
  #covered = 0;
  /** Pixels of each class of one field. */
  readonly #histogram = new Map<number, number>();
  readonly #skip: ReadonlySet<number>;

  constructor(
    private readonly pixels: Pixels,
    private readonly stride: number,
    skip: Float64Array,
    private readonly clip: boolean,
    private readonly histograms: boolean,
  ) {
    // A set has one zero, and finds NaN where == does not: NaN is never counted anyway.
    this.#skip = new Set(skip);
  }

  /** False when a run leaves the window or the segment's own lengths disagree. */
  countSegment(segment: Segment): boolean {
    let run = 0;
    for (let entry = 0; entry < segment.field.length; entry++) {
      const shape = segment.shape[entry] as number;
      const stop = run + (shape >>> 16);
      if (stop > segment.run.length) return false;
      for (; run < stop; run++) {
        if (!this.#countRun(segment, segment.run[run] as number)) return false;
      }
      const parts = shape & 0xffff;
      if (parts === 1 && !this.histograms) this.#finish(segment.field[entry] as number);
      else this.#keep(segment.field[entry] as number, parts);
      this.#histogram.clear();
      this.#covered = 0;
    }
    return run === segment.run.length;
  }

  #countRun(segment: Segment, packed: number): boolean {
    const { pixels, stride } = this;
    const row = segment.row + (packed >>> 22);
    let col = segment.col + ((packed >>> 11) & 2047);
    let end = col + (packed & 2047) + 1;
    if (row < 0 || (row + 1) * stride > pixels.length || col < 0 || end > stride) {
      if (!this.clip) return false;
      [col, end] = [Math.max(col, 0), Math.min(end, stride)];
      if (row < 0 || (row + 1) * stride > pixels.length || col >= end) return true;
    }
    this.#covered += end - col;
    for (let i = row * stride + col; i < row * stride + end; i++) {
      const code = pixels[i] as number;
      if (Number.isNaN(code)) continue;
      this.#histogram.set(code, (this.#histogram.get(code) ?? 0) + 1);
    }
    return true;
  }

  /** The majority of a field that lies wholly in this chunk: most pixels, a tie to the lowest class. */
  #finish(field: number): void {
    let [code, second, n, m, valid] = [Number.NaN, Number.NaN, 0, 0, 0];
    for (const [c, count] of this.#histogram) {
      if (this.#skip.has(c)) continue;
      valid += count;
      if (count > n || (count === n && c < code)) {
        [second, m] = [code, n];
        [code, n] = [c, count];
      } else if (count > m || (count === m && c < second)) {
        [second, m] = [c, count];
      }
    }
    const complete = this.#complete;
    complete.field.push(field);
    complete.code.push(code);
    complete.pixels.push(n);
    complete.valid.push(valid);
    complete.covered.push(this.#covered);
    complete.second.push(second);
    complete.secondPixels.push(m);
  }

  /** The histogram of a field that other chunks share in. */
  #keep(field: number, parts: number): void {
    const partial = this.#partial;
    for (const [code, count] of [...this.#histogram].sort(([a], [b]) => a - b)) {
      if (this.#skip.has(code)) continue;
      partial.code.push(code);
      partial.pixels.push(count);
    }
    partial.field.push(field);
    partial.parts.push(parts);
    partial.covered.push(this.#covered);
    partial.end.push(partial.code.length);
  }

  counted(): Counted {
    const { field, code, pixels, valid, covered, second, secondPixels } = this.#complete;
    const partial = this.#partial;
    return {
      complete: {
        field: field.take(),
        code: code.take(),
        pixels: pixels.take(),
        valid: valid.take(),
        covered: covered.take(),
        second: second.take(),
        secondPixels: secondPixels.take(),
      },
      partial: {
        field: partial.field.take(),
        parts: partial.parts.take(),
        covered: partial.covered.take(),
        end: partial.end.take(),
        code: partial.code.take(),
        pixels: partial.pixels.take(),
      },
    };
  }
}
