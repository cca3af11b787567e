/** Field numbers and wire types of an MVT value. */
const VALUE = { string: (1 << 3) | 2, double: (3 << 3) | 1, int: 4 << 3, uint: 5 << 3, sint: 6 << 3 } as const;

/** An MVT value as tippecanoe writes it: integers as integers, negative ones in zigzag. */
export function encodeValue(value: string | number | bigint): Uint8Array {
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from([VALUE.string, ...varint(text.length)]), text]);
  }
  // Not zigzag: decoders that have only doubles lose the sign, which is its last bit.
  if (typeof value === "bigint") {
    return Uint8Array.from([value >= 0n ? VALUE.uint : VALUE.int, ...varint(BigInt.asUintN(64, value))]);
  }
  if (Number.isSafeInteger(value)) {
    return Uint8Array.from(value >= 0 ? [VALUE.uint, ...varint(value)] : [VALUE.sint, ...varint(-2 * value - 1)]);
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = VALUE.double;
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let large = BigInt(value);
  for (; large > Number.MAX_SAFE_INTEGER; large >>= 7n) bytes.push(Number(large & 0x7fn) | 0x80);
  let rest = Number(large);
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}
