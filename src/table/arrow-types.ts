import {
  Binary,
  Bool,
  type DataType,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  Null,
  tableFromIPC,
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
 * Arrow's types of a parquet file's top-level columns: as the writer put them down under
 * `ARROW:schema`, else as parquet's own types have them.
 *
 * Types that no column of ours has (dates, decimals, nested ones ...) come as Null.
 */
export function arrowTypes({ schema, key_value_metadata }: FileMetaData): Map<string, DataType> {
  const written = key_value_metadata?.find(({ key }) => key === "ARROW:schema")?.value;
  if (written !== undefined) {
    const { fields } = tableFromIPC(Buffer.from(written, "base64")).schema;
    return new Map(fields.map(({ name, type }) => [name, type]));
  }
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

function arrowType({ type, converted_type, logical_type, num_children, repetition_type }: SchemaElement): DataType {
  if (num_children !== undefined || repetition_type === "REPEATED") return new Null();
  const logical = logical_type?.type;
  if (type === "BYTE_ARRAY") return logical === "STRING" || converted_type === "UTF8" ? new Utf8() : new Binary();
  if (type === "INT32" || type === "INT64") {
    const named =
      logical_type?.type === "INTEGER"
        ? `${logical_type.isSigned ? "" : "u"}int${logical_type.bitWidth}`
        : (converted_type?.toLowerCase().replace("_", "") ?? (logical === undefined ? type.toLowerCase() : ""));
    return INTEGERS[named] ?? new Null();
  }
  if (type === "FLOAT") return new Float32();
  if (type === "DOUBLE") return new Float64();
  return type === "BOOLEAN" ? new Bool() : new Null();
}
