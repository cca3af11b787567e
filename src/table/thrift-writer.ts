/** Types of Thrift's compact protocol, as far as parquet's footer needs them. */
const [I16, I32, I64, BINARY, LIST, STRUCT] = [4, 5, 6, 8, 9, 12] as const;

/**
 * A struct in Thrift's compact protocol; fields are added in the order of their numbers.
 *
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
export class ThriftStruct {
  readonly #bytes: number[] = [];
  #last = 0;

  i16(field: number, value: number): this {
    return this.#key(field, I16).#varint(zigzag(value));
  }

  i32(field: number, value: number): this {
    return this.#key(field, I32).#varint(zigzag(value));
  }

  /** Below 2^53. */
  i64(field: number, value: number): this {
    return this.#key(field, I64).#varint(zigzag(value));
  }

  i8(field: number, value: number): this {
    this.#key(field, 3).#bytes.push(value & 0xff);
    return this;
  }

  truth(field: number, value: boolean): this {
    return this.#key(field, value ? 1 : 2);
  }

  binary(field: number, value: string | Uint8Array): this {
    return this.#key(field, BINARY).#put(value);
  }

  struct(field: number, value: ThriftStruct): this {
    return this.#key(field, STRUCT).#append(value.#finish());
  }

  i32s(field: number, values: readonly number[]): this {
    this.#list(field, I32, values.length);
    for (const value of values) this.#varint(zigzag(value));
    return this;
  }

  strings(field: number, values: readonly string[]): this {
    this.#list(field, BINARY, values.length);
    for (const value of values) this.#put(value);
    return this;
  }

  structs(field: number, values: readonly ThriftStruct[]): this {
    this.#list(field, STRUCT, values.length);
    for (const value of values) this.#append(value.#finish());
    return this;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#finish());
  }

  #finish(): readonly number[] {
    return [...this.#bytes, 0];
  }

  #key(field: number, type: number): this {
    this.#bytes.push(((field - this.#last) << 4) | type);
    this.#last = field;
    return this;
  }

  #list(field: number, type: number, length: number): void {
    this.#key(field, LIST);
    if (length < 15) this.#bytes.push((length << 4) | type);
    else {
      this.#bytes.push(0xf0 | type);
      this.#varint(length);
    }
  }

  #put(value: string | Uint8Array): this {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return this.#varint(bytes.length).#append(bytes);
  }

  #varint(value: number): this {
    let left = value;
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.#bytes.push((left % 0x80) | 0x80);
    this.#bytes.push(left);
    return this;
  }

  #append(bytes: ArrayLike<number>): this {
    for (let i = 0; i < bytes.length; i++) this.#bytes.push(bytes[i] as number);
    return this;
  }
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}
