/**
 * What a field covers, in meters from its section's northwest corner: `u` to the
 * east, `v` to the south.
 *
 * `contains` asks the exact shape; `outline` is how a map would draw it. They share
 * no code, so that painted pixels and burned polygons check each other.
 */
export interface Shape {
  /** Bounding box. */
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;
  contains(u: number, v: number): boolean;
  /** Polygons of rings (outer, then holes), any direction, not closed. */
  outline(): Polygon[];
}

/** `u, v, u, v, …` */
export type Ring = number[];
export type Polygon = Ring[];

/** A line across a section from west to east: `v` by `u`. */
export interface Curve {
  at(u: number): number;
}

/** Longest step along a curved edge of an outline. */
const STEP_M = 25;
/** A bank's piece narrower than this is left to the trees. */
const MIN_DEPTH_M = 12;

export class Rectangle implements Shape {
  constructor(
    readonly u0: number,
    readonly v0: number,
    readonly u1: number,
    readonly v1: number,
  ) {}

  contains(u: number, v: number): boolean {
    return u >= this.u0 && u < this.u1 && v >= this.v0 && v < this.v1;
  }

  outline(): Polygon[] {
    return [[this.ring()]];
  }

  ring(): Ring {
    return [this.u0, this.v0, this.u1, this.v0, this.u1, this.v1, this.u0, this.v1];
  }
}

/** A center pivot's circle, mapped as a regular polygon. */
export class Pivot implements Shape {
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;

  constructor(
    readonly centerU: number,
    readonly centerV: number,
    readonly radius: number,
    readonly sides: number,
  ) {
    [this.u0, this.v0, this.u1, this.v1] = [centerU - radius, centerV - radius, centerU + radius, centerV + radius];
  }

  contains(u: number, v: number): boolean {
    return (u - this.centerU) ** 2 + (v - this.centerV) ** 2 < this.radius ** 2;
  }

  outline(): Polygon[] {
    const ring: Ring = [];
    for (let i = 0; i < this.sides; i++) {
      const angle = (2 * Math.PI * i) / this.sides;
      ring.push(this.centerU + this.radius * Math.cos(angle), this.centerV + this.radius * Math.sin(angle));
    }
    return [[ring]];
  }
}

/** What a circle leaves of its square: four corners, farmed as one. The circle must reach over the square's sides. */
export class Corners implements Shape {
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;

  constructor(
    private readonly square: Rectangle,
    private readonly radius: number,
  ) {
    ({ u0: this.u0, v0: this.v0, u1: this.u1, v1: this.v1 } = square);
  }

  contains(u: number, v: number): boolean {
    const du = u - (this.u0 + this.u1) / 2;
    const dv = v - (this.v0 + this.v1) / 2;
    return this.square.contains(u, v) && du * du + dv * dv >= this.radius ** 2;
  }

  outline(): Polygon[] {
    const half = (this.u1 - this.u0) / 2;
    const [centerU, centerV] = [this.u0 + half, this.v0 + half];
    // Where the circle leaves the square, seen from its center.
    const from = Math.acos(half / this.radius);
    const steps = 12;
    return [0, 1, 2, 3].map((quadrant) => {
      const ring: Ring = [];
      for (let i = 0; i <= steps; i++) {
        const angle = quadrant * (Math.PI / 2) + from + ((Math.PI / 2 - 2 * from) * i) / steps;
        ring.push(centerU + this.radius * Math.cos(angle), centerV + this.radius * Math.sin(angle));
      }
      const east = quadrant === 0 || quadrant === 3;
      ring.push(east ? this.u1 : this.u0, quadrant < 2 ? this.v1 : this.v0);
      return [ring];
    });
  }
}

/** A rectangle around a farmstead that is not part of it. */
export class Holed implements Shape {
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;

  constructor(
    private readonly outer: Rectangle,
    readonly hole: Rectangle,
  ) {
    ({ u0: this.u0, v0: this.v0, u1: this.u1, v1: this.v1 } = outer);
  }

  contains(u: number, v: number): boolean {
    return this.outer.contains(u, v) && !this.hole.contains(u, v);
  }

  outline(): Polygon[] {
    return [[this.outer.ring(), this.hole.ring()]];
  }
}

/** One side, or both, of a slanting strip (a waterway, a railway) from the rectangle's north side to its south side. */
export class Slanted implements Shape {
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;

  /**
   * @param north, south  where the strip's middle meets the two sides, `u`.
   * @param halfGap       half the strip's width along `u`.
   */
  constructor(
    rectangle: Rectangle,
    private readonly north: number,
    private readonly south: number,
    private readonly halfGap: number,
    private readonly side: "west" | "east" | "both",
  ) {
    ({ u0: this.u0, v0: this.v0, u1: this.u1, v1: this.v1 } = rectangle);
  }

  contains(u: number, v: number): boolean {
    if (u < this.u0 || u >= this.u1 || v < this.v0 || v >= this.v1) return false;
    const middle = this.north + ((this.south - this.north) * (v - this.v0)) / (this.v1 - this.v0);
    return (this.side !== "east" && u < middle - this.halfGap) || (this.side !== "west" && u >= middle + this.halfGap);
  }

  outline(): Polygon[] {
    const { u0, v0, u1, v1, north, south, halfGap } = this;
    const west: Polygon = [[u0, v0, north - halfGap, v0, south - halfGap, v1, u0, v1]];
    const east: Polygon = [[north + halfGap, v0, u1, v0, u1, v1, south + halfGap, v1]];
    return this.side === "west" ? [west] : this.side === "east" ? [east] : [west, east];
  }
}

/**
 * A rectangle's part north or south of a winding line. Two banks of one curve
 * without a margin share the line's vertices. A line that touches the rectangle's
 * side cuts the part in pieces.
 */
export class Bank implements Shape {
  readonly u0: number;
  readonly v0: number;
  readonly u1: number;
  readonly v1: number;

  constructor(
    rectangle: Rectangle,
    private readonly curve: Curve,
    private readonly side: "north" | "south",
    private readonly margin: number,
  ) {
    ({ u0: this.u0, v0: this.v0, u1: this.u1, v1: this.v1 } = rectangle);
  }

  contains(u: number, v: number): boolean {
    if (u < this.u0 || u >= this.u1 || v < this.v0 || v >= this.v1) return false;
    const line = this.curve.at(u);
    return this.side === "north" ? v < line - this.margin : v >= line + this.margin;
  }

  area(): number {
    return areaOf(this.outline());
  }

  outline(): Polygon[] {
    const north = this.side === "north";
    const steps = Math.ceil((this.u1 - this.u0) / STEP_M);
    const pieces: Polygon[] = [];
    let run: [number, number][] = [];
    for (let i = 0; i <= steps + 1; i++) {
      const u = this.u0 + ((this.u1 - this.u0) * i) / steps;
      const line = this.curve.at(u) + (north ? -this.margin : this.margin);
      const edge = Math.min(this.v1, Math.max(this.v0, line));
      const depth = north ? edge - this.v0 : this.v1 - edge;
      if (i <= steps && depth > MIN_DEPTH_M) {
        run.push([u, edge]);
        continue;
      }
      if (run.length >= 3) pieces.push([bankRing(run, north ? this.v0 : this.v1)]);
      run = [];
    }
    return pieces;
  }
}

function bankRing(run: readonly [number, number][], base: number): Ring {
  const ring: Ring = [run[0]?.[0] as number, base];
  for (const [i, [u, v]] of run.entries()) {
    // Along a side of the rectangle the ends are enough.
    if (v === run[i - 1]?.[1] && v === run[i + 1]?.[1]) continue;
    ring.push(u, v);
  }
  ring.push(run.at(-1)?.[0] as number, base);
  return ring;
}

/** Square meters of polygons with holes, by the shoelace formula. */
export function areaOf(polygons: readonly Polygon[]): number {
  let area = 0;
  for (const rings of polygons) {
    for (const [i, ring] of rings.entries()) area += (i === 0 ? 1 : -1) * Math.abs(signedArea(ring));
  }
  return area;
}

/** Positive where the ring runs clockwise on a map (`v` points south). */
export function signedArea(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    sum += (ring[j] as number) * (ring[i + 1] as number) - (ring[i] as number) * (ring[j + 1] as number);
  }
  return sum / 2;
}
