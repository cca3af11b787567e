import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Null,
  TimeMicrosecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import type { FileMetaData, SchemaElement } from "hyparquet/src/types.js";

const INTEGERS: Readonly<Record<string, DataType>> = {
  int8: new Int8(),
  int16: new Int16(),
  int32: new Int32(),
  int64: new Int64(),
  uint8: new Uint8(),
  uint16: new Uint16(),
  uint32: new Uint32(),
  uint64: new Uint64(),
};

/**
 * Arrow's types of a parquet file's top-level columns, from parquet's own schema. What the writer had in memory
 * (`ARROW:schema`: dictionaries, views, types newer than this reader) does not matter.
 *
 * Nested columns come as Null.
 */
export function arrowTypes({ schema }: FileMetaData): Map<string, DataType> {
  const types = new Map<string, DataType>();
  for (let at = 1; at < schema.length; at = endOf(schema, at)) {
    const element = schema[at] as SchemaElement;
    types.set(element.name, arrowType(element));
  }
  return types;
}

/** Elements stand parents first: where the next column begins. */
function endOf(schema: readonly SchemaElement[], at: number): number {
  let next = at + 1;
  for (let left = schema[at]?.num_children ?? 0; left > 0; left--) next = endOf(schema, next);
  return next;
}

function arrowType(element: SchemaElement): DataType {
  const { type, converted_type, logical_type, num_children, repetition_type, precision, scale } = element;
  if (num_children !== undefined || repetition_type === "REPEATED" || type === undefined) return new Null();
  const logical = logical_type?.type ?? converted_type;
  if (logical === "DECIMAL") return new Decimal(scale ?? 0, precision ?? 38);
  if (logical === "DATE") return new DateDay();
  if (logical?.startsWith("TIMESTAMP") || type === "INT96") return new TimestampMicrosecond();
  if (logical?.startsWith("TIME")) return new TimeMicrosecond();
  if (type === "BYTE_ARRAY") return isText(logical) ? new Utf8() : new Binary();
  if (type === "FIXED_LEN_BYTE_ARRAY") {
    return logical === "FLOAT16" ? new Float16() : new FixedSizeBinary(element.type_length ?? 0);
  }
  if (type === "INT32" || type === "INT64") return INTEGERS[integerName(element)] ?? new Null();
  if (type === "FLOAT") return new Float32();
  return type === "DOUBLE" ? new Float64() : new Bool();
}

function isText(logical: string | undefined): boolean {
  return logical === "STRING" || logical === "UTF8" || logical === "ENUM" || logical === "JSON";
}

function integerName({ type, converted_type, logical_type }: SchemaElement): string {
  if (logical_type?.type === "INTEGER") return `${logical_type.isSigned ? "" : "u"}int${logical_type.bitWidth}`;
  return (converted_type ?? (type as string)).toLowerCase().replace("_", "");
}
