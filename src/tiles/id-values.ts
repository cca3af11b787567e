import { encodeValue } from "../archive/mvt-value.js";
import { exactNumber } from "../archive/varint.js";
import type { FieldId } from "../fields/field-id.js";
import type { TextColumn } from "../kernel/geometry.js";

/** Ids as vector tiles store attributes: protobuf messages `Value`, empty for a row without an id. */
export function idValues(rows: number, id: (row: number) => FieldId | null): TextColumn {
  const pieces: Uint8Array[] = [];
  const offsets = new Int32Array(rows + 1);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const value = id(row);
    if (value !== null) {
      const piece = encodeValue(typeof value === "bigint" ? exactNumber(value) : value);
      pieces.push(piece);
      end += piece.length;
    }
    offsets[row + 1] = end;
  }
  return { values: new Uint8Array(Buffer.concat(pieces)), offsets };
}
