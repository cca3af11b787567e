/**
 * Finds an earlier content with the same key in constant memory per content
 * (8 bytes, at most half full), where a Map of four million would take 250 MB.
 *
 * Open addressing with linear probing; the key is 32 bits, so that a hit is only a
 * candidate: the caller compares bytes.
 */
export class ContentTable {
  #keys = new Uint32Array(1024);
  /** Content number + 1; 0 is free. */
  #slots = new Uint32Array(1024);
  #count = 0;

  /** The content stored first under `key`, or undefined; then `content` is stored under it. */
  findOrAdd(key: number, content: number): number | undefined {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const slot = this.#slotOf(key);
    const found = this.#slots[slot] as number;
    if (found !== 0) return found - 1;
    this.#keys[slot] = key;
    this.#slots[slot] = content + 1;
    this.#count++;
    return undefined;
  }

  #slotOf(key: number): number {
    const mask = this.#slots.length - 1;
    let slot = (key ^ (key >>> 15)) & mask;
    while (this.#slots[slot] !== 0 && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [keys, slots] = [this.#keys, this.#slots];
    this.#keys = new Uint32Array(keys.length * 2);
    this.#slots = new Uint32Array(slots.length * 2);
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === 0) continue;
      const slot = this.#slotOf(keys[i] as number);
      this.#keys[slot] = keys[i] as number;
      this.#slots[slot] = slots[i] as number;
    }
  }
}
