import { closeSync, fstatSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { FieldSlice } from "../fields/reader.js";
import { PipelineError } from "../pipeline/errors.js";
import { firstBytes, openInput } from "../pipeline/input-file.js";
import type { Origin } from "../pipeline/output-origin.js";
import { type Part, requireSameInputs } from "../pipeline/part.js";

/**
 * A part of a zone index: the burned slices of a range of the fields, as they come from the kernel. Joining
 * puts the slices of all parts through the writer of the index, so its bytes are those of an undivided run.
 *
 *     "FLDPART1"
 *     head       record of JSON, see PartHead
 *     slices     a record each, in row order; see packSlice
 *     directory  record of JSON, see PlacedSlice
 *     trailer    directory's offset u64, "FLDPART1"
 *
 * A record is its length u32 and CRC-32 u32, then its bytes. Little-endian.
 */
const MAGIC = Buffer.from("FLDPART1", "latin1");
const RECORD_BYTES = 8;
const TRAILER_BYTES = 16;

interface PartHead {
  /** Fingerprint of fields, grid, options and slices: the same for all parts of an index. */
  readonly inputs: string;
  readonly part: Part;
}

/** Where a slice lies in a part. */
interface PlacedSlice {
  readonly firstRow: number;
  readonly rows: number;
  /** Of its record's bytes. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

/** A slice of a part, to be read by a worker. */
export interface StoredSlice extends PlacedSlice {
  readonly path: string;
}

/** Who made a part. */
export function zonePartOrigin(path: string): Origin {
  return firstBytes(path, MAGIC.length).equals(MAGIC) ? "ours" : "other";
}

/** Writes a part slice by slice; a later run of the same part goes on after the slices that are whole. */
export class ZonePartWriter {
  readonly #slices: PlacedSlice[] = [];
  #offset = 0;

  private constructor(private readonly file: FileHandle) {}

  /** @param slices  of the part, in row order. */
  static async open(
    path: string,
    inputs: string,
    part: Part,
    slices: readonly Pick<FieldSlice, "firstRow" | "rows">[],
  ): Promise<ZonePartWriter> {
    const head: PartHead = { inputs, part };
    const begin = Buffer.concat([MAGIC, ...record(Buffer.from(JSON.stringify(head)))]);
    const file = await open(path, "a+");
    try {
      const writer = new ZonePartWriter(file);
      const found = Buffer.alloc(begin.length);
      const { bytesRead } = await file.read(found, 0, begin.length, 0);
      if (bytesRead === begin.length && found.equals(begin)) {
        writer.#offset = begin.length;
        await writer.#resume(slices);
      } else {
        await file.truncate(0);
        await writer.#append([begin]);
      }
      return writer;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Slices that are on disk. */
  get done(): number {
    return this.#slices.length;
  }

  /** @param packed  packSlice's. */
  async add({ firstRow, rows }: Pick<FieldSlice, "firstRow" | "rows">, packed: Uint8Array, crc: number): Promise<void> {
    const offset = this.#offset + RECORD_BYTES;
    await this.#append(record(packed, crc));
    this.#slices.push({ firstRow, rows, offset, bytes: packed.length, crc });
  }

  async finish(): Promise<void> {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    trailer.writeBigUInt64LE(BigInt(this.#offset));
    MAGIC.copy(trailer, 8);
    await this.#append([...record(Buffer.from(JSON.stringify(this.#slices))), trailer]);
    await this.close();
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  /** Keep the slices that a killed run left whole. */
  async #resume(slices: readonly Pick<FieldSlice, "firstRow" | "rows">[]): Promise<void> {
    const { size } = await this.file.stat();
    for (const { firstRow, rows } of slices) {
      const head = Buffer.alloc(RECORD_BYTES);
      if (this.#offset + RECORD_BYTES > size) break;
      await this.file.read(head, 0, RECORD_BYTES, this.#offset);
      const [bytes, crc] = [head.readUInt32LE(0), head.readUInt32LE(4)];
      const offset = this.#offset + RECORD_BYTES;
      if (offset + bytes > size) break;
      const body = Buffer.alloc(bytes);
      const { bytesRead } = await this.file.read(body, 0, bytes, offset);
      if (bytesRead < bytes || crc32(body) !== crc) break;
      this.#slices.push({ firstRow, rows, offset, bytes, crc });
      this.#offset = offset + bytes;
    }
    await this.file.truncate(this.#offset);
  }

  async #append(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; ) {
        at += (await this.file.write(piece, at, piece.length - at)).bytesWritten;
      }
      this.#offset += piece.length;
    }
  }
}

function record(bytes: Uint8Array, crc = crc32(bytes)): Uint8Array[] {
  const head = Buffer.alloc(RECORD_BYTES);
  head.writeUInt32LE(bytes.length, 0);
  head.writeUInt32LE(crc, 4);
  return [head, bytes];
}

/**
 * The slices in a finished part, by first row.
 *
 * @param inputs  fingerprint that the part must have.
 * @throws {PipelineError} input: not a part of a zone index, cut short, damaged, of other inputs.
 */
export function readZonePart(path: string, inputs: string, part: Part): StoredSlice[] {
  const fd = openInput(path);
  try {
    const { size } = fstatSync(fd);
    if (!readAt(path, fd, 0, Math.min(size, MAGIC.length)).equals(MAGIC))
      throw new PipelineError("input", "Not a part of a zone index", { path, expected: MAGIC.toString("latin1") });
    const head = JSON.parse(readRecord(path, fd, MAGIC.length, size).toString()) as PartHead;
    requireSameInputs(path, inputs, head.inputs);
    if (head.part.number !== part.number || head.part.count !== part.count) {
      throw new PipelineError("input", "File holds another part", {
        path,
        expected: `${part.number}/${part.count}`,
        received: `${head.part.number}/${head.part.count}`,
      });
    }
    const trailer = readAt(path, fd, size - TRAILER_BYTES, TRAILER_BYTES);
    if (!trailer.subarray(8).equals(MAGIC)) throw cutShort(path, size);
    const directory = readRecord(path, fd, Number(trailer.readBigUInt64LE()), size).toString();
    return (JSON.parse(directory) as PlacedSlice[]).map((slice) => ({ ...slice, path }));
  } finally {
    closeSync(fd);
  }
}

/**
 * A slice's record, in any thread.
 *
 * @throws {PipelineError} input: cut short, damaged.
 */
export function readStoredSlice({ path, offset, bytes, crc, firstRow, rows }: StoredSlice): Buffer {
  const fd = openInput(path);
  try {
    const body = readAt(path, fd, offset, bytes);
    if (crc32(body) !== crc) throw damaged(path, `rows ${firstRow}..${firstRow + rows}`);
    return body;
  } finally {
    closeSync(fd);
  }
}

function readRecord(path: string, fd: number, offset: number, size: number): Buffer {
  const head = readAt(path, fd, offset, RECORD_BYTES);
  const bytes = head.readUInt32LE(0);
  if (offset + RECORD_BYTES + bytes > size) throw cutShort(path, size);
  const body = readAt(path, fd, offset + RECORD_BYTES, bytes);
  if (crc32(body) !== head.readUInt32LE(4)) throw damaged(path, "directory");
  return body;
}

function readAt(path: string, fd: number, offset: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; ) {
    const count = readSync(fd, buffer, at, bytes - at, offset + at);
    if (count === 0) throw cutShort(path, offset + at);
    at += count;
  }
  return buffer;
}

function cutShort(path: string, bytes: number): PipelineError {
  return new PipelineError("input", "Part of a zone index is cut short", { path, bytes });
}

function damaged(path: string, place: string): PipelineError {
  return new PipelineError("input", "Part of a zone index is damaged: checksum differs", { path, part: place });
}
