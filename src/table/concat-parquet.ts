import { statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Field, Int64, Utf8 } from "apache-arrow";
import { nativeKernel } from "../kernel/native.js";
import type { IdColumn } from "../kernel/parquet.js";
import { PipelineError } from "../pipeline/errors.js";
import { columnChunk, MAGIC, schemaElement } from "./footer.js";
import { readFooter } from "./read-footer.js";
import {
  i32,
  i64,
  numberField,
  readStruct,
  structField,
  structs,
  structsField,
  THRIFT,
  type ThriftStruct,
  writeStruct,
} from "./thrift.js";

/** A file, and the values that its rows share by the names of its folders, null for none. */
export interface ParquetPart {
  readonly path: string;
  readonly partition: ReadonlyMap<string, string | null>;
}

/** Numbers of the fields in parquet.thrift's structs. */
const FILE = { schema: 2, rows: 3, rowGroups: 4, keyValues: 5, columnOrders: 7 } as const;
const SCHEMA = { children: 5, fieldId: 9 } as const;
const GROUP = { columns: 1, bytes: 2, rows: 3, offset: 5, compressed: 6, ordinal: 7 } as const;
/** Bytes of pages are counted from the file's start in the indexes of pages, which are left out. */
const CHUNK = { offset: 2, metaData: 3, indexes: [4, 5, 6, 7] } as const;
const COLUMN = { offsets: [9, 10, 11, 14] } as const;
const COPY_BYTES = 8 * 2 ** 20;

/**
 * Put parquet files of the same columns one behind the other: their pages are copied as they are, whatever types and
 * encodings they have. Values that folders name (`state=IA/`) become columns.
 *
 * @returns rows of all files.
 * @throws {PipelineError} input, naming the file whose columns, CRS or partitions are not as the first one's.
 */
export async function concatParquet(parts: readonly ParquetPart[], out: string, signal: AbortSignal): Promise<number> {
  const [first] = parts as readonly [ParquetPart];
  const footers = parts.map(({ path }) => fileEnd(path));
  const [{ struct }] = footers as [FileEnd];
  for (const [i, { path }] of parts.entries()) {
    requireSame(footers[0] as FileEnd, footers[i] as FileEnd, first.path, path);
  }
  const fields = partitionFields(parts);
  const file = await open(out, "w");
  try {
    const target = new GrowingFile(file);
    await target.write(MAGIC);
    const groups: ThriftStruct[] = [];
    for (const [i, { path, partition }] of parts.entries()) {
      for (const group of await copyGroups(path, footers[i] as FileEnd, groups.length, target, signal)) {
        for (const field of fields) await addConstant(group, field, partition.get(field.name) ?? null, target);
        groups.push(group);
      }
    }
    await target.write(footerBytes(struct, groups, fields));
  } finally {
    await file.close();
  }
  return footers.reduce((sum, { rows }) => sum + rows, 0);
}

/** A parquet file's footer. */
export interface FileEnd {
  readonly struct: ThriftStruct;
  /** Where it begins in its file. */
  readonly start: number;
  readonly rows: number;
}

/** @throws {PipelineError} input: not parquet, cut short, damaged. */
export function fileEnd(path: string): FileEnd {
  const bytes = readFooter(path);
  try {
    const { struct } = readStruct(bytes.subarray(0, -8));
    return { struct, start: statSync(path).size - bytes.length, rows: numberField(struct, FILE.rows) ?? 0 };
  } catch (cause) {
    throw new PipelineError("input", "Parquet footer cannot be read", { path }, { cause });
  }
}

/**
 * Copy a file's pages behind those of earlier files.
 *
 * @param before  row groups of the earlier files.
 * @returns its row groups where they lie now.
 */
export async function copyGroups(
  path: string,
  { struct, start }: FileEnd,
  before: number,
  target: GrowingFile,
  signal: AbortSignal,
): Promise<readonly ThriftStruct[]> {
  const shift = target.offset - MAGIC.length;
  await target.copy(path, MAGIC.length, start, signal);
  const groups = structsField(struct, FILE.rowGroups);
  for (const [i, group] of groups.entries()) move(group, shift, before + i);
  return groups;
}

function requireSame(first: FileEnd, other: FileEnd, firstPath: string, path: string): void {
  const columns = ({ struct }: FileEnd) => structsField(struct, FILE.schema).slice(1).map(columnText);
  const [expected, received] = [columns(first), columns(other)];
  const at = expected.findIndex((text, i) => text !== received[i]);
  if (expected.length !== received.length || at >= 0) {
    throw new PipelineError("input", "Files of fields have different columns", {
      path,
      first: firstPath,
      ...named(first, other),
    });
  }
  const [a, b] = [geoOf(first.struct), geoOf(other.struct)];
  if (a !== b)
    throw new PipelineError("input", "Files of fields have different geo metadata", { path, first: firstPath });
}

function columnText(element: ThriftStruct): string {
  const own = new Map(element);
  own.delete(SCHEMA.fieldId);
  return Buffer.from(writeStruct(own)).toString("hex");
}

function named(...footers: readonly FileEnd[]): { expected: string; received: string } {
  const names = footers.map(({ struct }) =>
    structsField(struct, FILE.schema)
      .slice(1)
      .map((element) => Buffer.from(element.get(4)?.value as Uint8Array).toString())
      .join(" "),
  );
  return { expected: names[0] as string, received: names[1] as string };
}

/** GeoParquet's metadata without what is of one file alone. */
function geoOf(struct: ThriftStruct): string | undefined {
  const text = keyValues(struct).find(([key]) => key === "geo")?.[1];
  if (text === undefined) return undefined;
  const geo = JSON.parse(text) as { columns?: Record<string, Record<string, unknown>> };
  for (const column of Object.values(geo.columns ?? {})) {
    delete column.bbox;
    column.geometry_types = [];
  }
  return JSON.stringify(geo);
}

function keyValues(struct: ThriftStruct): [string, string][] {
  return structsField(struct, FILE.keyValues).map((pair) => {
    const text = (field: number) => Buffer.from((pair.get(field)?.value as Uint8Array) ?? []).toString();
    return [text(1), text(2)];
  });
}

/** Columns that all folders name; whole numbers where all values are such without a leading zero. */
function partitionFields(parts: readonly ParquetPart[]): Field[] {
  const [first] = parts as readonly [ParquetPart];
  const names = [...first.partition.keys()];
  for (const { path, partition } of parts) {
    if ([...partition.keys()].join("/") === names.join("/")) continue;
    throw new PipelineError("input", "Folders of fields have different partition keys", {
      path,
      expected: names.join("/") || "none",
      received: [...partition.keys()].join("/") || "none",
    });
  }
  return names.map((name) => {
    const isNumber = parts.every(({ partition }) => /^(-?[1-9]\d{0,17}|0)$/.test(partition.get(name) ?? "0"));
    return new Field(name, isNumber ? new Int64() : new Utf8(), true);
  });
}

function move(group: ThriftStruct, shift: number, ordinal: number): void {
  const add = (struct: ThriftStruct, key: number) => {
    const before = numberField(struct, key);
    if (before) struct.set(key, i64(before + shift));
  };
  add(group, GROUP.offset);
  if (group.has(GROUP.ordinal)) group.set(GROUP.ordinal, { type: THRIFT.i16, value: BigInt(ordinal & 0x7fff) });
  for (const chunk of structsField(group, GROUP.columns)) {
    add(chunk, CHUNK.offset);
    for (const key of CHUNK.indexes) chunk.delete(key);
    const column = structField(chunk, CHUNK.metaData);
    if (column !== undefined) for (const key of COLUMN.offsets) add(column, key);
  }
}

async function addConstant(
  group: ThriftStruct,
  field: Field,
  value: string | null,
  target: GrowingFile,
): Promise<void> {
  const rows = numberField(group, GROUP.rows) ?? 0;
  const { bytes, ...encoded } = nativeKernel().encodeIds(constant(field, value, rows));
  const chunk = columnChunk(field, { ...encoded, offset: target.offset, bytes: bytes.length }, rows);
  await target.write(bytes);
  group.set(GROUP.columns, structs([...structsField(group, GROUP.columns), readStruct(chunk.bytes()).struct]));
  for (const key of [GROUP.bytes, GROUP.compressed]) {
    const before = numberField(group, key);
    if (before !== undefined) group.set(key, i64(before + bytes.length));
  }
}

function constant({ type }: Field, value: string | null, rows: number): IdColumn {
  const valid = value === null ? { valid: new Uint8Array(rows) } : {};
  if (!(type instanceof Utf8)) return { values: new BigInt64Array(rows).fill(BigInt(value ?? 0)), ...valid };
  const text = Buffer.from(value ?? "");
  const values = new Uint8Array(rows * text.length);
  for (let row = 0; row < rows; row++) values.set(text, row * text.length);
  return { values, lengths: new Uint32Array(rows).fill(text.length), ...valid };
}

function footerBytes(struct: ThriftStruct, groups: readonly ThriftStruct[], fields: readonly Field[]): Uint8Array {
  const [root, ...columns] = structsField(struct, FILE.schema) as [ThriftStruct, ...ThriftStruct[]];
  root.set(SCHEMA.children, i32((numberField(root, SCHEMA.children) ?? 0) + fields.length));
  const added = fields.map((field) => readStruct(schemaElement(field).bytes()).struct);
  struct.set(FILE.schema, structs([root, ...columns, ...added]));
  struct.set(FILE.rowGroups, structs(groups));
  struct.set(FILE.rows, i64(groups.reduce((sum, group) => sum + (numberField(group, GROUP.rows) ?? 0), 0)));
  if (fields.length > 0) struct.delete(FILE.columnOrders);
  const geo = geoOf(struct);
  // What the first file's writer had in memory is not of all columns.
  const kept = keyValues(struct).filter(([key]) => !["ARROW:schema", "pandas", "geo"].includes(key));
  const pairs = [...kept, ...(geo === undefined ? [] : [["geo", geo] as const])];
  const binary = (text: string) => ({ type: THRIFT.binary, value: Buffer.from(text) });
  struct.set(
    FILE.keyValues,
    structs(
      pairs.map(
        ([key, text]) =>
          new Map([
            [1, binary(key)],
            [2, binary(text)],
          ]),
      ),
    ),
  );
  const metadata = writeStruct(struct);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, length, MAGIC]);
}

/** A file that grows. */
export class GrowingFile {
  offset = 0;

  constructor(private readonly file: FileHandle) {}

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.file.write(bytes, at, bytes.length - at, this.offset + at)).bytesWritten;
    }
    this.offset += bytes.length;
  }

  /** The bytes from `begin` to `end` of another file. */
  async copy(path: string, begin: number, end: number, signal: AbortSignal): Promise<void> {
    const source = await open(path, "r");
    try {
      const buffer = Buffer.allocUnsafe(COPY_BYTES);
      for (let at = begin; at < end; ) {
        signal.throwIfAborted();
        const { bytesRead } = await source.read(buffer, 0, Math.min(COPY_BYTES, end - at), at);
        if (bytesRead === 0) throw new PipelineError("input", "Parquet file was truncated while it was read", { path });
        await this.write(buffer.subarray(0, bytesRead));
        at += bytesRead;
      }
    } finally {
      await source.close();
    }
  }
}
