/** A field's crop in a year; null if it has none or the year is missing. */
export interface CropYear {
  readonly year: number;
  readonly code: number | null;
}

/** Years: the length of a stand of alfalfa and the crop after it. */
const LONGEST_PERIOD = 6;
/** Minimum share of the years that agree with a pattern. */
const REGULAR = 0.8;
/** The same for the years with another crop than the usual one. */
const REGULAR_CHANGES = 0.65;

export type Rotation =
  | { readonly kind: "none" }
  /** One crop in all known years. */
  | { readonly kind: "same"; readonly code: number; readonly years: number }
  /** `codes` repeat in this order, in `agreeing` of `years` years. */
  | { readonly kind: "cycle"; readonly codes: readonly number[]; readonly agreeing: number; readonly years: number }
  | {
      readonly kind: "mixed";
      readonly crops: number;
      readonly most: number;
      readonly times: number;
      readonly years: number;
    };

/**
 * The shortest pattern of up to six years that a field's crops repeat at least twice and in
 * at least four of five years. Unknown years neither agree nor disagree. If one crop
 * dominates, the years of the other crops must agree by themselves: nine years of alfalfa and
 * two scattered years of corn are not a rotation.
 *
 * @param history  ascending by year; a missing year counts as unknown.
 */
export function rotationOf(history: readonly CropYear[]): Rotation {
  const known = history.filter((entry): entry is { year: number; code: number } => entry.code !== null);
  const [first] = known;
  if (first === undefined) return { kind: "none" };
  const counts = countBy(known.map(({ code }) => code));
  const [usual, times] = largest(counts);
  if (counts.size === 1) return { kind: "same", code: first.code, years: known.length };
  for (let period = 2; period <= LONGEST_PERIOD; period++) {
    const span = (known.at(-1)?.year ?? 0) - first.year + 1;
    if (span < 2 * period) break;
    const cycle = cycleOf(known, first.year, period);
    if (cycle === undefined || new Set(cycle).size === 1) continue;
    const expected = (year: number) => cycle[(year - first.year) % period];
    const agreeing = known.filter(({ year, code }) => expected(year) === code).length;
    const changes = known.filter(({ year, code }) => code !== usual || expected(year) !== usual);
    const kept = changes.filter(({ year, code }) => expected(year) === code).length;
    const regular = agreeing >= REGULAR * known.length && kept >= REGULAR_CHANGES * changes.length;
    if (regular && known.length >= 2 * period) {
      return { kind: "cycle", codes: cycle, agreeing, years: known.length };
    }
  }
  return { kind: "mixed", crops: counts.size, most: usual, times, years: known.length };
}

/** The most frequent crop of every phase; undefined if a phase has no known year. */
function cycleOf(
  known: readonly { year: number; code: number }[],
  start: number,
  period: number,
): number[] | undefined {
  const phases = Array.from({ length: period }, (_, phase) =>
    known.filter(({ year }) => (year - start) % period === phase).map(({ code }) => code),
  );
  if (phases.some((codes) => codes.length === 0)) return undefined;
  return phases.map((codes) => largest(countBy(codes))[0]);
}

function countBy(codes: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  return counts;
}

function largest(counts: ReadonlyMap<number, number>): [number, number] {
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

/** A sentence for the user. */
export function rotationText(rotation: Rotation, nameOf: (code: number) => string): string {
  switch (rotation.kind) {
    case "none":
      return "No crop is known of this field.";
    case "same":
      return rotation.years === 1
        ? `${nameOf(rotation.code)} in the only year known.`
        : `${nameOf(rotation.code)} in all ${rotation.years} years.`;
    case "cycle": {
      const sequence = rotation.codes.map(nameOf).join(" → ");
      const exact = rotation.agreeing === rotation.years;
      return `Rotation: ${sequence}, ${exact ? "without exception" : `in ${rotation.agreeing} of ${rotation.years} years`}.`;
    }
    case "mixed":
      return rotation.times === 1
        ? `No fixed rotation: another crop in each of ${rotation.years} years.`
        : `No fixed rotation: ${rotation.crops} crops in ${rotation.years} years, most often ${nameOf(rotation.most)} (${rotation.times} times).`;
  }
}
