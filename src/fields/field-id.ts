import type { IdColumn } from "../kernel/parquet.js";

/** A field's id: a bigint for numeric columns of any type, else a string. */
export type FieldId = bigint | string;

/** Ids of rows that follow one another; null where a row has none. */
export function columnIds({ values, lengths, valid }: IdColumn): (row: number) => FieldId | null {
  const isThere = (row: number) => valid === undefined || valid[row] === 1;
  if (lengths === undefined) return (row) => (isThere(row) ? BigInt(values[row] as number | bigint) : null);
  const text = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const begin = new Float64Array(lengths.length + 1);
  lengths.forEach((length, row) => {
    begin[row + 1] = (begin[row] as number) + length;
  });
  return (row) => (isThere(row) ? text.toString("utf8", begin[row], begin[row + 1]) : null);
}

/** Below 0 where `a` comes first; strings by their bytes, as the kernel has it. Both are of one column. */
export function compareIds(a: FieldId, b: FieldId): number {
  if (typeof a === "string" || typeof b === "string") return Buffer.compare(Buffer.from(`${a}`), Buffer.from(`${b}`));
  return a < b ? -1 : Number(a > b);
}

/** An integer is its own hash; a string's is FNV-1a over its UTF-16 units, in 64 bits. */
export function hash64(id: FieldId): bigint {
  if (typeof id === "bigint") return BigInt.asUintN(64, id);
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (let i = 0; i < id.length; i++) {
    low ^= id.charCodeAt(i);
    // × 0x100000001b3 in two 32-bit halves
    const carry = Math.floor(((low >>> 0) * 0x1b3) / 2 ** 32);
    high = (Math.imul(high, 0x1b3) + (low << 8) + carry) | 0;
    low = Math.imul(low, 0x1b3);
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
