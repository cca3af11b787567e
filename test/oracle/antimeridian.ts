import { Polygons } from "../../dist/fields/wkb.js";

// The same operations in the same order as native/geometry/antimeridian.cc.

const LINE = 180;
const TURN = 360;

interface Point {
  readonly x: number;
  readonly y: number;
}
/** Open: the last vertex is not the first one again. */
type Ring = Point[];
/** The first ring is the exterior. */
type Part = Ring[];

/**
 * Whether anything is to be cut or moved: a vertex beyond ±180 degrees, or vertices more
 * than 180 degrees apart.
 */
export function leavesMap(p: Polygons): boolean {
  let [low, high] = [Infinity, -Infinity];
  for (const x of p.x.data.subarray(0, p.x.length)) [low, high] = [Math.min(low, x), Math.max(high, x)];
  return low < -LINE || high > LINE || high - low > LINE;
}

/**
 * The same area within ±180 degrees (RFC 7946, 3.1.9). An edge goes the shorter way round.
 * A part that winds around a pole, or that is nothing but edges of 360 degrees, is left as it is.
 */
export function cutAtAntimeridian(p: Polygons): Polygons {
  const out = new Polygons();
  for (let part = 0, first = 0; part < p.partEnd.length; part++) {
    const last = p.partEnd.data[part] as number;
    const whole = unwrapPart(p, first, last);
    if (whole !== undefined) appendWithin(whole, out);
    else append(plainPart(p, first, last), out);
    first = last;
  }
  return out;
}

/** Twice the signed area, from the first vertex. */
function areaOf(ring: Ring): number {
  const o = ring[0] as Point;
  let area = 0;
  ring.forEach((a, i) => {
    const b = ring[(i + 1) % ring.length] as Point;
    area += (a.x - o.x) * (b.y - o.y) - (b.x - o.x) * (a.y - o.y);
  });
  return area;
}

function contains(ring: Ring, at: Point): boolean {
  let inside = false;
  ring.forEach((a, i) => {
    const b = ring.at(i - 1) as Point;
    if (a.y > at.y === b.y > at.y) return;
    if (at.x < ((b.x - a.x) * (at.y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  });
  return inside;
}

function moved(ring: Ring, by: number): Ring {
  return ring.map(({ x, y }) => ({ x: x + by, y }));
}

function rangeOf(ring: Ring): { low: number; high: number } {
  let [low, high] = [Infinity, -Infinity];
  for (const { x } of ring) [low, high] = [Math.min(low, x), Math.max(high, x)];
  return { low, high };
}

function plainPart(p: Polygons, first: number, last: number): Part {
  const part: Part = [];
  for (let r = first; r < last; r++) {
    const ring: Ring = [];
    for (let i = p.ringBegin(r); i < p.ringBegin(r + 1) - 1; i++) {
      ring.push({ x: p.x.data[i] as number, y: p.y.data[i] as number });
    }
    part.push(ring);
  }
  return part;
}

/** Rings without jumps, every edge the shorter way round, the holes beside their exterior. */
function unwrapPart(p: Polygons, first: number, last: number): Part | undefined {
  const part: Part = [];
  for (const plain of plainPart(p, first, last)) {
    let shift = 0;
    let before = plain[0] as Point;
    const ring: Ring = [];
    for (const at of [...plain, plain[0] as Point]) {
      let step = at.x - before.x;
      for (; step > LINE; step -= TURN) shift -= TURN;
      for (; step < -LINE; step += TURN) shift += TURN;
      ring.push({ x: at.x + shift, y: at.y });
      before = at;
    }
    ring.pop();
    if (shift !== 0) return undefined;
    const exterior = part[0];
    if (exterior === undefined) {
      if (areaOf(ring) === 0) return undefined;
      part.push(ring);
      continue;
    }
    const { low, high } = rangeOf(exterior);
    const { x } = ring[0] as Point;
    let by = 0;
    while (x + by > high) by -= TURN;
    while (x + by < low) by += TURN;
    part.push(moved(ring, by));
  }
  return part;
}

/** Parts of `part` between the meridians of −180 and 180 degrees. */
function appendWithin(part: Part, out: Polygons): void {
  const { low, high } = rangeOf(part[0] as Ring);
  let by = 0;
  while (low + by < -LINE) by += TURN;
  while (low + by >= LINE) by -= TURN;
  const whole = part.map((ring) => moved(ring, by));
  if (high + by <= LINE) {
    append(whole, out);
    return;
  }
  const cut = new Cut(whole);
  for (const left of cut.side(false)) append(left, out);
  for (const right of cut.side(true)) appendWithin(right, out);
}

function append(part: Part, out: Polygons): void {
  for (const ring of part) {
    for (const { x, y } of [...ring, ring[0] as Point]) {
      out.x.push(x);
      out.y.push(y);
    }
    out.ringEnd.push(out.x.length);
  }
  out.partEnd.push(out.ringEnd.length);
}

/** Vertices on one side of the line, from one crossing to another. */
interface Chain {
  readonly right: boolean;
  readonly from: number;
  to: number;
  readonly points: Ring;
  used: boolean;
}

/** Cuts a part at the meridian of 180 degrees. */
class Cut {
  /** Latitudes of the crossings, and the chains that end there, left and right. */
  readonly #crossings: { readonly y: number; readonly chain: [Chain | undefined, Chain | undefined] }[] = [];
  readonly #chains: Chain[] = [];
  readonly #whole: { readonly right: boolean; readonly ring: Ring }[] = [];
  readonly #order: number[];
  readonly #place: number[] = [];

  constructor(part: Part) {
    for (const ring of part) this.#add(ring);
    const y = (i: number) => this.#crossings[i]?.y as number;
    this.#order = this.#crossings.map((_, i) => i).sort((a, b) => y(a) - y(b));
    this.#order.forEach((crossing, i) => {
      this.#place[crossing] = i;
    });
  }

  side(right: boolean): Part[] {
    const parts: Part[] = [];
    for (const chain of this.#chains) {
      if (chain.right !== right || chain.used) continue;
      const ring = this.#follow(chain);
      if (ring.length >= 3 && areaOf(ring) !== 0) parts.push([ring]);
    }
    for (const whole of this.#whole) {
      if (whole.right !== right) continue;
      const { ring } = whole;
      const holder = parts.findLast(([exterior]) => contains(exterior as Ring, ring[0] as Point)) ?? parts[0];
      if (holder === undefined) parts.push([ring]);
      else holder.push(ring);
    }
    return parts;
  }

  #add(ring: Ring): void {
    const isRight = (p: Point) => p.x > LINE;
    const start = ring.findIndex((p, i) => isRight(p) !== isRight(ring.at(i - 1) as Point));
    if (start < 0) {
      this.#whole.push({ right: isRight(ring[0] as Point), ring });
      return;
    }
    const first = this.#crossings.length;
    const n = ring.length;
    let chain: Chain | undefined;
    const meet = (crossing: number) => {
      const met = this.#crossings[crossing];
      if (met !== undefined && chain !== undefined) met.chain[chain.right ? 1 : 0] = chain;
    };
    const close = (crossing: number) => {
      if (chain !== undefined) chain.to = crossing;
      meet(crossing);
    };
    for (let k = 0; k < n; k++) {
      const [p, before] = [ring[(start + k) % n] as Point, ring[(start + k + n - 1) % n] as Point];
      if (isRight(p) !== isRight(before)) {
        const y = before.y + (p.y - before.y) * ((LINE - before.x) / (p.x - before.x));
        const crossing = this.#crossings.length;
        this.#crossings.push({ y, chain: [undefined, undefined] });
        close(crossing);
        chain = { right: isRight(p), from: crossing, to: 0, points: [], used: false };
        this.#chains.push(chain);
        meet(crossing);
      }
      chain?.points.push(p);
    }
    close(first);
  }

  /** Along the line the inside lies between the first and the second crossing, the third and the fourth ... */
  #follow(begin: Chain): Ring {
    const ring: Ring = [];
    const push = (p: Point) => {
      const last = ring.at(-1);
      if (last === undefined || last.x !== p.x || last.y !== p.y) ring.push(p);
    };
    const at = (crossing: number) => push({ x: LINE, y: this.#crossings[crossing]?.y as number });
    let chain = begin;
    let from = begin.from;
    do {
      chain.used = true;
      const forward = chain.from === from;
      const to = forward ? chain.to : chain.from;
      at(from);
      for (const p of forward ? chain.points : [...chain.points].reverse()) push(p);
      at(to);
      from = this.#order[(this.#place[to] as number) ^ 1] as number;
      chain = this.#crossings[from]?.chain[begin.right ? 1 : 0] as Chain;
    } while (from !== begin.from);
    const first = ring[0] as Point;
    while (ring.length > 1 && ring.at(-1)?.x === first.x && ring.at(-1)?.y === first.y) ring.pop();
    return ring;
  }
}
