import type { FieldId } from "../fields/field-id.js";
import { Polygons, readWkb, STATUS } from "../fields/wkb.js";
import type { WkbColumn } from "../kernel/geometry.js";
import { idHash } from "./id-order.js";

/** Boxes and hashed ids of some rows. */
export interface Boxes {
  /** `rows × 4`: west, south, east, north, rounded outward; west = Infinity where there is no polygon. */
  readonly box: Float32Array;
  /** 32 bits of each id's hash. */
  readonly idHash: Uint32Array;
}

const NOWHERE = [Infinity, Infinity, -Infinity, -Infinity] as const;

export function boxesOf(column: WkbColumn, id: (row: number) => FieldId | null): Boxes {
  const rows = column.offsets.length - 1;
  const box = new Float32Array(4 * rows);
  const hashes = new Uint32Array(rows);
  const polygons = new Polygons();
  for (let row = 0; row < rows; row++) {
    box.set(boxOf(column, row, polygons), 4 * row);
    const value = id(row);
    hashes[row] = value === null ? 0 : idHash(value);
  }
  return { box, idHash: hashes };
}

function boxOf(column: WkbColumn, row: number, polygons: Polygons): readonly number[] {
  const { values, offsets, validity, validityOffset = 0 } = column;
  if (validity !== undefined) {
    const bit = validityOffset + row;
    if ((((validity[bit >> 3] as number) >> (bit & 7)) & 1) === 0) return NOWHERE;
  }
  if (readWkb(values.subarray(offsets[row], offsets[row + 1]), polygons) !== STATUS.ok) return NOWHERE;
  let [west, south, east, north] = NOWHERE as readonly number[] as [number, number, number, number];
  for (let i = 0; i < polygons.x.length; i++) {
    const [x, y] = [polygons.x.data[i] as number, polygons.y.data[i] as number];
    if (x < west) west = x;
    if (x > east) east = x;
    if (y < south) south = y;
    if (y > north) north = y;
  }
  return [float32Below(west), float32Below(south), float32Above(east), float32Above(north)];
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The largest float32 that is not above. */
export function float32Below(value: number): number {
  return -float32Above(-value);
}

/** The smallest float32 that is not below. */
export function float32Above(value: number): number {
  float[0] = value;
  if ((float[0] as number) >= value) return float[0] as number;
  // Its bits count up with its size: one more for a positive number, one less for a negative.
  bits[0] = (bits[0] as number) + ((float[0] as number) < 0 ? -1 : 1);
  return float[0] as number;
}
