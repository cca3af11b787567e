/**
 * Thrift's compact protocol, in which parquet writes its footer and page headers: structs are
 * read without knowing their schema and written back as they were.
 *
 * @see https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

export const THRIFT = {
  stop: 0,
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
} as const;

export type ThriftType = (typeof THRIFT)[keyof typeof THRIFT];

/** Integers are bigints; doubles stay as their bytes. */
export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftList | ThriftStruct;

export interface ThriftList {
  readonly of: ThriftType;
  readonly items: readonly ThriftValue[];
}

export interface ThriftField {
  readonly type: ThriftType;
  readonly value: ThriftValue;
}

/** Fields by number. */
export type ThriftStruct = Map<number, ThriftField>;

/** The bytes end before the struct does: more of them are to be read. */
class ThriftEnd extends Error {}

/** @returns the struct at the beginning of `bytes`, and how many of them it takes. */
export function readStruct(bytes: Uint8Array): { struct: ThriftStruct; length: number } {
  const reader = new Reader(bytes);
  const struct = reader.struct();
  return { struct, length: reader.at };
}

export function writeStruct(struct: ThriftStruct): Uint8Array {
  const out: number[] = [];
  putStruct(out, struct);
  return Uint8Array.from(out);
}

/** A whole number field; undefined where it is absent. */
export function numberField(struct: ThriftStruct, field: number): number | undefined {
  const value = struct.get(field)?.value;
  return typeof value === "bigint" ? Number(value) : undefined;
}

export function structField(struct: ThriftStruct, field: number): ThriftStruct | undefined {
  const value = struct.get(field)?.value;
  return value instanceof Map ? value : undefined;
}

/** Structs of a list; none where it is absent. */
export function structsField(struct: ThriftStruct, field: number): readonly ThriftStruct[] {
  const value = struct.get(field)?.value as ThriftList | undefined;
  return (value?.items ?? []) as readonly ThriftStruct[];
}

export const i32 = (value: number): ThriftField => ({ type: THRIFT.i32, value: BigInt(value) });
export const i64 = (value: number): ThriftField => ({ type: THRIFT.i64, value: BigInt(value) });
export const structs = (items: readonly ThriftStruct[]): ThriftField => ({
  type: THRIFT.list,
  value: { of: THRIFT.struct, items },
});

class Reader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  struct(): ThriftStruct {
    const struct: ThriftStruct = new Map();
    for (let field = 0; ; ) {
      const head = this.#byte();
      if (head === THRIFT.stop) return struct;
      field = head >> 4 === 0 ? Number(this.#zigzag()) : field + (head >> 4);
      const type = (head & 15) as ThriftType;
      struct.set(field, { type, value: type <= THRIFT.false ? type === THRIFT.true : this.#value(type) });
    }
  }

  #value(type: ThriftType): ThriftValue {
    if (type === THRIFT.true || type === THRIFT.false) return this.#byte() === THRIFT.true;
    if (type === THRIFT.byte) return this.#byte();
    if (type === THRIFT.i16 || type === THRIFT.i32 || type === THRIFT.i64) return this.#zigzag();
    if (type === THRIFT.double) return this.#take(8);
    if (type === THRIFT.binary) return this.#take(Number(this.#varint()));
    if (type === THRIFT.struct) return this.struct();
    if (type === THRIFT.list || type === THRIFT.set) {
      const head = this.#byte();
      const of = (head & 15) as ThriftType;
      const length = head >> 4 === 15 ? Number(this.#varint()) : head >> 4;
      return { of, items: Array.from({ length }, () => this.#value(of)) };
    }
    throw new Error(`Thrift type ${type} is not known in parquet`);
  }

  #byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new ThriftEnd();
    return byte;
  }

  #take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new ThriftEnd();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #zigzag(): bigint {
    const value = this.#varint();
    return (value >> 1n) ^ -(value & 1n);
  }
}

function putStruct(out: number[], struct: ThriftStruct): void {
  let last = 0;
  for (const [field, { type, value }] of [...struct].sort(([a], [b]) => a - b)) {
    const kind = typeof value === "boolean" ? (value ? THRIFT.true : THRIFT.false) : type;
    if (field - last > 0 && field - last < 16) out.push(((field - last) << 4) | kind);
    else {
      out.push(kind);
      putZigzag(out, BigInt(field));
    }
    if (typeof value !== "boolean") putValue(out, type, value);
    last = field;
  }
  out.push(THRIFT.stop);
}

function putValue(out: number[], type: ThriftType, value: ThriftValue): void {
  if (typeof value === "boolean") out.push(value ? THRIFT.true : THRIFT.false);
  else if (typeof value === "number") out.push(value);
  else if (typeof value === "bigint") putZigzag(out, value);
  else if (value instanceof Map) putStruct(out, value);
  else if (value instanceof Uint8Array) {
    if (type === THRIFT.binary) putVarint(out, BigInt(value.length));
    for (const byte of value) out.push(byte);
  } else {
    const { of, items } = value;
    if (items.length < 15) out.push((items.length << 4) | of);
    else {
      out.push(0xf0 | of);
      putVarint(out, BigInt(items.length));
    }
    for (const item of items) putValue(out, of, item);
  }
}

function putZigzag(out: number[], value: bigint): void {
  putVarint(out, BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
}

function putVarint(out: number[], value: bigint): void {
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}
