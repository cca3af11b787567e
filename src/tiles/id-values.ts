import { VarintWriter } from "../archive/varint.js";
import type { FieldId } from "../fields/field-id.js";
import type { TextColumn } from "../kernel/geometry.js";

const STRING = (1 << 3) | 2;
const UNSIGNED = (5 << 3) | 0;
const SIGNED = (6 << 3) | 0;

/** Ids as vector tiles store attributes: protobuf messages `Value`, empty for a row without an id. */
export function idValues(rows: number, id: (row: number) => FieldId | null): TextColumn {
  const pieces: Uint8Array[] = [];
  const offsets = new Int32Array(rows + 1);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const value = id(row);
    if (value !== null) {
      const piece = typeof value === "bigint" ? integer(value) : text(value);
      pieces.push(piece);
      end += piece.length;
    }
    offsets[row + 1] = end;
  }
  return { values: new Uint8Array(Buffer.concat(pieces)), offsets };
}

function integer(value: bigint): Uint8Array {
  const bytes = [value < 0n ? SIGNED : UNSIGNED];
  let rest = value < 0n ? -2n * value - 1n : value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, "utf8");
  const writer = new VarintWriter();
  writer.put(STRING);
  writer.put(bytes.length);
  return Buffer.concat([writer.finish(), bytes]);
}
