import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { type Data, type DataType, Field, Float32, Float64, Type, Utf8 } from "apache-arrow";
import { nativeKernel } from "../kernel/native.js";
import type { EncodedChunk, IdColumn, IntegerArray } from "../kernel/parquet.js";
import { columnChunk, MAGIC, schemaElement } from "./footer.js";
import { readFooter } from "./read-footer.js";
import { i32, i64, numberField, readStruct, structs, structsField, type ThriftStruct, writeStruct } from "./thrift.js";
import { ThriftBuilder } from "./thrift-builder.js";

/** A column to add: of integers, floats or strings. */
export interface AddedColumn {
  readonly name: string;
  readonly type: DataType;
}

/** Numbers of the fields in parquet.thrift's structs. */
const FILE = { schema: 2, rowGroups: 4, keyValues: 5, columnOrders: 7 } as const;
const CHILDREN = 5;
const GROUP = { columns: 1, bytes: 2, rows: 3, compressed: 6 } as const;
const PLAIN = 0;

/**
 * Add columns to the end of a parquet file, in place: what stands in it already is not touched but for its footer.
 *
 * @param rows  the values, in row order, as Arrow's columns in the order of `added`; as many rows as the file has.
 */
export async function addColumns(
  path: string,
  added: readonly AddedColumn[],
  rows: AsyncIterable<readonly Data[]>,
): Promise<void> {
  const bytes = readFooter(path);
  const { struct } = readStruct(bytes.subarray(0, -8));
  const fields = added.map(({ name, type }) => new Field(name, type, true));
  const file = await open(path, "r+");
  try {
    let offset = statSync(path).size - bytes.length;
    const write = async (part: Uint8Array) => {
      for (let at = 0; at < part.length; ) {
        at += (await file.write(part, at, part.length - at, offset + at)).bytesWritten;
      }
      offset += part.length;
    };
    const source = rows[Symbol.asyncIterator]();
    let held: { readonly data: readonly Data[]; at: number } = { data: [], at: 0 };
    for (const group of structsField(struct, FILE.rowGroups)) {
      const count = numberField(group, GROUP.rows) ?? 0;
      const builders = fields.map(({ type }) => columnBuilder(type, count));
      for (let row = 0; row < count; ) {
        const length = held.data[0]?.length ?? 0;
        if (held.at === length) {
          const next = await source.next();
          if (next.done) throw new Error(`${count - row} rows are missing from the columns to add`);
          held = { data: next.value, at: 0 };
          continue;
        }
        const n = Math.min(count - row, length - held.at);
        for (const [i, builder] of builders.entries()) builder.add(held.data[i] as Data, held.at, n);
        held.at += n;
        row += n;
      }
      for (const [i, builder] of builders.entries()) {
        const { bytes: pages, ...encoded } = builder.encode();
        const place = { ...encoded, offset, bytes: pages.length };
        await write(pages);
        append(group, columnChunk(fields[i] as Field, place, count), pages.length);
      }
    }
    await write(footerWith(struct, fields));
    await file.truncate(offset);
  } finally {
    await file.close();
  }
}

/** Whether a column of this type can be added. */
export function canAdd({ typeId }: DataType): boolean {
  return [Type.Int, Type.Float, Type.Utf8].includes(typeId);
}

function append(group: ThriftStruct, chunk: ThriftBuilder, bytes: number): void {
  group.set(GROUP.columns, structs([...structsField(group, GROUP.columns), readStruct(chunk.bytes()).struct]));
  for (const key of [GROUP.bytes, GROUP.compressed]) {
    const before = numberField(group, key);
    if (before !== undefined) group.set(key, i64(before + bytes));
  }
}

function footerWith(struct: ThriftStruct, fields: readonly Field[]): Uint8Array {
  const [root, ...columns] = structsField(struct, FILE.schema) as [ThriftStruct, ...ThriftStruct[]];
  root.set(CHILDREN, i32((numberField(root, CHILDREN) ?? 0) + fields.length));
  const elements = fields.map((field) => readStruct(schemaElement(field).bytes()).struct);
  struct.set(FILE.schema, structs([root, ...columns, ...elements]));
  struct.delete(FILE.columnOrders);
  // Arrow's own schema knows nothing of the new columns.
  const pairs = structsField(struct, FILE.keyValues).filter((pair) => {
    return Buffer.from((pair.get(1)?.value as Uint8Array) ?? []).toString() !== "ARROW:schema";
  });
  struct.set(FILE.keyValues, structs(pairs));
  const metadata = writeStruct(struct);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, length, MAGIC]);
}

interface ColumnBuilder {
  add(data: Data, from: number, rows: number): void;
  encode(): EncodedChunk;
}

function columnBuilder(type: DataType, rows: number): ColumnBuilder {
  if (type instanceof Utf8) return new TextBuilder(rows);
  return type instanceof Float32 || type instanceof Float64
    ? new FloatBuilder(type, rows)
    : new IntegerBuilder(type, rows);
}

class IntegerBuilder implements ColumnBuilder {
  readonly #values: IntegerArray;
  readonly #valid: Uint8Array;
  #row = 0;

  constructor(type: DataType, rows: number) {
    this.#values = new type.ArrayType(rows) as IntegerArray;
    this.#valid = new Uint8Array(rows);
  }

  add(data: Data, from: number, rows: number): void {
    this.#values.set(data.values.subarray(from, from + rows) as never, this.#row);
    for (let i = 0; i < rows; i++) this.#valid[this.#row + i] = data.getValid(from + i) ? 1 : 0;
    this.#row += rows;
  }

  encode(): EncodedChunk {
    return nativeKernel().encodeIds(withNulls({ values: this.#values }, this.#valid));
  }
}

class TextBuilder implements ColumnBuilder {
  readonly #pieces: Uint8Array[] = [];
  readonly #lengths: Uint32Array;
  readonly #valid: Uint8Array;
  #row = 0;

  constructor(rows: number) {
    this.#lengths = new Uint32Array(rows);
    this.#valid = new Uint8Array(rows);
  }

  add(data: Data, from: number, rows: number): void {
    const offsets = data.valueOffsets;
    this.#pieces.push((data.values as Uint8Array).slice(offsets[from], offsets[from + rows]));
    for (let i = 0; i < rows; i++) {
      this.#lengths[this.#row + i] = (offsets[from + i + 1] as number) - (offsets[from + i] as number);
      this.#valid[this.#row + i] = data.getValid(from + i) ? 1 : 0;
    }
    this.#row += rows;
  }

  encode(): EncodedChunk {
    const values = new Uint8Array(Buffer.concat(this.#pieces));
    return nativeKernel().encodeIds(withNulls({ values, lengths: this.#lengths }, this.#valid));
  }
}

function withNulls(column: IdColumn, valid: Uint8Array): IdColumn {
  return valid.includes(0) ? { ...column, valid } : column;
}

/** One page of plain values, which readers know of every type. */
class FloatBuilder implements ColumnBuilder {
  readonly #values: Float64Array | Float32Array;
  readonly #valid: Uint8Array;
  #there = 0;
  #row = 0;

  constructor(type: DataType, rows: number) {
    this.#values = type instanceof Float32 ? new Float32Array(rows) : new Float64Array(rows);
    this.#valid = new Uint8Array(rows);
  }

  add(data: Data, from: number, rows: number): void {
    for (let i = from; i < from + rows; i++) {
      if (data.getValid(i)) {
        this.#valid[this.#row] = 1;
        this.#values[this.#there++] = data.values[i] as number;
      }
      this.#row++;
    }
  }

  encode(): EncodedChunk {
    const values = this.#values.subarray(0, this.#there);
    const plain = new Uint8Array(values.buffer, 0, values.byteLength);
    const levels = bitPacked(this.#valid);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(levels.length);
    const body = Buffer.concat([length, levels, plain]);
    const page = new ThriftBuilder().i32(1, this.#valid.length).i32(2, PLAIN).i32(3, 3).i32(4, 3);
    const header = new ThriftBuilder().i32(1, 0).i32(2, body.length).i32(3, body.length).struct(5, page).bytes();
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    // A column of NaN alone is anywhere.
    if (least > most) [least, most] = [most, least];
    const bound = (value: number) => new Uint8Array(new (values.constructor as typeof Float64Array)([value]).buffer);
    return {
      bytes: new Uint8Array(Buffer.concat([header, body])),
      dictionaryBytes: 0,
      encoding: PLAIN,
      nulls: this.#valid.length - this.#there,
      min: bound(least),
      max: bound(most),
    };
  }
}

/** Levels of 0 and 1 in groups of eight, after one run's head. */
function bitPacked(levels: Uint8Array): Uint8Array {
  const groups = Math.ceil(levels.length / 8);
  const head: number[] = [];
  for (let left = groups * 2 + 1; ; left = Math.floor(left / 128)) {
    head.push(left > 127 ? (left % 128) + 128 : left);
    if (left <= 127) break;
  }
  const bits = new Uint8Array(groups);
  for (let i = 0; i < levels.length; i++) if (levels[i]) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  return Buffer.concat([Buffer.from(head), bits]);
}
