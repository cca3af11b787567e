import { NO_CROP } from "./crop-classes.js";

/** Sequences counted at a time: 20 bytes each, twice that in free slots. */
const CAPACITY = 2 ** 20;
const FREE = -1;

export interface CountedSequence {
  /** Classes, a year each. */
  readonly classes: readonly number[];
  readonly fields: number;
  /** Hectares. */
  readonly area: number;
}

/**
 * Counts the sequences of crops that fields have, in bounded memory.
 *
 * When the table is full, the rarest are dropped (lossy counting): what is left is counted
 * short by `shortBy` fields at most.
 */
export class SequenceCounter {
  #keys: Float64Array;
  #fields: Uint32Array;
  #areas: Float64Array;
  #used = 0;
  /** Bound on what a count may lack; 0 as long as nothing was dropped. */
  shortBy = 0;
  /** Fields that have no crop in one of the years. */
  incomplete = 0;

  /** @param years  at most 6: a key is a byte a year, and whole in a double. */
  constructor(
    private readonly years: number,
    private readonly capacity = CAPACITY,
  ) {
    const slots = 2 ** Math.ceil(Math.log2(2 * capacity));
    this.#keys = new Float64Array(slots).fill(FREE);
    this.#fields = new Uint32Array(slots);
    this.#areas = new Float64Array(slots);
  }

  /**
   * @param columns  classes of every year, by row.
   * @param area     hectares; NaN for unknown adds nothing.
   */
  add(columns: readonly Int16Array[], row: number, area: number): void {
    let key = 0;
    for (const column of columns) {
      const cropClass = column[row] as number;
      if (cropClass === NO_CROP) {
        this.incomplete++;
        return;
      }
      key = key * 256 + cropClass;
    }
    this.#count(key, 1, Number.isNaN(area) ? 0 : area);
    if (this.#used >= this.capacity) this.#dropRarest();
  }

  *counted(): Generator<CountedSequence> {
    for (const [slot, key] of this.#keys.entries()) {
      if (key === FREE) continue;
      yield {
        classes: this.#classesOf(key),
        fields: this.#fields[slot] as number,
        area: this.#areas[slot] as number,
      };
    }
  }

  #classesOf(key: number): number[] {
    const classes: number[] = [];
    for (let rest = key, i = 0; i < this.years; i++, rest = Math.floor(rest / 256)) classes.unshift(rest % 256);
    return classes;
  }

  #count(key: number, fields: number, area: number): void {
    const mask = this.#keys.length - 1;
    const low = key % 2 ** 24;
    let slot = (Math.imul(low ^ Math.imul((key - low) / 2 ** 24, 0x85ebca6b), 0x9e3779b1) >>> 8) & mask;
    for (;;) {
      const found = this.#keys[slot] as number;
      if (found === key) break;
      if (found === FREE) {
        this.#keys[slot] = key;
        this.#used++;
        break;
      }
      slot = (slot + 1) & mask;
    }
    this.#fields[slot] = (this.#fields[slot] as number) + fields;
    this.#areas[slot] = (this.#areas[slot] as number) + area;
  }

  /** Drop those of the lowest counts until half the table is free. */
  #dropRarest(): void {
    const [keys, fields, areas] = [this.#keys, this.#fields, this.#areas];
    let atMost = 0;
    for (let left = this.#used; left > this.capacity / 2; ) {
      atMost++;
      left = 0;
      for (let slot = 0; slot < keys.length; slot++) {
        if (keys[slot] !== FREE && (fields[slot] as number) > atMost) left++;
      }
    }
    this.shortBy += atMost;
    this.#keys = new Float64Array(keys.length).fill(FREE);
    this.#fields = new Uint32Array(keys.length);
    this.#areas = new Float64Array(keys.length);
    this.#used = 0;
    for (let slot = 0; slot < keys.length; slot++) {
      if (keys[slot] !== FREE && (fields[slot] as number) > atMost) {
        this.#count(keys[slot] as number, fields[slot] as number, areas[slot] as number);
      }
    }
  }
}
