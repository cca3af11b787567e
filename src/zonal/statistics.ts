import { PipelineError } from "../pipeline/errors.js";

/** A field's histogram: classes ascending, and pixels or weights of each. */
export interface Histogram {
  readonly code: ArrayLike<number>;
  readonly count: ArrayLike<number>;
}

/** A column of `--stats`. */
export interface Statistic {
  readonly name: string;
  /** In pixels or weights; the others are values of the raster, or numbers without a unit. */
  readonly kind: "value" | "amount" | "number";
  /** Statistics of the classes or, with a second raster, of its values under the field or under the field's majority. */
  readonly over: "classes" | "values" | "cropValues";
  /** Null if nothing was counted. */
  readonly of: (histogram: Histogram) => number | null;
}

const NAMES = ["minority", "variety", "mean", "stdev", "variance", "min", "max", "sum", "median", "qNN", "count_CODE"];

/**
 * Parse `minority,variety,count_1,mean,q25`; `value_mean` and `crop_value_mean` refer to a second raster. Definitions are
 * exactextract's: `minority` is the class with the fewest pixels (ties: the lowest); `stdev` and `variance` are those of the
 * population; quantiles interpolate linearly between values, each at the middle of its weight.
 *
 * @throws {PipelineError} usage, naming an unknown or repeated statistic.
 */
export function parseStatistics(text: string): Statistic[] {
  const names = text.split(",").map((name) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new PipelineError("usage", "--stats names a statistic twice", { received: twice });
  return names.map((name) => {
    const [, prefix = "", rest = ""] = /^(value_|crop_value_)?(.*)$/.exec(name) as RegExpExecArray;
    const statistic = statisticOf(rest);
    if (statistic !== undefined) return { name, over: OVER[prefix] as Statistic["over"], ...statistic };
    throw new PipelineError("usage", "--stats names an unknown statistic", {
      expected: NAMES.join(" "),
      received: name,
    });
  });
}

const OVER: Readonly<Record<string, Statistic["over"]>> = {
  "": "classes",
  value_: "values",
  crop_value_: "cropValues",
};

function statisticOf(name: string): Omit<Statistic, "name" | "over"> | undefined {
  const plain = PLAIN[name];
  if (plain !== undefined) return { ...plain, of: (histogram) => (total(histogram) > 0 ? plain.of(histogram) : null) };
  const quantile = /^q(\d{1,2}(?:\.\d+)?|100)$/.exec(name)?.[1];
  if (quantile !== undefined) {
    const share = Number(quantile) / 100;
    return { kind: "value", of: (histogram) => quantileOf(histogram, share) };
  }
  const code = /^count_(-?\d+(?:\.\d+)?)$/.exec(name)?.[1];
  return code === undefined ? undefined : { kind: "amount", of: (histogram) => countOf(histogram, Number(code)) };
}

const PLAIN: Readonly<
  Record<string, { readonly kind: Statistic["kind"]; readonly of: (histogram: Histogram) => number }>
> = {
  minority: { kind: "value", of: minority },
  variety: { kind: "number", of: ({ code }) => code.length },
  mean: { kind: "value", of: mean },
  stdev: { kind: "number", of: (histogram) => Math.sqrt(variance(histogram)) },
  variance: { kind: "number", of: variance },
  min: { kind: "value", of: ({ code }) => code[0] as number },
  max: { kind: "value", of: ({ code }) => code[code.length - 1] as number },
  sum: { kind: "number", of: weightedSum },
  median: { kind: "value", of: (histogram) => quantileOf(histogram, 0.5) as number },
};

function total({ count }: Histogram): number {
  let sum = 0;
  for (let i = 0; i < count.length; i++) sum += count[i] as number;
  return sum;
}

function weightedSum({ code, count }: Histogram): number {
  let sum = 0;
  for (let i = 0; i < code.length; i++) sum += (code[i] as number) * (count[i] as number);
  return sum;
}

function mean(histogram: Histogram): number {
  return weightedSum(histogram) / total(histogram);
}

/** Population variance; computed around the mean to avoid cancellation. */
function variance(histogram: Histogram): number {
  const { code, count } = histogram;
  const middle = mean(histogram);
  let sum = 0;
  for (let i = 0; i < code.length; i++) sum += ((code[i] as number) - middle) ** 2 * (count[i] as number);
  return sum / total(histogram);
}

function minority({ code, count }: Histogram): number {
  let best = 0;
  for (let i = 1; i < code.length; i++) if ((count[i] as number) < (count[best] as number)) best = i;
  return code[best] as number;
}

function countOf({ code, count }: Histogram, wanted: number): number {
  for (let i = 0; i < code.length; i++) if (code[i] === wanted) return count[i] as number;
  return 0;
}

/** Value i of n lies at i × its weight + (n − 1) × the weight of all before it, of (n − 1) × the weight of all. */
function quantileOf(histogram: Histogram, share: number): number | null {
  const { code, count } = histogram;
  const steps = code.length - 1;
  if (code.length === 0) return null;
  const wanted = share * total(histogram) * steps;
  let [before, left, leftAt] = [0, code[0] as number, 0];
  for (let i = 0; i < code.length; i++) {
    const [value, weight] = [code[i] as number, count[i] as number];
    const at = i * weight + steps * before;
    if (at > wanted) return left + ((wanted - leftAt) * (value - left)) / (at - leftAt);
    [left, leftAt] = [value, at];
    before += weight;
  }
  return left;
}
