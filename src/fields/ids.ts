import { type Data, type DataType, type Decimal, Int64, makeData, Type } from "apache-arrow";
import type { IdColumn, IdOrder, IntegerArray } from "../kernel/parquet.js";
import { compareIds, type FieldId } from "./field-id.js";
import { isHalf, widened } from "./half-floats.js";

/** Ids are texts or whole numbers, whatever type the numbers have. */
const ID_TYPES: readonly Type[] = [Type.Int, Type.Float, Type.Decimal, Type.Utf8, Type.LargeUtf8];

/** The type of the ids in a column of `type`: Int64 for floats and decimals; undefined where it can hold no ids. */
export function idTypeOf(type: DataType): DataType | undefined {
  if (!ID_TYPES.includes(type.typeId)) return undefined;
  return type.typeId === Type.Float || type.typeId === Type.Decimal ? new Int64() : type;
}

/**
 * A column of ids as integers or strings: floats and decimals become Int64, NaN becomes null.
 *
 * @throws {Error} naming the column, at a number that is not whole, has more than 64 bits, or is so large that
 *   floats skip whole numbers.
 */
export function idData(data: Data, column: string): Data {
  const { length, typeId } = data;
  if (typeId !== Type.Float && typeId !== Type.Decimal) return data;
  const read = typeId === Type.Float ? floatReader(data, column) : decimalReader(data, column);
  const values = new BigInt64Array(length);
  const nullBitmap = new Uint8Array(Math.ceil(length / 8));
  let nullCount = 0;
  for (let row = 0; row < length; row++) {
    const value = data.getValid(row) ? read(row) : null;
    if (value === null) nullCount++;
    else {
      values[row] = value;
      nullBitmap[row >> 3] = (nullBitmap[row >> 3] as number) | (1 << (row & 7));
    }
  }
  return makeData({ type: new Int64(), length, nullCount, data: values, ...(nullCount > 0 && { nullBitmap }) });
}

/** From here on, floats of 64, 32 and 16 bits skip whole numbers. */
export const FLOAT64_END = 2 ** 53;
const FLOAT32_END = 2 ** 24;
const FLOAT16_END = 2 ** 11;

function floatReader(data: Data, column: string): (row: number) => bigint | null {
  const { values } = widened(data);
  const end = values instanceof Float64Array ? FLOAT64_END : isHalf(data.type) ? FLOAT16_END : FLOAT32_END;
  return (row) => wholeNumber(values[row] as number, end, column);
}

/** Null for NaN. */
export function wholeNumber(value: number, end: number, column: string): bigint | null {
  if (Number.isNaN(value)) return null;
  if (!Number.isInteger(value)) throw notAnId(column, value, "is not a whole number");
  if (Math.abs(value) >= end)
    throw notAnId(column, value, `is too large for its type, which skips numbers from ${end}`);
  return BigInt(value);
}

/** A column of decimals before they are divided by 10^scale: integers of 128 or 256 bits, least word first. */
export function decimalDigits({ values, type }: Data): (row: number) => bigint {
  const words = values as Uint32Array;
  const { bitWidth } = type as Decimal;
  const stride = bitWidth / 32;
  return (row) => {
    let digits = 0n;
    for (let i = stride - 1; i >= 0; i--) digits = (digits << 32n) | BigInt(words[row * stride + i] as number);
    return BigInt.asIntN(bitWidth, digits);
  };
}

function decimalReader(data: Data, column: string): (row: number) => bigint {
  const { scale } = data.type as Decimal;
  const read = decimalDigits(data);
  const divisor = 10n ** BigInt(scale);
  return (row) => {
    const digits = read(row);
    const value = digits / divisor;
    if (digits % divisor !== 0n) throw notAnId(column, `${digits}e-${scale}`, "is not a whole number");
    if (BigInt.asIntN(64, value) !== value) throw notAnId(column, value, "has more than 64 bits");
    return value;
  };
}

function notAnId(column: string, value: number | bigint | string, why: string): Error {
  return new Error(`column ${column}: ${value} ${why}; ids are whole numbers or text`);
}

/** Ids of an Arrow column, as idData has them; null where a row has none. */
export function idReader(column: Data, name = "id"): (row: number) => FieldId | null {
  const data = idData(column, name);
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

/** @param data  of idData, as below. */
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

/** Ids of an Arrow column as the zone index takes them, in buffers of their own. */
export function idColumn(data: Data): IdColumn {
  const { length, values, valueOffsets: offsets, typeId } = data;
  const valid =
    data.nullCount === 0 ? undefined : Uint8Array.from({ length }, (_, row) => (data.getValid(row) ? 1 : 0));
  const ids =
    typeId === Type.Int
      ? { values: (values as IntegerArray).slice(0, length) as IntegerArray }
      : stringIds(values as Uint8Array, offsets.subarray(0, length + 1));
  return { ...ids, ...(valid && { valid }) };
}

function stringIds(values: Uint8Array, offsets: Int32Array | BigInt64Array): IdColumn {
  const [begin, end] = [Number(offsets[0]), Number(offsets.at(-1))];
  const lengths = Uint32Array.from({ length: offsets.length - 1 }, (_, row) =>
    Number((offsets[row + 1] as number) - (offsets[row] as number)),
  );
  return { values: values.slice(begin, end), lengths };
}
