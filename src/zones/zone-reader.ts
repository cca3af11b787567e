import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { CHUNK_COLS, CHUNK_ROWS, type EncodedChunk } from "../kernel/kernel.js";
import { PipelineError } from "../pipeline/errors.js";
import {
  DIRECTORY_ENTRY_BYTES,
  type IdGroup,
  MAGIC,
  type Section,
  TRAILER_BYTES,
  VERSION,
  type ZoneHeader,
} from "./format.js";

interface Segment {
  readonly entries: number;
  readonly runs: number;
  readonly crc: number;
  readonly offset: number;
}

/** A window's segments, as the kernel's count takes them. */
export interface ZoneWords {
  /** Shared, so that workers read it in place. */
  readonly words: SharedArrayBuffer;
  readonly wordCount: number;
  readonly layout: Uint32Array;
}

/** Reads a zone index; every part is checked by its CRC before it is used. */
export class ZoneReader {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    readonly header: ZoneHeader,
    private readonly segments: ReadonlyMap<number, readonly Segment[]>,
  ) {}

  /**
   * @param fields  fieldsFingerprint that the index must be made from; not compared when left out.
   * @throws {PipelineError} input: not a zone index, cut short, another version, damaged, of other fields.
   */
  static async open(path: string, fields?: string): Promise<ZoneReader> {
    const file = await open(path, "r");
    try {
      const header = await readHeader(path, file);
      if (fields !== undefined && header.fields !== fields) {
        throw new PipelineError("input", "Zone index is of other fields, or of another pixel rule", {
          path,
          expected: fields.slice(0, 12),
          received: header.fields.slice(0, 12),
        });
      }
      const directory = await readSection(path, file, header.directory, "directory");
      return new ZoneReader(path, file, header, parseDirectory(directory));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** One FIELD_STATUS code per field, in shared memory. */
  readStatus(): Promise<Uint8Array> {
    const { status } = this.header;
    return readSection(this.path, this.file, status, "status", new Uint8Array(new SharedArrayBuffer(status.bytes)));
  }

  /** The file's descriptor, which is that of all threads. */
  get fd(): number {
    return this.file.fd;
  }

  /** Rows whose id stood in an earlier row, ascending. */
  async readDuplicates(): Promise<Uint32Array> {
    const bytes = await readSection(this.path, this.file, this.header.duplicates, "duplicates");
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  has(chunk: number): boolean {
    return this.segments.has(chunk);
  }

  /** Segments of some chunks, each placed at its corner in a window. */
  async read(
    chunks: readonly { readonly chunk: number; readonly row: number; readonly col: number }[],
  ): Promise<ZoneWords> {
    const wanted = chunks.flatMap(({ chunk, row, col }) =>
      (this.segments.get(chunk) ?? []).map((segment) => ({ chunk, row, col, ...segment })),
    );
    const wordCount = wanted.reduce((sum, { entries, runs }) => sum + 2 * entries + runs, 0);
    const words = new SharedArrayBuffer(wordCount * 4);
    const layout = new Uint32Array(7 * wanted.length);
    let at = 0;
    for (const [i, segment] of wanted.entries()) {
      const length = 2 * segment.entries + segment.runs;
      const bytes = new Uint8Array(words, at * 4, length * 4);
      await readFully(this.path, this.file, bytes, segment.offset);
      if (crc32(bytes) !== segment.crc) throw damaged(this.path, `segment of chunk ${segment.chunk}`);
      layout.set(
        [at, at + segment.entries, at + 2 * segment.entries, segment.entries, segment.runs, segment.row, segment.col],
        7 * i,
      );
      at += length;
    }
    return { words, wordCount, layout };
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

async function readHeader(path: string, file: FileHandle): Promise<ZoneHeader> {
  const { size } = await file.stat();
  const head = Buffer.alloc(MAGIC.length);
  const trailer = Buffer.alloc(TRAILER_BYTES);
  if (size < MAGIC.length + TRAILER_BYTES)
    throw new PipelineError("input", "Zone index is cut short", { path, bytes: size });
  await readFully(path, file, head, 0);
  if (!head.equals(MAGIC))
    throw new PipelineError("input", "Not a zone index", { path, expected: MAGIC.toString("latin1") });
  await readFully(path, file, trailer, size - TRAILER_BYTES);
  if (!trailer.subarray(16).equals(MAGIC))
    throw new PipelineError("input", "Zone index is cut short", { path, bytes: size });
  const section = {
    offset: Number(trailer.readBigUInt64LE(0)),
    bytes: trailer.readUInt32LE(8),
    crc: trailer.readUInt32LE(12),
  };
  if (section.offset + section.bytes + TRAILER_BYTES !== size) throw damaged(path, "trailer");
  const header = JSON.parse(
    Buffer.from(await readSection(path, file, section, "header")).toString("utf8"),
  ) as ZoneHeader;
  if (header.version !== VERSION || header.chunkRows !== CHUNK_ROWS || header.chunkCols !== CHUNK_COLS) {
    throw new PipelineError("input", "Zone index is of another version", {
      path,
      expected: `version ${VERSION}, chunks ${CHUNK_ROWS}×${CHUNK_COLS}`,
      received: `version ${header.version}, chunks ${header.chunkRows}×${header.chunkCols}`,
    });
  }
  return header;
}

async function readSection<B extends ArrayBufferLike = ArrayBuffer>(
  path: string,
  file: FileHandle,
  section: Section,
  name: string,
  bytes = new Uint8Array(section.bytes) as Uint8Array<B>,
): Promise<Uint8Array<B>> {
  await readFully(path, file, bytes, section.offset);
  if (crc32(bytes) !== section.crc) throw damaged(path, name);
  return bytes;
}

async function readFully(path: string, file: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < into.byteLength; ) {
    const { bytesRead } = await file.read(into, at, into.byteLength - at, offset + at);
    if (bytesRead === 0) throw new PipelineError("input", "Zone index is cut short", { path, offset: offset + at });
    at += bytesRead;
  }
}

function parseDirectory(bytes: Uint8Array): Map<number, Segment[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = new Map<number, Segment[]>();
  for (let at = 0; at < bytes.byteLength; at += DIRECTORY_ENTRY_BYTES) {
    const chunk = view.getUint32(at, true);
    const segment = {
      entries: view.getUint32(at + 4, true),
      runs: view.getUint32(at + 8, true),
      crc: view.getUint32(at + 12, true),
      offset: Number(view.getBigUint64(at + 16, true)),
    };
    const list = segments.get(chunk);
    if (list) list.push(segment);
    else segments.set(chunk, [segment]);
  }
  return segments;
}

function damaged(path: string, part: string): PipelineError {
  return new PipelineError("input", "Zone index is damaged: checksum differs", { path, part });
}

/**
 * The ids of a row group, in any thread.
 *
 * @param fd  ZoneReader's.
 * @throws {PipelineError} input: cut short, damaged.
 */
export function readIds(path: string, fd: number, group: IdGroup): EncodedChunk {
  const bytes = new Uint8Array(group.bytes);
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(fd, bytes, at, bytes.length - at, group.offset + at);
    if (count === 0) throw new PipelineError("input", "Zone index is cut short", { path, offset: group.offset + at });
    at += count;
  }
  if (crc32(bytes) !== group.crc) throw damaged(path, "ids");
  const [min, max] = [group.min, group.max].map((text) => new Uint8Array(Buffer.from(text, "base64"))) as [
    Uint8Array,
    Uint8Array,
  ];
  return { bytes, dictionaryBytes: 0, encoding: group.encoding, nulls: group.nulls, min, max };
}
