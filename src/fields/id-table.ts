import { type FieldId, hash64 } from "./field-id.js";

/** Row of each id; 28 bytes an id, whatever its type. The first row with an id keeps it. */
export class IdTable {
  readonly #keys: BigUint64Array;
  /** Row + 1; 0 is free. Twice as many slots as ids, a power of two. */
  readonly #slots: Uint32Array;
  readonly #mask: number;

  constructor(capacity: number) {
    this.#keys = new BigUint64Array(capacity);
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * Math.max(1, capacity))));
    this.#mask = this.#slots.length - 1;
  }

  /**
   * Rows are added in any order, each once.
   *
   * @returns the row that keeps the id: this one, or the first that had it.
   */
  add(id: FieldId, row: number): number {
    const key = hash64(id);
    this.#keys[row] = key;
    const slot = this.#find(key);
    if (this.#slots[slot] === 0) this.#slots[slot] = row + 1;
    return (this.#slots[slot] as number) - 1;
  }

  /** The id's row, or -1. Two strings are taken for the same id when their 64-bit hashes agree. */
  rowOf(id: FieldId): number {
    return (this.#slots[this.#find(hash64(id))] as number) - 1;
  }

  #find(key: bigint): number {
    const mixed = BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n) >> 32n;
    let slot = Number(mixed) & this.#mask;
    for (;;) {
      const row = this.#slots[slot] as number;
      if (row === 0 || this.#keys[row - 1] === key) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }
}
