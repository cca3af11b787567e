/** A list of numbers in one typed array that grows by doubling and is used again. */
export class GrowingArray<A extends Float64Array | Uint32Array | Int32Array | Uint8Array> {
  length = 0;
  data: A;

  constructor(private readonly make: (capacity: number) => A) {
    this.data = make(256);
  }

  push(value: number): void {
    if (this.length === this.data.length) this.reserve(this.length + 1);
    this.data[this.length++] = value;
  }

  /** Room for `capacity` elements in all; what is there stays. */
  reserve(capacity: number): void {
    if (capacity <= this.data.length) return;
    const data = this.make(Math.max(capacity, 2 * this.data.length));
    data.set(this.data);
    this.data = data;
  }

  last(): number {
    return this.data[this.length - 1] as number;
  }

  clear(): void {
    this.length = 0;
  }

  /** A copy of the elements, of exactly their number. */
  take(): A {
    return this.data.slice(0, this.length) as A;
  }
}

export const float64s = (): GrowingArray<Float64Array> => new GrowingArray((n) => new Float64Array(n));
export const uint32s = (): GrowingArray<Uint32Array> => new GrowingArray((n) => new Uint32Array(n));
export const int32s = (): GrowingArray<Int32Array> => new GrowingArray((n) => new Int32Array(n));
export const bytes = (): GrowingArray<Uint8Array> => new GrowingArray((n) => new Uint8Array(n));
