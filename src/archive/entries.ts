/**
 * A directory's entries as columns: a US archive has about four million, which as
 * objects would cost half a gigabyte.
 */
export class Entries {
  tileIds: Float64Array;
  /** Bytes from the start of the section that is pointed into (tiles or leaves). */
  offsets: Float64Array;
  lengths: Uint32Array;
  /** How many successive tiles share the content; 0 marks a leaf directory. */
  runLengths: Uint32Array;
  count = 0;

  constructor(capacity = 1024) {
    this.tileIds = new Float64Array(capacity);
    this.offsets = new Float64Array(capacity);
    this.lengths = new Uint32Array(capacity);
    this.runLengths = new Uint32Array(capacity);
  }

  push(tileId: number, offset: number, length: number, runLength: number): void {
    if (this.count === this.tileIds.length) this.#grow(Math.max(1024, this.count * 2));
    const i = this.count++;
    this.tileIds[i] = tileId;
    this.offsets[i] = offset;
    this.lengths[i] = length;
    this.runLengths[i] = runLength;
  }

  append(other: Entries): void {
    if (this.count + other.count > this.tileIds.length) {
      this.#grow(Math.max(this.count + other.count, this.tileIds.length * 2));
    }
    this.tileIds.set(other.tileIds.subarray(0, other.count), this.count);
    this.offsets.set(other.offsets.subarray(0, other.count), this.count);
    this.lengths.set(other.lengths.subarray(0, other.count), this.count);
    this.runLengths.set(other.runLengths.subarray(0, other.count), this.count);
    this.count += other.count;
  }

  tileId(i: number): number {
    return this.tileIds[i] as number;
  }
  offset(i: number): number {
    return this.offsets[i] as number;
  }
  length(i: number): number {
    return this.lengths[i] as number;
  }
  runLength(i: number): number {
    return this.runLengths[i] as number;
  }

  /** Index of the last entry whose first tile is at or before `tileId`; −1 when there is none. */
  findAtOrBefore(tileId: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.tileId(middle) <= tileId) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #grow(capacity: number): void {
    const grown = <T extends Float64Array | Uint32Array>(larger: T, column: T): T => {
      larger.set(column);
      return larger;
    };
    this.tileIds = grown(new Float64Array(capacity), this.tileIds);
    this.offsets = grown(new Float64Array(capacity), this.offsets);
    this.lengths = grown(new Uint32Array(capacity), this.lengths);
    this.runLengths = grown(new Uint32Array(capacity), this.runLengths);
  }
}
