import { float64s, uint32s } from "../../dist/fields/growing-array.js";
import type { Pixels } from "../../dist/kernel/raster.js";
import type { AnswerArrays, PartialCounts } from "../../dist/kernel/zonal.js";

/** One chunk's share of the zone index, and where the chunk lies in the window; see native/zonal/count.h. */
export interface Segment {
  readonly field: Uint32Array;
  readonly shape: Uint32Array;
  readonly run: Uint32Array;
  readonly row: number;
  readonly col: number;
}

/** Counts segments, one after the other. */
export class Counter {
  readonly #partial = new PartialList();
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
    private readonly answers: AnswerArrays | null,
    private readonly mask: Uint8Array | undefined,
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
      const field = segment.field[entry] as number;
      if (parts === 1 && this.answers !== null) {
        if (field >= this.answers.code.length) return false;
        for (const code of this.#skip) this.#histogram.delete(code);
        answer(this.answers, field, this.#histogram, this.#covered);
      } else {
        this.#keep(field, parts);
      }
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
      if (Number.isNaN(code) || this.mask?.[i] === 0) continue;
      this.#histogram.set(code, (this.#histogram.get(code) ?? 0) + 1);
    }
    return true;
  }

  /** The histogram of a field that is not answered here, classes ascending. */
  #keep(field: number, parts: number): void {
    const histogram = [...this.#histogram].filter(([code]) => !this.#skip.has(code)).sort(([a], [b]) => a - b);
    this.#partial.add(field, parts, this.#covered, histogram);
  }

  counted(): PartialCounts {
    return this.#partial.take();
  }
}

/** Histograms of fields that chunks share, one after the other. */
export class PartialList {
  readonly #field = uint32s();
  readonly #parts = uint32s();
  readonly #covered = uint32s();
  readonly #end = uint32s();
  readonly #code = float64s();
  readonly #pixels = uint32s();

  add(field: number, parts: number, covered: number, histogram: Iterable<readonly [number, number]>): void {
    for (const [code, pixels] of histogram) {
      this.#code.push(code);
      this.#pixels.push(pixels);
    }
    this.#field.push(field);
    this.#parts.push(parts);
    this.#covered.push(covered);
    this.#end.push(this.#code.length);
  }

  take(): PartialCounts {
    return {
      field: this.#field.take(),
      parts: this.#parts.take(),
      covered: this.#covered.take(),
      end: this.#end.take(),
      code: this.#code.take(),
      pixels: this.#pixels.take(),
    };
  }
}

/** The majority of a field: most pixels, a tie to the lowest class. */
export function answer(
  answers: AnswerArrays,
  row: number,
  histogram: ReadonlyMap<number, number>,
  covered: number,
): void {
  let [code, second, n, m, valid] = [0, 0, 0, 0, 0];
  for (const [c, count] of histogram) {
    valid += count;
    if (count > n || (count === n && c < code)) {
      [second, m] = [code, n];
      [code, n] = [c, count];
    } else if (count > m || (count === m && c < second)) {
      [second, m] = [c, count];
    }
  }
  answers.code[row] = code;
  answers.second[row] = second;
  answers.pixels[row] = n;
  answers.secondPixels[row] = m;
  answers.valid[row] = valid;
  answers.covered[row] = covered;
}

/** Histograms added up by field; see the kernel's merge. */
export function mergePartial(lists: readonly PartialCounts[], answers: AnswerArrays, last: boolean): PartialCounts {
  const open = new PartialList();
  const fields = new Map<number, { parts: number; covered: number; pairs: (readonly [number, number])[] }[]>();
  for (const { field, parts, covered, end, code, pixels } of lists) {
    field.forEach((row, i) => {
      if (row >= answers.code.length) throw new TypeError("lists: a field is beyond the answers");
      const pairs: (readonly [number, number])[] = [];
      for (let k = i === 0 ? 0 : (end[i - 1] as number); k < (end[i] as number); k++) {
        pairs.push([code[k] as number, pixels[k] as number]);
      }
      const part = { parts: parts[i] as number, covered: covered[i] as number, pairs };
      const known = fields.get(row);
      if (known) known.push(part);
      else fields.set(row, [part]);
    });
  }
  for (const [row, found] of [...fields].sort(([a], [b]) => a - b)) {
    if (!last && found.length < (found[0]?.parts as number)) {
      for (const { parts, covered, pairs } of found) open.add(row, parts, covered, pairs);
      continue;
    }
    const histogram = new Map<number, number>();
    for (const [code, count] of found.flatMap(({ pairs }) => pairs)) {
      histogram.set(code, (histogram.get(code) ?? 0) + count);
    }
    const covered = found.reduce((sum, part) => sum + part.covered, 0);
    answer(answers, row, histogram, covered);
  }
  return open.take();
}
