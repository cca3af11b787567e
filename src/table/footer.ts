import { DataType, type Field, type Int, RecordBatchStreamWriter, type Schema, Type } from "apache-arrow";
import type { EncodedChunk } from "../kernel/parquet.js";
import { ThriftBuilder } from "./thrift-builder.js";

export const MAGIC = Buffer.from("PAR1", "latin1");

/** A column of a row group where it lies in the file. */
export interface PlacedChunk extends Omit<EncodedChunk, "bytes"> {
  readonly offset: number;
  readonly bytes: number;
}

export interface PlacedGroup {
  readonly rows: number;
  /** In the order of the schema. */
  readonly columns: readonly PlacedChunk[];
}

/** Numbers of parquet.thrift. */
const PHYSICAL = { int32: 1, int64: 2, float: 4, double: 5, byteArray: 6 } as const;
const [REQUIRED, OPTIONAL] = [0, 1] as const;
const [PLAIN, RLE] = [0, 3] as const;
const UTF8 = 0;
const [LOGICAL_STRING, LOGICAL_INTEGER] = [1, 10] as const;
/** Converted types of integers that do not fill their physical type, or have no sign. */
const CONVERTED = { uint8: 11, uint16: 12, uint32: 13, uint64: 14, int8: 15, int16: 16 } as const;

/**
 * The end of a parquet file: its metadata, their length, and PAR1.
 *
 * @param schema  columns of integers, floats and strings; kept as a whole under `ARROW:schema`, for
 *   readers that know Arrow's types.
 * @see https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
export function parquetFooter(schema: Schema, groups: readonly PlacedGroup[], createdBy: string): Uint8Array {
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  const root = new ThriftBuilder().binary(4, "arrow_schema").i32(5, schema.fields.length);
  const metadata = new ThriftBuilder()
    .i32(1, 2)
    .structs(2, [root, ...schema.fields.map(schemaElement)])
    .i64(3, rows)
    .structs(
      4,
      groups.map((group, i) => rowGroup(schema, group, i)),
    )
    .structs(5, [...schema.metadata, ["ARROW:schema", arrowSchema(schema)]].map(keyValue))
    .binary(6, createdBy)
    .structs(
      7,
      schema.fields.map(() => new ThriftBuilder().struct(1, new ThriftBuilder())),
    )
    .bytes();
  const length = Buffer.alloc(4);
  length.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, length, MAGIC]);
}

function keyValue([key, value]: readonly string[]): ThriftBuilder {
  return new ThriftBuilder().binary(1, key as string).binary(2, value as string);
}

/** The schema as an Arrow stream begins with it. */
function arrowSchema(schema: Schema): string {
  const stream = new RecordBatchStreamWriter();
  stream.reset(undefined, schema);
  stream.finish();
  // The last eight bytes are the end of the stream.
  return Buffer.from(stream.toUint8Array(true).subarray(0, -8)).toString("base64");
}

/** A column in parquet's schema. */
export function schemaElement(field: Field): ThriftBuilder {
  const element = new ThriftBuilder()
    .i32(1, physicalType(field.type))
    .i32(3, field.nullable ? OPTIONAL : REQUIRED)
    .binary(4, field.name);
  if (isString(field.type)) {
    return element.i32(6, UTF8).struct(10, new ThriftBuilder().struct(LOGICAL_STRING, new ThriftBuilder()));
  }
  const converted = DataType.isInt(field.type)
    ? CONVERTED[integerName(field.type) as keyof typeof CONVERTED]
    : undefined;
  if (converted === undefined) return element;
  const { bitWidth, isSigned } = field.type as Int;
  const integer = new ThriftBuilder().i8(1, bitWidth).truth(2, isSigned);
  return element.i32(6, converted).struct(10, new ThriftBuilder().struct(LOGICAL_INTEGER, integer));
}

function rowGroup(schema: Schema, { rows, columns }: PlacedGroup, ordinal: number): ThriftBuilder {
  const bytes = columns.reduce((sum, column) => sum + column.bytes, 0);
  return new ThriftBuilder()
    .structs(
      1,
      columns.map((column, i) => columnChunk(schema.fields[i] as Field, column, rows)),
    )
    .i64(2, bytes)
    .i64(3, rows)
    .i64(5, columns[0]?.offset ?? 0)
    .i64(6, bytes)
    .i16(7, ordinal);
}

/** A column of a row group, in its metadata. */
export function columnChunk({ name, type }: Field, column: PlacedChunk, rows: number): ThriftBuilder {
  const { offset, bytes, dictionaryBytes, encoding, nulls, min, max } = column;
  const metadata = new ThriftBuilder()
    .i32(1, physicalType(type))
    .i32s(2, [...(dictionaryBytes > 0 ? [PLAIN] : []), RLE, encoding])
    .strings(3, [name])
    .i32(4, 0)
    .i64(5, rows)
    .i64(6, bytes)
    .i64(7, bytes)
    .i64(9, offset + dictionaryBytes);
  if (dictionaryBytes > 0) metadata.i64(11, offset);
  const statistics = new ThriftBuilder().i64(3, nulls);
  if (nulls < rows) statistics.binary(5, max).binary(6, min);
  metadata.struct(12, statistics);
  return new ThriftBuilder().i64(2, offset).struct(3, metadata);
}

function physicalType(type: DataType): number {
  if (isString(type)) return PHYSICAL.byteArray;
  if (DataType.isInt(type)) return type.bitWidth === 64 ? PHYSICAL.int64 : PHYSICAL.int32;
  if (DataType.isFloat(type)) return type.ArrayType === Float32Array ? PHYSICAL.float : PHYSICAL.double;
  throw new Error(`No column of this type can be written: ${type}`);
}

function isString(type: DataType): boolean {
  return type.typeId === Type.Utf8 || type.typeId === Type.LargeUtf8;
}

function integerName({ bitWidth, isSigned }: Int): string {
  return `${isSigned ? "" : "u"}int${bitWidth}`;
}
