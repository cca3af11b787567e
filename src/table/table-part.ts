import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { PipelineError } from "../pipeline/errors.js";
import { copyGroups, type FileEnd, fileEnd, GrowingFile } from "./concat-parquet.js";
import { MAGIC } from "./footer.js";
import { i64, structs, structsField, THRIFT, type ThriftStruct, writeStruct } from "./thrift.js";

/** Key in the footer of a part; its value is JSON. */
const NOTE_KEY = "fields_pipeline.part";
/** Numbers of the fields in parquet.thrift's structs. */
const FILE = { rows: 3, rowGroups: 4, keyValues: 5 } as const;
const PAIR = { key: 1, value: 2 } as const;

/** Keep a note in the footer of a finished parquet file, which makes it a part of a table. */
export async function notePart(path: string, note: object): Promise<void> {
  const { struct, start } = fileEnd(path);
  const text = (value: string) => ({ type: THRIFT.binary, value: Buffer.from(value) });
  const pair: ThriftStruct = new Map([
    [PAIR.key, text(NOTE_KEY)],
    [PAIR.value, text(JSON.stringify(note))],
  ]);
  struct.set(FILE.keyValues, structs([...structsField(struct, FILE.keyValues), pair]));
  const file = await open(path, "r+");
  try {
    const bytes = footerBytes(struct);
    for (let at = 0; at < bytes.length; )
      at += (await file.write(bytes, at, bytes.length - at, start + at)).bytesWritten;
    await file.truncate(start + bytes.length);
  } finally {
    await file.close();
  }
}

/** The note of a part. @throws {PipelineError} input: not parquet, cut short, not a part. */
export function partNote(path: string): unknown {
  const pair = structsField(fileEnd(path).struct, FILE.keyValues).find(isNote);
  if (pair !== undefined) return JSON.parse(Buffer.from(pair.get(PAIR.value)?.value as Uint8Array).toString());
  throw new PipelineError("input", "Not a part of a table", { path, bytes: statSync(path).size });
}

/**
 * Join the parts of a table in the order of their rows: the same bytes as if one process had written all row groups.
 *
 * @throws {PipelineError} input: a part that is not parquet, cut short.
 */
export async function joinTableParts(paths: readonly string[], out: string, signal: AbortSignal): Promise<void> {
  const ends = paths.map(fileEnd);
  const [{ struct }] = ends as [FileEnd];
  const file = await open(out, "w");
  try {
    const target = new GrowingFile(file);
    await target.write(MAGIC);
    const groups: ThriftStruct[] = [];
    for (const [i, path] of paths.entries()) {
      groups.push(...(await copyGroups(path, ends[i] as FileEnd, groups.length, target, signal)));
    }
    struct.set(FILE.rowGroups, structs(groups));
    struct.set(FILE.rows, i64(ends.reduce((sum, end) => sum + end.rows, 0)));
    const pairs = structsField(struct, FILE.keyValues).filter((pair) => !isNote(pair));
    struct.set(FILE.keyValues, structs(pairs));
    await target.write(footerBytes(struct));
  } finally {
    await file.close();
  }
}

function isNote(pair: ThriftStruct): boolean {
  return Buffer.from((pair.get(PAIR.key)?.value as Uint8Array) ?? []).toString() === NOTE_KEY;
}

function footerBytes(struct: ThriftStruct): Buffer {
  const metadata = writeStruct(struct);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, length, MAGIC]);
}
