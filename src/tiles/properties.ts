import type { FieldId } from "../fields/field-id.js";
import { type IncludedValue, NO_VALUE } from "../fields/included-values.js";
import type { TextColumn } from "../kernel/geometry.js";
import type { IncludedColumns } from "../kernel/tiler.js";
import { cropName } from "../legend/cdl-legend.js";

/** The attributes of features, in addition to the area. */
export interface PropertyChoice {
  /** The field id; not needed if it is the row number, which is the feature's id. */
  readonly fieldId: boolean;
  readonly cropName: boolean;
}

/** Bytes of a row's properties, without its id; the buffer grows if one needs more. */
const ROW_BYTES = 128;

/**
 * Properties of a batch as JSON members: `"field_id":7,"area_ha":64.75,"crop_code":1`.
 *
 * Area is rounded to 0.01 ha, finer than the polygons' accuracy: unrounded it takes 1/6 of
 * the archive. Missing attributes are omitted.
 *
 * @param id    null if the row has none.
 * @param area  hectares, NaN if unknown.
 * @param crop  CDL code, NaN if the field has none.
 * @param included  more members, each with a comma before it.
 */
export function propertyTexts(
  rows: number,
  id: (row: number) => FieldId | null,
  area: (row: number) => number,
  crop: (row: number) => number,
  choice: PropertyChoice,
  included?: (row: number) => string,
): TextColumn {
  let values = Buffer.allocUnsafe(rows * ROW_BYTES);
  const offsets = new Int32Array(rows + 1);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    let text = choice.fieldId ? idMember(id(row)) : "";
    const hectares = area(row);
    if (Number.isFinite(hectares)) text += `,"area_ha":${Math.round(hectares * 100) / 100}`;
    if (included !== undefined) text += included(row);
    const code = crop(row);
    if (!Number.isNaN(code)) text += `,"crop_code":${code}`;
    if (!Number.isNaN(code) && choice.cropName) text += nameMember(code);
    if (text.startsWith(",")) text = text.slice(1);
    if (at + text.length * 3 > values.length) values = Buffer.concat([values], values.length * 2 + text.length * 3);
    at += values.write(text, at);
    offsets[row + 1] = at;
  }
  return { values: values.subarray(0, at), offsets };
}

/** A value of `--include` as JSON. */
export function jsonValue(value: IncludedValue): Uint8Array {
  return Buffer.from(typeof value === "bigint" ? String(value) : JSON.stringify(value));
}

/** Members of a slice's rows: `,"CNTY":"Barton","acres":12.5`. @param columns  with values as JSON. */
export function includedMembers({ keys, index, values }: IncludedColumns, firstRow: number): (row: number) => string {
  const texts = Buffer.from(values.values.buffer, values.values.byteOffset, values.values.byteLength);
  const members = keys.map((key) => `,${JSON.stringify(key)}:`);
  return (row) => {
    let text = "";
    for (const [c, numbers] of index.entries()) {
      const number = numbers[firstRow + row] as number;
      if (number === NO_VALUE) continue;
      text += members[c] + texts.toString("utf8", values.offsets[number], values.offsets[number + 1]);
    }
    return text;
  };
}

function idMember(id: FieldId | null): string {
  if (id === null) return "";
  return typeof id === "bigint" ? `"field_id":${id}` : `"field_id":${JSON.stringify(id)}`;
}

const names = new Map<number, string>();

function nameMember(code: number): string {
  let text = names.get(code);
  if (text === undefined) {
    text = `,"crop_name":${JSON.stringify(cropName(code))}`;
    names.set(code, text);
  }
  return text;
}
