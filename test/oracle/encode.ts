import { bytes as byteList, type GrowingArray } from "../../dist/fields/growing-array.js";
import type { EncodedChunk } from "../../dist/kernel/parquet.js";

/** As parquet.thrift numbers them. */
const [PLAIN, DELTA, DELTA_STRINGS, DICTIONARY] = [0, 5, 7, 8] as const;

/** Types of a parquet column of numbers. */
export type ParquetNumbers = Int32Array | BigInt64Array | Float32Array | Float64Array;

/** One byte a row, 0 where it has no value; undefined for a column that must not hold nulls. */
type Valid = Uint8Array | undefined;

type Bytes = GrowingArray<Uint8Array>;

/** Numbers of few values; those of the rows that have one. See native/parquet/encode.h. */
export function encodeNumbers(values: ParquetNumbers, valid: Valid, rows: number, unsigned: boolean): EncodedChunk {
  const chunk = new Chunk();
  const first = new Map<number | bigint, number>();
  const index = Uint32Array.from(values as ArrayLike<number>, (value) => {
    const known = first.get(value) ?? first.size;
    first.set(value, known);
    return known;
  });
  const sorted = sort([...first.keys()], values, unsigned);
  if (sorted.length > 0) chunk.setBounds(plain(values, [sorted[0]]), plain(values, [sorted.at(-1)]));
  if (first.size > Math.floor(values.length / 2) + 1) {
    chunk.putData(
      PLAIN,
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      valid,
      rows,
      values.length,
    );
    return chunk.finish();
  }
  const rank = new Uint32Array(first.size);
  sorted.forEach((value, i) => {
    rank[first.get(value) as number] = i;
  });
  chunk.putDictionary(plain(values, sorted), sorted.length);
  chunk.putIndices(
    index.map((i) => rank[i] as number),
    sorted.length,
    valid,
    rows,
  );
  return chunk.finish();
}

/** Integers that rise from row to row. */
export function encodeRising(
  values: Int32Array | BigInt64Array,
  valid: Valid,
  rows: number,
  unsigned: boolean,
): EncodedChunk {
  const chunk = new Chunk();
  if (values.length > 0) {
    const order = sort([...(values as Int32Array)], values, unsigned);
    chunk.setBounds(plain(values, [order[0]]), plain(values, [order.at(-1)]));
  }
  const out = byteList();
  putDelta(out, values);
  chunk.putData(DELTA, out.take(), valid, rows, values.length);
  return chunk.finish();
}

/** Strings out of a short list. */
export function encodeChoices(
  index: Uint32Array,
  texts: readonly Uint8Array[],
  valid: Valid,
  rows: number,
): EncodedChunk {
  const chunk = new Chunk();
  const order = [...new Set(index)].sort((a, b) => Buffer.compare(texts[a] as Uint8Array, texts[b] as Uint8Array));
  const values = byteList();
  for (const i of order) {
    const text = texts[i] as Uint8Array;
    putBytes(values, new Uint8Array(Uint32Array.of(text.length).buffer));
    putBytes(values, text);
  }
  if (order.length > 0) {
    chunk.setBounds(texts[order[0] as number] as Uint8Array, texts[order.at(-1) as number] as Uint8Array);
  }
  const rank = new Map(order.map((i, place) => [i, place]));
  chunk.putDictionary(values.take(), order.length);
  chunk.putIndices(
    index.map((i) => rank.get(i) as number),
    order.length,
    valid,
    rows,
  );
  return chunk.finish();
}

/** Strings that begin like the one before. */
export function encodeStrings(text: Uint8Array, lengths: Uint32Array, valid: Valid, rows: number): EncodedChunk {
  const chunk = new Chunk();
  const shared = new Int32Array(lengths.length);
  const rest = new Int32Array(lengths.length);
  const suffixes = byteList();
  let last = text.subarray(0, 0);
  let [least, most]: [Uint8Array | undefined, Uint8Array | undefined] = [undefined, undefined];
  let at = 0;
  lengths.forEach((length, i) => {
    const one = text.subarray(at, at + length);
    const limit = Math.min(length, last.length);
    let same = 0;
    while (same < limit && one[same] === last[same]) same++;
    [shared[i], rest[i]] = [same, length - same];
    putBytes(suffixes, one.subarray(same));
    if (least === undefined || Buffer.compare(one, least) < 0) least = one;
    if (most === undefined || Buffer.compare(most, one) < 0) most = one;
    last = one;
    at += length;
  });
  if (least !== undefined && most !== undefined) chunk.setBounds(least, most);
  const values = byteList();
  putDelta(values, shared);
  putDelta(values, rest);
  putBytes(values, suffixes.take());
  chunk.putData(DELTA_STRINGS, values.take(), valid, rows, lengths.length);
  return chunk.finish();
}

/** A chunk's pages as they are put together. */
class Chunk {
  readonly #bytes = byteList();
  #dictionaryBytes = 0;
  #encoding = 0;
  #nulls = 0;
  #min = new Uint8Array(0);
  #max = new Uint8Array(0);

  setBounds(min: Uint8Array, max: Uint8Array): void {
    [this.#min, this.#max] = [min.slice(), max.slice()];
  }

  putDictionary(values: Uint8Array, count: number): void {
    const header = new Header();
    header.integer(1, 2); // DICTIONARY_PAGE
    header.integer(2, values.length);
    header.integer(3, values.length);
    header.begin(7);
    header.integer(1, count);
    header.integer(2, PLAIN);
    header.truth(3); // sorted
    header.end();
    putBytes(this.#bytes, header.finish());
    putBytes(this.#bytes, values);
    this.#dictionaryBytes = this.#bytes.length;
  }

  putIndices(index: Uint32Array, size: number, valid: Valid, rows: number): void {
    const width = size > 1 ? bitsOf(BigInt(size - 1)) : 0;
    const values = byteList();
    values.push(width);
    putHybrid(values, index, width);
    this.putData(DICTIONARY, values.take(), valid, rows, index.length);
  }

  putData(encoding: number, values: Uint8Array, valid: Valid, rows: number, present: number): void {
    [this.#encoding, this.#nulls] = [encoding, rows - present];
    const levels = byteList();
    if (valid !== undefined) {
      const packed = byteList();
      putHybrid(packed, valid.subarray(0, rows), 1);
      putBytes(levels, new Uint8Array(Uint32Array.of(packed.length).buffer));
      putBytes(levels, packed.take());
    }
    const header = new Header();
    const size = levels.length + values.length;
    header.integer(1, 0); // DATA_PAGE
    header.integer(2, size);
    header.integer(3, size);
    header.begin(5);
    header.integer(1, rows);
    header.integer(2, encoding);
    header.integer(3, 3); // RLE
    header.integer(4, 3);
    header.end();
    putBytes(this.#bytes, header.finish());
    putBytes(this.#bytes, levels.take());
    putBytes(this.#bytes, values);
  }

  finish(): EncodedChunk {
    return {
      bytes: this.#bytes.take(),
      dictionaryBytes: this.#dictionaryBytes,
      encoding: this.#encoding,
      nulls: this.#nulls,
      min: this.#min,
      max: this.#max,
    };
  }
}

/** Thrift's compact protocol, as far as page headers need it. */
class Header {
  readonly #bytes = byteList();
  #last = 0;
  #outer = 0;

  integer(field: number, value: number): void {
    this.#key(field, 5);
    putVarint(this.#bytes, BigInt(value) * 2n);
  }

  truth(field: number): void {
    this.#key(field, 1);
  }

  begin(field: number): void {
    this.#key(field, 12);
    [this.#outer, this.#last] = [this.#last, 0];
  }

  end(): void {
    this.#bytes.push(0);
    this.#last = this.#outer;
  }

  finish(): Uint8Array {
    this.#bytes.push(0);
    return this.#bytes.take();
  }

  #key(field: number, type: number): void {
    this.#bytes.push(((field - this.#last) << 4) | type);
    this.#last = field;
  }
}

/** RLE/bit-packing hybrid: a run of eight or more is one value and its count, all else groups of eight. */
function putHybrid(out: Bytes, values: Uint32Array | Uint8Array, width: number): void {
  const count = values.length;
  const repeats = (at: number): boolean => {
    if (at + 8 > count) return false;
    for (let i = 1; i < 8; i++) if (values[at + i] !== values[at]) return false;
    return true;
  };
  for (let at = 0; at < count; ) {
    let end = at;
    if (repeats(at)) {
      while (end < count && values[end] === values[at]) end++;
      putVarint(out, BigInt(end - at) * 2n);
      for (let i = 0; i < width; i += 8) out.push((values[at] as number) >>> i);
    } else {
      while (end < count && !repeats(end)) end += 8;
      putVarint(out, BigInt((end - at) / 8) * 2n + 1n);
      const group = Array.from({ length: end - at }, (_, i) => BigInt(values[at + i] ?? 0));
      putBits(out, group, width);
    }
    at = Math.min(end, count);
  }
}

/** Values of `width` bits one after the other, the lowest bit first, to a whole byte. */
function putBits(out: Bytes, values: readonly bigint[], width: number): void {
  let [held, used] = [0n, 0];
  for (const value of values) {
    held |= value << BigInt(used);
    for (used += width; used >= 8; used -= 8) {
      out.push(Number(held & 0xffn));
      held >>= 8n;
    }
  }
  if (used > 0) out.push(Number(held));
}

const BLOCK = 128;
const MINI_BLOCK = 32;

/** DELTA_BINARY_PACKED; differences wrap around in the type's own width. */
function putDelta(out: Bytes, values: Int32Array | BigInt64Array): void {
  const bits = 8 * values.BYTES_PER_ELEMENT;
  const count = values.length;
  putVarint(out, BigInt(BLOCK));
  putVarint(out, BigInt(BLOCK / MINI_BLOCK));
  putVarint(out, BigInt(count));
  putVarint(out, zigzag(BigInt(values[0] ?? 0)));
  for (let at = 1; at < count; at += BLOCK) {
    const n = Math.min(BLOCK, count - at);
    const deltas = Array.from({ length: n }, (_, i) =>
      BigInt.asIntN(bits, BigInt(values[at + i] as number) - BigInt(values[at + i - 1] as number)),
    );
    const least = deltas.reduce((a, b) => (b < a ? b : a));
    putVarint(out, zigzag(least));
    const above = Array.from({ length: BLOCK }, (_, i) =>
      i < n ? BigInt.asUintN(bits, (deltas[i] as bigint) - least) : 0n,
    );
    const minis = Array.from({ length: BLOCK / MINI_BLOCK }, (_, i) =>
      above.slice(i * MINI_BLOCK, (i + 1) * MINI_BLOCK),
    );
    const widths = minis.map((mini) => bitsOf(mini.reduce((a, b) => a | b)));
    for (const width of widths) out.push(width);
    minis.forEach((mini, i) => {
      if (i * MINI_BLOCK < n) putBits(out, mini, widths[i] as number);
    });
  }
}

function putVarint(out: Bytes, value: bigint): void {
  let left = value;
  for (; left >= 0x80n; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80);
  out.push(Number(left));
}

function zigzag(value: bigint): bigint {
  return value < 0n ? -2n * value - 1n : 2n * value;
}

function bitsOf(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

function putBytes(out: Bytes, more: Uint8Array): void {
  out.reserve(out.length + more.length);
  out.data.set(more, out.length);
  out.length += more.length;
}

/** As PLAIN has numbers of a column's type. */
function plain(type: ParquetNumbers, values: readonly (number | bigint | undefined)[]): Uint8Array {
  const typed = new (type.constructor as new (values: unknown) => ParquetNumbers)(values);
  return new Uint8Array(typed.buffer);
}

/** Ascending; integers by their bits where they are unsigned. */
function sort(values: (number | bigint)[], type: ParquetNumbers, unsigned: boolean): (number | bigint)[] {
  const key = (value: number | bigint) =>
    unsigned ? BigInt.asUintN(8 * type.BYTES_PER_ELEMENT, BigInt(value)) : value;
  return values.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
