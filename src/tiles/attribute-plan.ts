import { encodeValue } from "../archive/mvt-value.js";
import type { TextColumn } from "../kernel/geometry.js";
import type { AttributeColumn, AttributeOutput, AttributePlan } from "../kernel/tiles.js";
import { cropName } from "../legend/cdl-legend.js";
import { type CropKeys, cropKeys } from "./archive-metadata.js";
import type { CropIndex } from "./crop-index.js";

/** The attribute that records are made for. */
export const RECORD_KEY = cropKeys(false).code;

/** One year's crops, as attributes of these names. */
export interface YearAttributes {
  readonly keys: CropKeys;
  readonly crops: CropIndex;
}

/**
 * The kernel's arguments, for archives that contain one year or several each.
 *
 * @param seen  by layer; shared, one byte per row.
 */
export function planAttributes(
  rows: number,
  seen: ReadonlyMap<string, Uint8Array>,
  outputs: readonly (readonly YearAttributes[])[],
  level: number,
): AttributePlan {
  const values = new ValueTable();
  const columnOf = ({ keys, crops }: YearAttributes): AttributeColumn => ({
    keys: keys.name === undefined ? [keys.code] : [keys.code, keys.name],
    index: crops.index,
    palette: Uint32Array.from(
      crops.codes.flatMap((code) =>
        keys.name === undefined ? [values.number(code)] : [values.number(code), values.number(cropName(code))],
      ),
    ),
  });
  return {
    rows,
    layers: [...seen].map(([name, bytes]) => ({ name, seen: bytes })),
    outputs: outputs.map((years): AttributeOutput => ({ columns: years.map(columnOf), codes: codesOf(years) })),
    values: values.texts(),
    level,
  };
}

/** Classes from here on do not fit a record's slots. */
const SLOT_CLASSES = 2 ** 14;

/** The values for the records' one attribute, the crop code. */
function codesOf(years: readonly YearAttributes[]): Uint32Array | undefined {
  const [year] = years;
  if (year === undefined || years.length > 1 || year.keys.name !== undefined || year.keys.code !== RECORD_KEY) {
    return undefined;
  }
  // One value stands for all that a slot cannot hold: such tiles are rewritten.
  const fits = (code: number) => Number.isInteger(code) && code >= 0 && code < SLOT_CLASSES;
  return Uint32Array.from(year.crops.codes, (code) => (fits(code) ? code : SLOT_CLASSES));
}

/** Different values, each encoded once. */
class ValueTable {
  readonly #numbers = new Map<string | number, number>();
  readonly #encoded: Uint8Array[] = [];

  number(value: string | number): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const number = this.#encoded.push(encodeValue(value)) - 1;
    this.#numbers.set(value, number);
    return number;
  }

  texts(): TextColumn {
    const offsets = new Int32Array(this.#encoded.length + 1);
    for (const [i, bytes] of this.#encoded.entries()) offsets[i + 1] = (offsets[i] as number) + bytes.length;
    return { values: new Uint8Array(Buffer.concat(this.#encoded)), offsets };
  }
}
