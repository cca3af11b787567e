import { type Data, type DataType, type Float, Float16, Float32, makeData, util } from "apache-arrow";

/** The type that numbers of a column have when they are read: floats of 32 bits for those of 16. */
export function widenedType(type: DataType): DataType {
  return isHalf(type) ? new Float32() : type;
}

/** A column of floats of 16 bits, which Arrow keeps as integers, as floats of 32 bits; any other as it is. */
export function widened(data: Data): Data {
  if (!isHalf(data.type)) return data;
  const { length, nullCount, nullBitmap, offset } = data;
  const halves = data.values as Uint16Array;
  const values = Float32Array.from({ length }, (_, row) => util.uint16ToFloat64(halves[row] as number));
  const validity = nullCount > 0 ? { nullBitmap: validityOf(nullBitmap, offset, length) } : {};
  return makeData({ type: new Float32(), length, nullCount, data: values, ...validity });
}

export function isHalf(type: DataType): type is Float16 {
  return type instanceof Float16 || (type as Float).precision === new Float16().precision;
}

/** A bitmap that begins with its first row. */
function validityOf(bits: Uint8Array, offset: number, length: number): Uint8Array {
  const own = new Uint8Array(Math.ceil(length / 8));
  for (let row = 0, bit = offset & 7; row < length; row++, bit++) {
    if (((bits[bit >> 3] as number) >> (bit & 7)) & 1) own[row >> 3] = (own[row >> 3] as number) | (1 << (row & 7));
  }
  return own;
}
