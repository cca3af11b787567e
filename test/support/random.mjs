// Seeded random numbers (mulberry32): a test that fails once fails again.
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** [0, 1) */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** [from, to) */
  between(from, to) {
    return from + (to - from) * this.next();
  }

  /** Integer of [from, to). */
  integer(from, to) {
    return Math.floor(this.between(from, to));
  }

  chance(share) {
    return this.next() < share;
  }

  pick(list) {
    return list[this.integer(0, list.length)];
  }
}
