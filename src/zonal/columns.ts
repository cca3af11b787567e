import {
  type Data,
  type DataType,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  makeData,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
} from "apache-arrow";
import { suggestion } from "../config/config.js";
import { PipelineError } from "../pipeline/errors.js";

/** A column of the table with the user's name and type. */
export interface OutputColumn {
  readonly source: string;
  readonly name: string;
  /** Default: the column's type. */
  readonly type?: NumberTypeName;
}

/** Types for number columns; integers with their bounds. */
const NUMBER_TYPES = {
  int8: { type: new Int8(), least: -(2 ** 7), most: 2 ** 7 - 1 },
  uint8: { type: new Uint8(), least: 0, most: 2 ** 8 - 1 },
  int16: { type: new Int16(), least: -(2 ** 15), most: 2 ** 15 - 1 },
  uint16: { type: new Uint16(), least: 0, most: 2 ** 16 - 1 },
  int32: { type: new Int32(), least: -(2 ** 31), most: 2 ** 31 - 1 },
  uint32: { type: new Uint32(), least: 0, most: 2 ** 32 - 1 },
  int64: { type: new Int64(), least: Number.MIN_SAFE_INTEGER, most: Number.MAX_SAFE_INTEGER },
  uint64: { type: new Uint64(), least: 0, most: Number.MAX_SAFE_INTEGER },
  float32: { type: new Float32() },
  float64: { type: new Float64() },
} as const;

type NumberTypeName = keyof typeof NUMBER_TYPES;

/** Columns that are not single numbers. */
const UNTYPED = new Set(["field_id", "rule", "null_reason", "class_codes", "class_pixels", "class_area_ha"]);

/**
 * Parse `crop_code=majority:int16,crop_share=share,valid_pixels`: the columns to write, in
 * that order, with optional new names and types. field_id is first unless it is listed.
 *
 * @param known  columns of the table.
 * @throws {PipelineError} usage, naming the column.
 */
export function parseColumns(text: string, known: readonly string[]): OutputColumn[] {
  const columns = text.split(",").map((item) => parseColumn(item.trim(), known));
  if (!columns.some(({ source }) => source === "field_id")) columns.unshift({ source: "field_id", name: "field_id" });
  const names = columns.map(({ name }) => name);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new PipelineError("usage", "--columns gives two columns the same name", { column: repeated });
  }
  return columns;
}

function parseColumn(item: string, known: readonly string[]): OutputColumn {
  const match = /^(\w+)(?:=([^=:]+))?(?::(\w+))?$/.exec(item);
  if (match === null) {
    throw new PipelineError("usage", "--columns is a list of column=name:type", {
      expected: "crop_code=majority:int16,crop_share=share",
      received: item,
    });
  }
  const [, source, name, type] = match as unknown as [string, string, string | undefined, string | undefined];
  if (!known.includes(source)) {
    throw new PipelineError("usage", `--columns names an unknown column${suggestion(source, known)}`, {
      expected: known.join(" "),
      received: source,
    });
  }
  if (type === undefined) return { source, name: name ?? source };
  if (UNTYPED.has(source)) {
    throw new PipelineError("usage", "--columns: this column keeps its type", { column: source, received: type });
  }
  if (!Object.hasOwn(NUMBER_TYPES, type)) {
    throw new PipelineError("usage", "--columns names an unknown type", {
      column: source,
      expected: Object.keys(NUMBER_TYPES).join(" "),
      received: type,
    });
  }
  return { source, name: name ?? source, type: type as NumberTypeName };
}

/** The schema field of a column. */
export function outputField(field: Field, { name, type }: OutputColumn): Field {
  return new Field(name, type === undefined ? field.type : NUMBER_TYPES[type].type, field.nullable);
}

/**
 * A column's numbers as another type; integers only without loss.
 *
 * @param firstRow  of the batch, for the error.
 * @throws {PipelineError} usage, naming column, row and value, if a number does not fit the type.
 */
export function castColumn(data: Data, { source, type }: OutputColumn, firstRow: number): Data {
  if (type === undefined) return data;
  const target = NUMBER_TYPES[type];
  const { length, nullCount, nullBitmap } = data;
  const from = data.values as ArrayLike<number>;
  const to = new (target.type.ArrayType as new (n: number) => Uint8Array | BigInt64Array)(length);
  for (let i = 0; i < length; i++) {
    if (!data.getValid(i)) continue;
    const value = from[i] as number;
    if ("least" in target && !(Number.isInteger(value) && value >= target.least && value <= target.most)) {
      throw new PipelineError("usage", "--columns: a value does not fit the type", {
        column: source,
        type,
        value,
        row: firstRow + i,
      });
    }
    to[i] = to instanceof BigInt64Array || to instanceof BigUint64Array ? BigInt(value) : value;
  }
  return makeData({ type: target.type as DataType, length, nullCount, nullBitmap, data: to } as never) as Data;
}
