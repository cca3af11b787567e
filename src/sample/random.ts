/** 32 well-mixed bits of a seed, two integers and a purpose: the only state of the sample world. */
export function hash(seed: number, x: number, y: number, purpose: number): number {
  let h = seed ^ Math.imul(x, 0x8da6b343) ^ Math.imul(y, 0xd8163841) ^ Math.imul(purpose, 0xcb1ab31f);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Mulberry32 by Tommy Ettinger (public domain): the draws of one section. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Integer in [low, high]. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T;
  }

  /** A key at random, in proportion to its weight. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    let total = 0;
    for (const key in weights) total += weights[key];
    let draw = this.next() * total;
    let last: T | undefined;
    for (const key in weights) {
      draw -= weights[key];
      last = key;
      if (draw < 0) break;
    }
    return last as T;
  }
}

/**
 * Smooth noise in [0, 1]: random values on a square lattice of 1, cubic steps between.
 *
 * @param purpose  distinguishes different maps of the same seed.
 */
export function noise(seed: number, x: number, y: number, purpose: number): number {
  const col = Math.floor(x);
  const row = Math.floor(y);
  const fx = smooth(x - col);
  const fy = smooth(y - row);
  const northWest = hash(seed, col, row, purpose);
  const southWest = hash(seed, col, row + 1, purpose);
  const north = northWest + (hash(seed, col + 1, row, purpose) - northWest) * fx;
  const south = southWest + (hash(seed, col + 1, row + 1, purpose) - southWest) * fx;
  return (north + (south - north) * fy) / 2 ** 32;
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}
