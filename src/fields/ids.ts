import { type Data, Type } from "apache-arrow";
import type { IdOrder } from "../kernel/pages.js";
import type { FieldsFile } from "./fields-file.js";
import { columnData, readSlice } from "./read-slice.js";
import { planSlices } from "./slice.js";

/** A field's id: a bigint for integer columns of any width, else a string. */
export type FieldId = bigint | string;

/** Ids of an Arrow column; null where a row has none. */
export function idReader(data: Data): (row: number) => FieldId | null {
  const read = valueReader(data);
  return data.nullCount === 0 ? read : (row) => (data.getValid(row) ? read(row) : null);
}

/** The same where no row is null; a null one would come as an empty string or 0. */
function valueReader(data: Data): (row: number) => FieldId {
  const { values, valueOffsets: offsets, typeId } = data;
  if (typeId === Type.Int) {
    const integers = values as Int32Array | BigInt64Array;
    return (row) => BigInt(integers[row] as number | bigint);
  }
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return (row) => bytes.toString("utf8", Number(offsets[row]), Number(offsets[row + 1]));
}

/** Below 0 where `a` comes first; strings by their bytes, as the kernel has it. Both are of one column. */
export function compareIds(a: FieldId, b: FieldId): number {
  if (typeof a === "string" || typeof b === "string") return Buffer.compare(Buffer.from(`${a}`), Buffer.from(`${b}`));
  return a < b ? -1 : Number(a > b);
}

export function idOrder(data: Data): IdOrder {
  const id = valueReader(data);
  let rising = data.nullCount === 0;
  const first = id(0);
  let last = first;
  for (let row = 1; row < data.length && rising; row++) {
    const next = id(row);
    rising = compareIds(last, next) < 0;
    last = next;
  }
  return { first, last: id(data.length - 1), rising };
}

/**
 * Rows whose id stood in an earlier row, and rows without an id, ascending.
 *
 * Only needed when ids do not simply rise; takes 16 bytes a row.
 */
export async function duplicateRows(fields: FieldsFile, batch: number): Promise<Uint32Array> {
  const hashes = new BigUint64Array(fields.rows);
  let nulls = 0;
  for (const slice of planSlices(fields, batch)) {
    const data = columnData(await readSlice(fields.path, slice, [fields.idColumn]), fields.idColumn);
    const id = idReader(data);
    nulls += data.nullCount;
    for (let i = 0; i < slice.rows; i++) hashes[slice.firstRow + i] = hash64(id(i) ?? 0n);
  }
  const sorted = hashes.slice().sort();
  const repeated = new Set<bigint>();
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1]) repeated.add(sorted[i] as bigint);
  }
  if (repeated.size === 0 && nulls === 0) return new Uint32Array(0);
  // Hashes only say where to look: two different ids may share one.
  const seen = new Set<FieldId>();
  const rows: number[] = [];
  for (const slice of planSlices(fields, batch)) {
    const data = columnData(await readSlice(fields.path, slice, [fields.idColumn]), fields.idColumn);
    const id = idReader(data);
    for (let i = 0; i < slice.rows; i++) {
      const row = slice.firstRow + i;
      const value = id(i);
      if (value === null) rows.push(row);
      else if (repeated.has(hashes[row] as bigint)) {
        if (seen.has(value)) rows.push(row);
        seen.add(value);
      }
    }
  }
  return Uint32Array.from(rows);
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

/** Ids of rows, in the order asked, null where a row has none; rows ascending. */
export async function idsOfRows(
  fields: FieldsFile,
  rows: readonly number[],
  batch: number,
): Promise<(FieldId | null)[]> {
  const ids: (FieldId | null)[] = [];
  let at = 0;
  for (const slice of planSlices(fields, batch)) {
    if (at >= rows.length) break;
    const end = slice.firstRow + slice.rows;
    if ((rows[at] as number) >= end) continue;
    const id = idReader(columnData(await readSlice(fields.path, slice, [fields.idColumn]), fields.idColumn));
    for (; at < rows.length && (rows[at] as number) < end; at++) ids.push(id((rows[at] as number) - slice.firstRow));
  }
  return ids;
}
