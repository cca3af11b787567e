import { type Results, workWall } from "./results.js";
import { fitAmdahl, type Scaling, spread } from "./statistics.js";

/** How a stage gains by threads. */
export interface Curve {
  /** As in `scan tiled`. */
  readonly name: string;
  /** Median wall seconds of the work by threads. */
  readonly wallS: ReadonlyMap<number, number>;
  /** Undefined where one number of threads was measured. */
  readonly fit: Scaling | undefined;
}

/** The stages that ran with several numbers of threads. */
export function curvesOf({ outcomes }: Results): Curve[] {
  const byName = new Map<string, Map<number, number>>();
  for (const outcome of outcomes) {
    const name = /^((?:scan|build|direct) \w+) \d+$/.exec(outcome.key)?.[1];
    if (name === undefined) continue;
    const times = byName.get(name) ?? new Map<number, number>();
    byName.set(name, times.set(outcome.threads, spread(workWall(outcome)).median));
  }
  return [...byName]
    .filter(([, times]) => times.size > 1)
    .map(([name, wallS]) => ({ name, wallS, fit: fitAmdahl(wallS) }));
}

export function speedUp({ wallS }: Curve, threads: number): number {
  return (wallS.get(1) as number) / (wallS.get(threads) as number);
}
