import { type FieldId, hash64 } from "../fields/field-id.js";

/** 32 well-mixed bits of an id: ids that follow each other lie far apart. */
export function idHash(id: FieldId): number {
  return Number(BigInt.asUintN(64, hash64(id) * 0x9e3779b97f4a7c15n) >> 32n);
}

/**
 * Rows in the order of their ids' hashes, as one word each: hash << 32 | row.
 *
 * @param rows  in row order; 12 bytes a row until they are sorted.
 */
export function orderIds(hashes: Uint32Array): BigUint64Array {
  const words = new BigUint64Array(hashes.length);
  const halves = new Uint32Array(words.buffer);
  for (let row = 0; row < hashes.length; row++) {
    halves[2 * row] = row;
    halves[2 * row + 1] = hashes[row] as number;
  }
  return words.sort();
}
