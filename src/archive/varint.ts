/**
 * Little-endian base-128 integers, as PMTiles directories and protobuf use them.
 *
 * Values are JavaScript numbers, exact up to 2^53; nothing in an archive is larger.
 */
export class VarintReader {
  position: number;

  constructor(
    readonly bytes: Uint8Array,
    start = 0,
    readonly end = bytes.length,
  ) {
    this.position = start;
  }

  /** @throws {RangeError} when the number extends past the end or over 2^53. */
  next(): number {
    const { bytes } = this;
    let value = 0;
    // The first four bytes (28 bits) fit 32-bit arithmetic, which is what nearly all numbers need.
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.position >= this.end) throw new RangeError("number extends past the end");
      const byte = bytes[this.position++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    for (let factor = 2 ** 28; factor <= 2 ** 49; factor *= 128) {
      if (this.position >= this.end) throw new RangeError("number extends past the end");
      const byte = bytes[this.position++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new RangeError("number is larger than 2^53");
        return value;
      }
    }
    throw new RangeError("number is larger than 2^53");
  }

  /** Any 64-bit number, signed when `signed`: a bigint where a double would round it. */
  next64(signed = false): number | bigint {
    const start = this.position;
    let small = 0;
    for (let factor = 1; factor <= 2 ** 42; factor *= 128) {
      if (this.position >= this.end) throw new RangeError("number extends past the end");
      const byte = this.bytes[this.position++] as number;
      small += (byte & 0x7f) * factor;
      if (byte < 0x80) return small;
    }
    this.position = start;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.position >= this.end) throw new RangeError("number extends past the end");
      const byte = this.bytes[this.position++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return exactNumber(signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
    }
    throw new RangeError("number is longer than 64 bits");
  }

  skip(length: number): void {
    if (length > this.end - this.position) throw new RangeError("field extends past the end");
    this.position += length;
  }

  get done(): boolean {
    return this.position >= this.end;
  }
}

/** A bigint as a number where that is exact. */
export function exactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Growing buffer of such numbers. */
export class VarintWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  put(value: number): void {
    if (this.#length + 8 > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
