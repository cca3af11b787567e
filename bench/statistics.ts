/** Middle value and both ends of several runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values  at least one. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1] as number, sorted[sorted.length >> 1] as number];
  return { median: (low + high) / 2, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** a / b round by round: both ran side by side in each, so what slowed a round slowed both. */
export function ratios(a: readonly number[], b: readonly number[]): Spread {
  return spread(a.map((value, round) => value / (b[round] as number)));
}

/** Amdahl's law, T(n) = serial + parallel / n. */
export interface Scaling {
  readonly serialS: number;
  readonly parallelS: number;
  /** serial / (serial + parallel), 0 to 1. */
  readonly serialShare: number;
}

/**
 * Amdahl's law through measured times by least squares; neither part below 0.
 *
 * @param times  wall seconds by number of threads.
 * @returns undefined for a single number of threads, which tells nothing of scaling.
 */
export function fitAmdahl(times: ReadonlyMap<number, number>): Scaling | undefined {
  if (times.size < 2) return undefined;
  const points = [...times].map(([threads, seconds]) => [1 / threads, seconds] as const);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const slope =
    points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const parallelS = Math.max(0, Math.min(slope, my / mx));
  const serialS = Math.max(0, my - parallelS * mx);
  return { serialS, parallelS, serialShare: serialS / (serialS + parallelS) };
}
