import { hash } from "./random.js";

/** Distribution of fields: even, or as in the United States, with most in the Midwest and few in the West. */
export type Spread = "even" | "us";

/** The share of farmed sections, by their position in the country. */
export interface Spreading {
  readonly like: Spread;
  /** Factor of the density; the share is at most 1. */
  readonly factor: number;
  /** The country in sections. */
  readonly columns: number;
  readonly rows: number;
}

/** A land in sections that should have a little more fields than are asked for. */
export interface SpreadPlan {
  readonly columns: number;
  readonly rows: number;
  readonly spreading?: Spreading;
}

interface SpreadOptions {
  readonly like: Spread;
  readonly national: boolean;
  /** Average number of farmed sections that the fields need. */
  readonly sections: number;
  readonly limits: { readonly columns: number; readonly rows: number };
  /** Number of earlier plans with too few fields. */
  readonly attempt: number;
}

/** Regions of the country: middle and reach as shares of its width and height from the northwest, and density. */
const REGIONS = [
  { name: "Corn Belt", x: 0.6, y: 0.42, width: 0.11, height: 0.13, density: 1 },
  { name: "northern Plains", x: 0.47, y: 0.18, width: 0.07, height: 0.14, density: 0.8 },
  { name: "southern Plains", x: 0.46, y: 0.6, width: 0.05, height: 0.2, density: 0.6 },
  { name: "Mississippi Delta", x: 0.645, y: 0.7, width: 0.02, height: 0.13, density: 0.8 },
  { name: "Southeast", x: 0.8, y: 0.72, width: 0.09, height: 0.09, density: 0.25 },
  { name: "Northeast", x: 0.87, y: 0.36, width: 0.06, height: 0.09, density: 0.25 },
  { name: "Palouse", x: 0.13, y: 0.13, width: 0.03, height: 0.04, density: 0.7 },
  { name: "Snake River", x: 0.19, y: 0.3, width: 0.05, height: 0.02, density: 0.6 },
  { name: "Central Valley", x: 0.06, y: 0.5, width: 0.02, height: 0.1, density: 0.9 },
] as const;
/** Everywhere, deserts and mountains too. */
const MIN_DENSITY = 0.002;
const PURPOSE = 51;
/** Width by height of the national raster. */
const ASPECT = 153_811 / 96_523;
/** More fields than asked for are planned, as sections differ; the last ones in the south are cut off. */
const RESERVE = 1.02;
const PER_ATTEMPT = 0.03;
/** Places along each side at which the mean density is taken. */
const MEAN_STEPS = 160;

/** @returns undefined where the fields do not fit into the limits. */
export function planSpread({ like, national, sections, limits, attempt }: SpreadOptions): SpreadPlan | undefined {
  if (like === "even" && !national) return attempt > 0 ? undefined : evenSquare(sections, limits);
  const wanted = sections * (RESERVE + PER_ATTEMPT * attempt) + 12;
  const all = wanted / meanShare(like, 1);
  const columns = Math.max(1, Math.round(Math.sqrt(all * ASPECT)));
  const rows = Math.max(1, Math.ceil(all / columns));
  if (!national && columns <= limits.columns && rows <= limits.rows) {
    return { columns, rows, spreading: { like, factor: 1, columns, rows } };
  }
  const factor = factorFor(like, wanted / (limits.columns * limits.rows));
  return factor === undefined ? undefined : { ...limits, spreading: { like, factor, ...limits } };
}

/** About as wide as high, all of it farmed; as many rows as it takes. */
function evenSquare(sections: number, limits: SpreadOptions["limits"]): SpreadPlan | undefined {
  const rowsFor = (columns: number) => Math.ceil(sections / columns);
  const square = Math.max(1, Math.round(Math.sqrt(sections)));
  const columns = rowsFor(square) <= limits.rows ? square : Math.ceil(sections / (limits.rows - 20));
  return columns > limits.columns ? undefined : { columns, rows: limits.rows };
}

/** Whether a section has fields. */
export function isFarmed(spreading: Spreading | undefined, seed: number, sx: number, sy: number): boolean {
  return spreading === undefined || hash(seed, sx, sy, PURPOSE) / 2 ** 32 < farmedShare(spreading, sx, sy);
}

/** Share of the sections around a place that is farmed. */
export function farmedShare({ like, factor, columns, rows }: Spreading, sx: number, sy: number): number {
  return Math.min(1, factor * densityAt(like, (sx + 0.5) / columns, (sy + 0.5) / rows));
}

function densityAt(like: Spread, x: number, y: number): number {
  if (like === "even") return 1;
  let density = MIN_DENSITY;
  for (const region of REGIONS) {
    const [dx, dy] = [(x - region.x) / region.width, (y - region.y) / region.height];
    density += region.density * Math.exp((-dx * dx - dy * dy) / 2);
  }
  return density;
}

/** Share of all sections that are farmed. */
function meanShare(like: Spread, factor: number): number {
  let sum = 0;
  for (let i = 0; i < MEAN_STEPS; i++) {
    for (let j = 0; j < MEAN_STEPS; j++) {
      sum += Math.min(1, factor * densityAt(like, (i + 0.5) / MEAN_STEPS, (j + 0.5) / MEAN_STEPS));
    }
  }
  return sum / MEAN_STEPS ** 2;
}

/** The factor for this share of farmed sections; undefined if there are not enough. */
function factorFor(like: Spread, share: number): number | undefined {
  if (share > 1) return undefined;
  let [low, high] = [0, 1];
  while (meanShare(like, high) < share && high < 1e6) high *= 2;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (meanShare(like, middle) < share) low = middle;
    else high = middle;
  }
  return high;
}
