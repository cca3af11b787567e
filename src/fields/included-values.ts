import { type Data, type DataType, Type } from "apache-arrow";
import type { TextColumn } from "../kernel/geometry.js";
import type { IncludedColumns } from "../kernel/tiler.js";
import { PipelineError } from "../pipeline/errors.js";
import type { FieldsFile } from "./fields-file.js";
import { widened } from "./half-floats.js";
import { idReader } from "./ids.js";
import { checkIncluded } from "./included.js";
import { streamColumns } from "./stream-column.js";

/** A value of an included column: integers are numbers where a double holds them. */
export type IncludedValue = string | number | bigint;

export type IncludedType = "Number" | "String";

/** Included columns with the values themselves, by number. */
export interface IncludedValues {
  readonly columns: IncludedColumns;
  readonly list: readonly IncludedValue[];
}

export const NO_VALUE = 2 ** 32 - 1;

/** Attributes that features have anyway. */
const TAKEN = /^(?:field_id|area_ha|crop_code|crop(?:_name)?(?:_\d+)?)$/;
const MAX_BYTES = 2 ** 31 - 1;

/** By name, the types of included columns in an archive's metadata. */
export function includedTypes(fields: FieldsFile, names: readonly string[]): Record<string, IncludedType> {
  return Object.fromEntries(names.map((name) => [name, typeOf(fields.columns.get(name) as DataType)]));
}

/**
 * Read columns of the fields for tiles. Null and NaN are no value.
 *
 * @param encode  a value as bytes.
 * @throws {PipelineError} as checkIncluded; usage: features have an attribute of that name; input: too many different
 *   values.
 */
export async function readIncluded(
  fields: FieldsFile,
  names: readonly string[],
  encode: (value: IncludedValue) => Uint8Array,
  batch: number,
  signal: AbortSignal,
): Promise<IncludedValues | undefined> {
  if (names.length === 0) return undefined;
  checkIncluded(fields, names);
  checkIncludedKeys(names);
  const index = names.map(() => new Uint32Array(new SharedArrayBuffer(4 * fields.rows)).fill(NO_VALUE));
  const values = new ValueList(encode, fields.path);
  for await (const { firstRow, rows, data } of streamColumns(fields, names, batch)) {
    signal.throwIfAborted();
    for (const [c, column] of data.entries()) {
      const read = valueReader(column);
      const numbers = index[c] as Uint32Array;
      for (let row = 0; row < rows; row++) {
        const value = read(row);
        if (value !== null) numbers[firstRow + row] = values.number(value);
      }
    }
  }
  return { columns: { keys: names, index, values: values.shared() }, list: values.list() };
}

/** @throws {PipelineError} usage: features have an attribute of that name, or it is named twice. */
export function checkIncludedKeys(names: readonly string[]): void {
  const taken = names.find((name, i) => TAKEN.test(name) || names.indexOf(name) < i);
  if (taken === undefined) return;
  throw new PipelineError("usage", "--include: tiles already have an attribute of this name", { column: taken });
}

function typeOf({ typeId }: DataType): IncludedType {
  return typeId === Type.Utf8 ? "String" : "Number";
}

function valueReader(column: Data): (row: number) => IncludedValue | null {
  if (column.typeId === Type.Float) {
    const { values } = widened(column);
    return (row) => {
      const value = values[row] as number;
      return column.getValid(row) && !Number.isNaN(value) ? value : null;
    };
  }
  const read = idReader(column);
  return (row) => {
    const value = read(row);
    return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };
}

/** Different values, each encoded once. */
class ValueList {
  readonly #numbers = new Map<IncludedValue, number>();
  readonly #encoded: Uint8Array[] = [];
  #bytes = 0;

  constructor(
    private readonly encode: (value: IncludedValue) => Uint8Array,
    private readonly path: string,
  ) {}

  number(value: IncludedValue): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const bytes = this.encode(value);
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_BYTES || this.#numbers.size === MAX_VALUES) {
      const expected = `${MAX_VALUES} different values, or 2 GiB`;
      throw new PipelineError("input", "--include: too many different values for tiles", { path: this.path, expected });
    }
    const number = this.#encoded.push(bytes) - 1;
    this.#numbers.set(value, number);
    return number;
  }

  list(): IncludedValue[] {
    return [...this.#numbers.keys()];
  }

  shared(): TextColumn {
    const offsets = new Int32Array(new SharedArrayBuffer(4 * (this.#encoded.length + 1)));
    const values = new Uint8Array(new SharedArrayBuffer(this.#bytes));
    for (const [i, bytes] of this.#encoded.entries()) {
      const at = offsets[i] as number;
      values.set(bytes, at);
      offsets[i + 1] = at + bytes.length;
    }
    return { values, offsets };
  }
}

/** Of a Map; V8's limit is 2^24. */
const MAX_VALUES = 16_000_000;
