import { hash, noise, Random } from "./random.js";
import { type River, riverThrough, WindingLine } from "./river.js";
import { drawRotation, type Rotation } from "./rotation.js";
import { Bank, Corners, Holed, Pivot, Rectangle, type Shape, Slanted } from "./shapes.js";
import { ROAD_M, SECTION_M } from "./survey.js";

/** How a field came to its shape; the truth file names it. */
export type Kind =
  | "section"
  | "half"
  | "quarter"
  | "eighty"
  | "forty"
  | "strip"
  | "pivot"
  | "corners"
  | "hole"
  | "split"
  | "diagonal"
  | "creek"
  | "river"
  | "sliver";

export interface Field {
  readonly kind: Kind;
  readonly shape: Shape;
  readonly rotation: Rotation;
  /** Years by which it is ahead of the rotation's first. */
  readonly phase: number;
}

export type Use = "farmed" | "pasture" | "town" | "lake";

/** One square mile: what is grown where, out of the seed and its place alone. */
export interface Section {
  readonly sx: number;
  readonly sy: number;
  readonly use: Use;
  readonly fields: readonly Field[];
  /** Yards of farms that stand inside a field. */
  readonly yards: readonly Rectangle[];
  readonly river: River | undefined;
}

const PLAN = 1;
const REGION = 2;
/** Smoothness of the farming regions, in sections. */
const REGION_SIZE = 14;

const HALF_M = SECTION_M / 2;
/** Half of the track between two quarters. */
const TRACK_M = 3;
const MIN_BANK_AREA_M2 = 30_000;

const USES = { farmed: 91, pasture: 6.5, town: 1.6, lake: 0.9 } satisfies Record<Use, number>;
const LAYOUTS = { quarters: 86, halves: 6, whole: 2, creek: 6 };
const QUARTERS = {
  whole: 17,
  pivot: 14,
  eighties: 15,
  forties: 22,
  strips: 17,
  hole: 5,
  split: 4,
  diagonal: 4,
  sliver: 3,
};

/** Average number of fields of a section, by which a world's size is first guessed. */
export const FIELDS_PER_SECTION = 8.3;

export function planSection(seed: number, sx: number, sy: number): Section {
  const random = new Random(hash(seed, sx, sy, PLAN));
  const river = riverThrough(seed, sx, sy);
  const use = river ? "farmed" : random.weighted<Use>(USES);
  if (use !== "farmed") return { sx, sy, use, fields: [], yards: [], river };
  const plan = new Plan(random, noise(seed, sx / REGION_SIZE, sy / REGION_SIZE, REGION));
  if (river) plan.riverBanks(river);
  else plan.land();
  return { sx, sy, use, fields: plan.fields, yards: plan.yards, river };
}

class Plan {
  readonly fields: Field[] = [];
  readonly yards: Rectangle[] = [];

  constructor(
    private readonly random: Random,
    private readonly region: number,
  ) {}

  land(): void {
    const far = SECTION_M - ROAD_M;
    switch (this.random.weighted(LAYOUTS)) {
      case "whole":
        this.add("section", new Rectangle(ROAD_M, ROAD_M, far, far));
        return;
      case "halves": {
        const parts = cut(new Rectangle(ROAD_M, ROAD_M, far, far), [0.5], 2 * TRACK_M, this.random.next() < 0.5);
        for (const part of parts) this.add("half", part);
        return;
      }
      case "creek":
        this.creek();
        return;
      default:
        for (const [west, north] of [
          [true, true],
          [false, true],
          [true, false],
          [false, false],
        ]) {
          const [u0, u1] = west ? [ROAD_M, HALF_M - TRACK_M] : [HALF_M + TRACK_M, far];
          const [v0, v1] = north ? [ROAD_M, HALF_M - TRACK_M] : [HALF_M + TRACK_M, far];
          this.quarter(new Rectangle(u0, v0, u1, v1));
        }
    }
  }

  /** Fields end at the trees of both banks. */
  riverBanks(river: River): void {
    for (const half of halves()) {
      for (const side of ["north", "south"] as const) {
        const bank = new Bank(half, river.line, side, river.banksM);
        if (bank.area() >= MIN_BANK_AREA_M2) this.add("river", bank);
      }
    }
  }

  /** Fields north and south of a creek meet in its line. */
  private creek(): void {
    const { random } = this;
    const waves = [
      [random.between(40, 110), random.between(900, 1500)],
      [random.between(15, 40), random.between(250, 450)],
    ] as const;
    const phases = [random.between(0, 2 * Math.PI), random.between(0, 2 * Math.PI)];
    const line = new WindingLine(HALF_M + random.between(-150, 150), waves, phases);
    for (const half of halves()) {
      for (const side of ["north", "south"] as const) this.add("creek", new Bank(half, line, side, 0));
    }
  }

  private quarter(land: Rectangle): void {
    const { random } = this;
    const eastWest = random.next() < 0.5;
    const width = land.u1 - land.u0;
    switch (random.weighted(QUARTERS)) {
      case "pivot":
        this.pivot(land);
        return;
      case "eighties":
        for (const part of cut(land, [random.between(0.42, 0.58)], 4, eastWest)) this.add("eighty", part);
        return;
      case "forties":
        for (const eighty of cut(land, [random.between(0.45, 0.55)], 5, eastWest)) {
          for (const forty of cut(eighty, [random.between(0.4, 0.6)], 5, !eastWest)) this.add("forty", forty);
        }
        return;
      case "strips":
        this.strips(land, eastWest);
        return;
      case "hole": {
        const side = random.between(90, 170);
        const u = random.between(land.u0 + 60, land.u1 - 60 - side);
        const v = random.between(land.v0 + 60, land.v1 - 60 - side);
        const yard = new Rectangle(u, v, u + side, v + side);
        this.yards.push(yard);
        this.add("hole", new Holed(land, yard));
        return;
      }
      case "split": {
        const [north, south] = [random.between(0.25, 0.75), random.between(0.25, 0.75)];
        this.add(
          "split",
          new Slanted(land, land.u0 + north * width, land.u0 + south * width, random.between(8, 18), "both"),
        );
        return;
      }
      case "diagonal": {
        const north = land.u0 + random.between(0.15, 0.4) * width;
        const south = land.u1 - random.between(0.15, 0.4) * width;
        const gap = random.between(10, 20);
        for (const side of ["west", "east"] as const) this.add("diagonal", new Slanted(land, north, south, gap, side));
        return;
      }
      case "sliver":
        this.slivers(land, eastWest);
        return;
      default:
        this.add("quarter", land);
        return;
    }
  }

  /** A circle as wide as the quarter; its corners are farmed dry, or lie in grass. */
  private pivot(land: Rectangle): void {
    const { random } = this;
    const half = Math.min(land.u1 - land.u0, land.v1 - land.v0) / 2;
    const [u, v] = [(land.u0 + land.u1) / 2, (land.v0 + land.v1) / 2];
    const radius = half - random.between(2, 14);
    this.add("pivot", new Pivot(u, v, radius, random.pick([48, 56, 64])), { irrigated: true });
    if (random.next() < 0.45) {
      const square = new Rectangle(u - half, v - half, u + half, v + half);
      this.add("corners", new Corners(square, half + random.between(6, 14)));
    }
  }

  /** Neighboring strips go through one rotation, each a year ahead of the last. */
  private strips(land: Rectangle, eastWest: boolean): void {
    const count = this.random.whole(4, 8);
    const rotation = drawRotation(this.random, this.region, false);
    const at = Array.from({ length: count - 1 }, (_, i) => (i + 1) / count);
    const parts = cut(land, at, this.random.pick([0, 0, 4]), eastWest);
    for (const [phase, part] of parts.entries()) this.fields.push({ kind: "strip", shape: part, rotation, phase });
  }

  /** A remnant between two fields, narrower than a pixel; some are short as well and hold no pixel center at all. */
  private slivers(land: Rectangle, eastWest: boolean): void {
    const { random } = this;
    const length = eastWest ? land.v1 - land.v0 : land.u1 - land.u0;
    const [at, thickness] = [random.between(0.4, 0.6), random.between(4, 22)];
    const [west, east] = cut(land, [at], thickness + 6, eastWest) as [Rectangle, Rectangle];
    this.add("eighty", west);
    this.add("eighty", east);
    const between = eastWest
      ? new Rectangle(land.u0, west.v1 + 3, land.u1, east.v0 - 3)
      : new Rectangle(west.u1 + 3, land.v0, east.u0 - 3, land.v1);
    const reach = random.next() < 0.5 ? length : random.between(10, 60);
    this.add(
      "sliver",
      eastWest
        ? new Rectangle(between.u0, between.v0, between.u0 + reach, between.v1)
        : new Rectangle(between.u0, between.v0, between.u1, between.v0 + reach),
    );
  }

  private add(kind: Kind, shape: Shape, options: { irrigated?: boolean } = {}): void {
    const rotation = drawRotation(this.random, this.region, options.irrigated ?? false);
    this.fields.push({ kind, shape, rotation, phase: this.random.whole(0, rotation.length - 1) });
  }
}

function halves(): [Rectangle, Rectangle] {
  const far = SECTION_M - ROAD_M;
  return [new Rectangle(ROAD_M, ROAD_M, HALF_M - TRACK_M, far), new Rectangle(HALF_M + TRACK_M, ROAD_M, far, far)];
}

/**
 * Cut a rectangle in parts.
 *
 * @param at         where, as shares of its side.
 * @param gap        meters left free at every cut.
 * @param eastWest   the cuts run east to west, and the parts lie one below the other.
 */
function cut(land: Rectangle, at: readonly number[], gap: number, eastWest: boolean): Rectangle[] {
  const [start, end] = eastWest ? [land.v0, land.v1] : [land.u0, land.u1];
  const cuts = at.map((share) => start + share * (end - start));
  const starts = [start, ...cuts.map((c) => c + gap / 2)];
  const ends = [...cuts.map((c) => c - gap / 2), end];
  return starts.map((from, i) => {
    const to = ends[i] as number;
    return eastWest ? new Rectangle(land.u0, from, land.u1, to) : new Rectangle(from, land.v0, to, land.v1);
  });
}
