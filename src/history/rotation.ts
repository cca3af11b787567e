/** Years that a rotation is looked for in. */
const ROTATION_YEARS = 6;

/**
 * The shortest cycle in a sequence of crops, a year each: `1 5 1 5 1 5` is the cycle `1 5`, and
 * so is `5 1 5 1 5 1`, for a cycle is written from its lowest code. The last round may be cut
 * short: `1 1 5 1 1` is `1 1 5`.
 *
 * @returns the cycle; undefined where no crop follows from those before.
 */
export function findCycle(codes: readonly number[]): number[] | undefined {
  for (let years = 1; years < codes.length; years++) {
    if (codes.every((code, i) => i < years || code === codes[i - years])) return fromLowest(codes.slice(0, years));
  }
  return undefined;
}

/** The canonical rotation of a cycle: the one that sorts first by codes. */
function fromLowest(cycle: readonly number[]): number[] {
  let best = [...cycle];
  for (let start = 1; start < cycle.length; start++) {
    const round = [...cycle.slice(start), ...cycle.slice(0, start)];
    const differs = round.findIndex((code, i) => code !== best[i]);
    if (differs >= 0 && (round[differs] as number) < (best[differs] as number)) best = round;
  }
  return best;
}

/**
 * The years to look for rotations in: the last `ROTATION_YEARS` that follow each other and all
 * have a table; fewer where there are no more, and none where no two follow each other.
 */
export function rotationYears(years: readonly number[]): number[] {
  let best: number[] = [];
  let run: number[] = [];
  for (const year of [...years].sort((a, b) => a - b)) {
    run = run.at(-1) === year - 1 ? [...run, year].slice(-ROTATION_YEARS) : [year];
    if (run.length >= best.length) best = run;
  }
  return best.length > 1 ? best : [];
}
