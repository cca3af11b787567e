import { bytes } from "../../dist/fields/growing-array.js";
import type { Polygons } from "../../dist/fields/wkb.js";
import { cutAtAntimeridian, leavesMap } from "./antimeridian.js";

// The same operations in the same order as native/geometry/geojson.cc.

/** Twice a ring's signed area, positive counter-clockwise, and its first moments, from its first vertex. */
interface Moments {
  readonly area: number;
  readonly mx: number;
  readonly my: number;
}

function moments(p: Polygons, begin: number, end: number): Moments {
  const [x, y] = [p.x.data, p.y.data];
  const [x0, y0] = [x[begin] as number, y[begin] as number];
  let [area, mx, my] = [0, 0, 0];
  for (let i = begin; i < end; i++) {
    const j = i + 1 === end ? begin : i + 1;
    const [ax, ay] = [(x[i] as number) - x0, (y[i] as number) - y0];
    const [bx, by] = [(x[j] as number) - x0, (y[j] as number) - y0];
    const cross = ax * by - bx * ay;
    area += cross;
    mx += (ax + bx) * cross;
    my += (ay + by) * cross;
  }
  return { area, mx, my };
}

/** Where the edges of rings [first, last) cross the horizontal line at `y`, in ring order. */
function crossings(p: Polygons, first: number, last: number, y: number): number[] {
  const [px, py] = [p.x.data, p.y.data];
  const xs: number[] = [];
  for (let ring = first; ring < last; ring++) {
    const begin = p.ringBegin(ring);
    const end = p.ringBegin(ring + 1);
    for (let i = begin, j = end - 1; i < end; j = i++) {
      const [xi, yi, xj, yj] = [px[i] as number, py[i] as number, px[j] as number, py[j] as number];
      if (yi > y !== yj > y) xs.push(((xj - xi) * (y - yi)) / (yj - yi) + xi);
    }
  }
  return xs;
}

/** Even-odd over the rings [first, last). */
function isInside(p: Polygons, first: number, last: number, x: number, y: number): boolean {
  return crossings(p, first, last, y).filter((crossing) => x < crossing).length % 2 === 1;
}

/** Middle of the widest inner piece of the horizontal line at `y`; width 0 when the line misses the part. */
function widestPiece(p: Polygons, first: number, last: number, y: number): { width: number; middle: number } {
  const xs = Float64Array.from(crossings(p, first, last, y)).sort();
  let widest = { width: 0, middle: 0 };
  for (let i = 0; i + 1 < xs.length; i += 2) {
    const [a, b] = [xs[i] as number, xs[i + 1] as number];
    if (b - a > widest.width) widest = { width: b - a, middle: (a + b) / 2 };
  }
  return widest;
}

/**
 * A point that lies inside: the centroid where it does, else the middle of the widest
 * piece of a horizontal line through the part with the largest area.
 */
export function pointInside(p: Polygons): { x: number; y: number } {
  const [xs, ys] = [p.x.data, p.y.data];
  const [ox, oy] = [xs[0] as number, ys[0] as number];
  let [area, mx, my] = [0, 0, 0];
  let largest = { area: -1, first: 0, last: 0 };
  const parts: { first: number; last: number }[] = [];
  for (let part = 0, first = 0; part < p.partEnd.length; part++) {
    const last = p.partEnd.data[part] as number;
    let partArea = 0;
    for (let ring = first; ring < last; ring++) {
      const begin = p.ringBegin(ring);
      const m = moments(p, begin, p.ringBegin(ring + 1));
      // Whatever way the file turns its rings: exteriors add, holes take away.
      const sign = m.area > 0 === (ring === first) ? 1 : -1;
      partArea += sign * m.area;
      const [dx, dy] = [(xs[begin] as number) - ox, (ys[begin] as number) - oy];
      area += sign * m.area;
      mx += sign * (m.mx + 3 * dx * m.area);
      my += sign * (m.my + 3 * dy * m.area);
    }
    if (partArea > largest.area) largest = { area: partArea, first, last };
    parts.push({ first, last });
    first = last;
  }
  if (area > 0) {
    const [x, y] = [ox + mx / (3 * area), oy + my / (3 * area)];
    if (parts.some(({ first, last }) => isInside(p, first, last, x, y))) return { x, y };
  }
  const begin = p.ringBegin(largest.first);
  const outer = ys.subarray(begin, p.ringBegin(largest.first + 1));
  const [low, high] = [outer.reduce((a, b) => Math.min(a, b)), outer.reduce((a, b) => Math.max(a, b))];
  let best = { width: 0, x: xs[begin] as number, y: ys[begin] as number };
  // A few heights, because the middle one may run through a hole or a bay; uneven ones, because a line
  // through vertices may run along an edge.
  for (const share of [0.487, 0.259, 0.741, 0.123, 0.877, 0.367, 0.623]) {
    const y = low + (high - low) * share;
    const { width, middle } = widestPiece(p, largest.first, largest.last, y);
    if (width > best.width) best = { width, x: middle, y };
  }
  return best;
}

/** Newline-delimited features of a batch. */
export class FeatureWriter {
  readonly #out = bytes();
  readonly #scale: number;

  constructor(private readonly decimals: number) {
    this.#scale = 10 ** decimals;
  }

  /** Append the polygon in layer `fields` and a point inside it in layer `centroids`. */
  append(polygons: Polygons, id: number, properties: Uint8Array): void {
    const cut = leavesMap(polygons) ? cutAtAntimeridian(polygons) : polygons;
    // Nothing is left of what is thinner than a rounding.
    const p = cut.partEnd.length === 0 ? polygons : cut;
    this.#head("fields", id, properties);
    const parts: string[] = [];
    for (let part = 0, first = 0; part < p.partEnd.length; part++) {
      const last = p.partEnd.data[part] as number;
      parts.push(this.#polygon(p, first, last));
      first = last;
    }
    const one = parts.length === 1;
    this.#text(
      `{"type":"${one ? "Polygon" : "MultiPolygon"}","coordinates":${one ? parts[0] : `[${parts.join()}]`}}}\n`,
    );
    const { x, y } = pointInside(p);
    this.#head("centroids", id, properties);
    this.#text(`{"type":"Point","coordinates":${this.#position(x, y)}}}\n`);
  }

  take(): Uint8Array {
    return this.#out.take();
  }

  #head(layer: string, id: number, properties: Uint8Array): void {
    this.#text(`{"type":"Feature","id":${id},"tippecanoe":{"layer":"${layer}"},"properties":{`);
    this.#bytes(properties);
    this.#text(`},"geometry":`);
  }

  #text(ascii: string): void {
    this.#bytes(Buffer.from(ascii, "latin1"));
  }

  #bytes(piece: Uint8Array): void {
    this.#out.reserve(this.#out.length + piece.length);
    this.#out.data.set(piece, this.#out.length);
    this.#out.length += piece.length;
  }

  #polygon(p: Polygons, first: number, last: number): string {
    const rings: string[] = [];
    for (let r = first; r < last; r++) rings.push(this.#ring(p, p.ringBegin(r), p.ringBegin(r + 1), r === first));
    return `[${rings.join()}]`;
  }

  #ring(p: Polygons, begin: number, closed: number, counterClockwise: boolean): string {
    // The closing vertex is written, not taken: it is the same as the first by definition.
    const end = closed - 1;
    const reverse = moments(p, begin, end).area > 0 !== counterClockwise;
    const n = end - begin;
    const positions: string[] = [];
    for (let i = 0; i <= n; i++) {
      const v = begin + (reverse ? (n - (i % n)) % n : i % n);
      positions.push(this.#position(p.x.data[v] as number, p.y.data[v] as number));
    }
    return `[${positions.join()}]`;
  }

  #position(x: number, y: number): string {
    return `[${this.#fixed(x)},${this.#fixed(y)}]`;
  }

  /** Fixed decimals without trailing zeros; half goes to the even neighbor, as C's nearbyint has it. */
  #fixed(value: number): string {
    const scaled = Math.abs(value * this.#scale);
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const magnitude = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
    const whole = Math.floor(magnitude / this.#scale);
    const fraction = magnitude % this.#scale;
    const sign = value < 0 && magnitude > 0 ? "-" : "";
    if (fraction === 0) return `${sign}${whole}`;
    return `${sign}${whole}.${String(fraction).padStart(this.decimals, "0").replace(/0+$/, "")}`;
  }
}
