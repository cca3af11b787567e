import type { Pixels } from "../kernel/raster.js";
import type { PartialCounts } from "../kernel/zonal.js";
import type { Counts } from "./histograms.js";
import { type Histogram, parseStatistics, type Statistic } from "./statistics.js";
import { splitPairs, type ValueBand } from "./value-raster.js";

/** How histograms become answers, and the arrays for the answers, by row, in shared memory. Can be sent to workers. */
export interface Decision {
  /** The class that wins a tie. */
  readonly ties: "lowest" | "highest";
  /** Pixels, or hectares, per unit of the counts. */
  readonly unit: number;
  readonly arrays: {
    readonly code: Pixels;
    readonly pixels: Counts;
    readonly valid: Counts;
    readonly covered: Counts;
    readonly second: Pixels;
    readonly secondPixels: Counts;
  };
  /** If set, histograms count pairs of a class and a value of this raster; if null, classes. */
  readonly band: ValueBand | null;
  /** Names of statistics, as in `--stats`, and their values; NaN if there is none. */
  readonly stats: readonly { readonly name: string; readonly values: Float64Array }[];
}

/** Decides fields by rules that the kernel does not implement. Workers and the main thread each decide their own fields. */
export class Decider {
  readonly #statistics: readonly (Pick<Statistic, "of" | "over"> & { readonly values: Float64Array })[];
  readonly #wins: (a: number, b: number) => boolean;

  constructor(private readonly decision: Decision) {
    const { stats, ties } = decision;
    const names = stats.map(({ name }) => name);
    const parsed = names.length === 0 ? [] : parseStatistics(names.join(","));
    this.#statistics = parsed.map(({ of, over }, i) => ({
      of,
      over,
      values: (stats[i] as Decision["stats"][number]).values,
    }));
    this.#wins = ties === "lowest" ? (a, b) => a > b : (a, b) => a >= b;
  }

  /**
   * Most pixels win; ties go to the lowest class, as in native/zonal/count.cc, or to the highest. Classes ascend.
   *
   * @returns the histogram of classes.
   */
  decide(row: number, ascending: ArrayLike<number>, amounts: ArrayLike<number>): Histogram {
    const { arrays, unit, band } = this.decision;
    const split = band === null ? undefined : splitPairs(ascending, amounts, band);
    const { code: codes, count: counts } = split?.classes ?? { code: ascending, count: amounts };
    let [code, n, second, m, valid] = [0, 0, 0, 0, 0];
    for (let i = 0; i < codes.length; i++) {
      const [c, count] = [codes[i] as number, counts[i] as number];
      valid += count;
      if (this.#wins(count, n)) {
        [second, m] = [code, n];
        [code, n] = [c, count];
      } else if (this.#wins(count, m)) {
        [second, m] = [c, count];
      }
    }
    arrays.code[row] = code;
    arrays.pixels[row] = n * unit;
    arrays.valid[row] = valid * unit;
    arrays.second[row] = second;
    arrays.secondPixels[row] = m * unit;
    const histograms = {
      classes: { code: codes, count: counts },
      values: split?.values,
      cropValues: split?.under(code),
    };
    const scaled = ({ code: of, count }: Histogram): Histogram =>
      unit === 1 ? { code: of, count } : { code: of, count: Float64Array.from(count, (n) => n * unit) };
    for (const { of, over, values } of this.#statistics) {
      const histogram = histograms[over];
      values[row] = (histogram && of(scaled(histogram))) ?? Number.NaN;
    }
    return histograms.classes;
  }

  /**
   * Decide the fields with complete histograms.
   *
   * @returns the incomplete histograms: their fields are also in other chunks.
   */
  decideWhole(counts: PartialCounts): PartialCounts {
    const { covered } = this.decision.arrays;
    const open: number[] = [];
    let begin = 0;
    for (let i = 0; i < counts.field.length; i++) {
      const [row, end] = [counts.field[i] as number, counts.end[i] as number];
      if (counts.parts[i] === 1) {
        covered[row] = counts.covered[i] as number;
        this.decide(row, counts.code.subarray(begin, end), counts.pixels.subarray(begin, end));
      } else open.push(i);
      begin = end;
    }
    return open.length === counts.field.length ? counts : entriesOf(counts, open);
  }
}

/** A selection of the histograms, by index. */
function entriesOf(counts: PartialCounts, places: readonly number[]): PartialCounts {
  const ranges = places.map((i) => [i === 0 ? 0 : (counts.end[i - 1] as number), counts.end[i] as number] as const);
  const pairs = ranges.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const array = <T extends Uint32Array | Float64Array>(like: T, length: number) =>
    new (like.constructor as new (n: number) => T)(length);
  const [covered, code, pixels] = [
    array(counts.covered, places.length),
    array(counts.code, pairs),
    array(counts.pixels, pairs),
  ];
  const end = new Uint32Array(places.length);
  let at = 0;
  ranges.forEach(([from, to], k) => {
    covered[k] = counts.covered[places[k] as number] as number;
    code.set(counts.code.subarray(from, to), at);
    pixels.set(counts.pixels.subarray(from, to) as never, at);
    at += to - from;
    end[k] = at;
  });
  const rows = (from: Uint32Array) => Uint32Array.from(places, (i) => from[i] as number);
  return { field: rows(counts.field), parts: rows(counts.parts), covered, end, code, pixels };
}
