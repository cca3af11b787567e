import { constants, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { EncodedChunk } from "../kernel/parquet.js";
import { CHUNK_COLS, CHUNK_ROWS } from "../kernel/zonal.js";
import { PipelineError } from "../pipeline/errors.js";
import { firstBytes } from "../pipeline/input-file.js";
import type { Origin } from "../pipeline/output-origin.js";
import { type Part, shareOf } from "../pipeline/part.js";
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

/** A segment of a chunk, to be read and placed at the chunk's corner in a window. */
export interface PlacedSegment extends Segment {
  readonly chunk: number;
  readonly row: number;
  readonly col: number;
}

/** Rows of the field set, `[from, to)`. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** Who made a zone index: no other program does. */
export function zonesOrigin(path: string): Origin {
  return firstBytes(path, MAGIC.length).equals(MAGIC) ? "ours" : "other";
}

/** Reads a zone index; every part is checked by its CRC before it is used. */
export class ZoneReader {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    readonly header: ZoneHeader,
    private readonly segments: ReadonlyMap<number, readonly Segment[]>,
    /** Rows that are counted: all, or those of a part. */
    readonly rows: RowRange,
    /** Ids of these rows. */
    readonly ids: readonly IdGroup[],
    readonly isPart = false,
  ) {}

  /**
   * @param fields  fieldsFingerprint that the index must be made from; not compared when left out.
   * @throws {PipelineError} input: not a zone index, cut short, another version, damaged, of other fields.
   */
  static async open(path: string, fields?: string): Promise<ZoneReader> {
    // Opening a pipe would wait for its writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const entry = await file.stat();
      if (!entry.isFile())
        throw new PipelineError("input", entry.isDirectory() ? "Not a file but a folder" : "Not a regular file", {
          path,
        });
      const header = await readHeader(path, file);
      if (fields !== undefined && header.fields !== fields) {
        throw new PipelineError("input", "Zone index belongs to other fields or another pixel rule", {
          path,
          expected: fields.slice(0, 12),
          received: header.fields.slice(0, 12),
        });
      }
      const directory = await readSection(path, file, header.directory, "directory");
      const all = { from: 0, to: header.rows };
      return new ZoneReader(path, file, header, parseDirectory(directory), all, header.ids);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * The same index with a part of its fields: a range of whole row groups, and the segments with any of their rows.
   * It shares this reader's file.
   */
  only(part: Part): ZoneReader {
    const groups = shareOf(this.header.ids.length, part);
    const rowsOf = (ids: readonly IdGroup[]) => ids.reduce((sum, { rows }) => sum + rows, 0);
    const ids = this.header.ids.slice(groups.from, groups.to);
    const from = rowsOf(this.header.ids.slice(0, groups.from));
    const rows = { from, to: from + rowsOf(ids) };
    const segments = new Map<number, readonly Segment[]>();
    for (const [chunk, all] of this.segments) {
      const own = all.filter((segment) => this.#overlaps(segment, rows));
      if (own.length > 0) segments.set(chunk, own);
    }
    return new ZoneReader(this.path, this.file, this.header, segments, rows, ids, true);
  }

  /** Rows rise within a segment. */
  #overlaps({ offset, entries }: Segment, { from, to }: RowRange): boolean {
    if (entries === 0 || from === to) return false;
    const row = (entry: number) => {
      const bytes = Buffer.alloc(4);
      readFullySync(this.path, this.fd, bytes, offset + 4 * entry);
      return bytes.readUInt32LE(0);
    };
    return row(0) < to && row(entries - 1) >= from;
  }

  /** One FIELD_STATUS code per field of the whole set, in shared memory. */
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

  /** Segments of some chunks, each placed at its corner in a window, in the order of the file. */
  segmentsOf(
    chunks: readonly { readonly chunk: number; readonly row: number; readonly col: number }[],
  ): PlacedSegment[] {
    return chunks
      .flatMap(({ chunk, row, col }) =>
        (this.segments.get(chunk) ?? []).map((segment) => ({ chunk, row, col, ...segment })),
      )
      .sort((a, b) => a.offset - b.offset);
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
    throw new PipelineError("input", "Zone index has another version", {
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
  readFullySync(path, fd, bytes, group.offset);
  if (crc32(bytes) !== group.crc) throw damaged(path, "ids");
  const [min, max] = [group.min, group.max].map((text) => new Uint8Array(Buffer.from(text, "base64"))) as [
    Uint8Array,
    Uint8Array,
  ];
  return { bytes, dictionaryBytes: 0, encoding: group.encoding, nulls: group.nulls, min, max };
}

/** Reads the segments of one window after the other, in any thread, into memory that is used again. */
export class SegmentReader {
  #words = new Uint32Array(0);

  /**
   * @param fd    ZoneReader's.
   * @param rows  whose entries are kept; they are numbered from the first of these rows.
   */
  constructor(
    private readonly path: string,
    private readonly fd: number,
    private readonly rows: RowRange,
  ) {}

  /**
   * @param segments  of one window, in the order of the file.
   * @returns words and layout as the kernel's count takes them; valid until the next call.
   * @throws {PipelineError} input: cut short, damaged.
   */
  read(segments: readonly PlacedSegment[]): { words: Uint32Array; layout: Uint32Array } {
    const lengths = segments.map(({ entries, runs }) => 2 * entries + runs);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (total > this.#words.length) this.#words = new Uint32Array(Math.ceil(1.25 * total));
    const words = this.#words.subarray(0, total);
    const layout = new Uint32Array(7 * segments.length);
    let [at, begin] = [0, 0];
    for (const [i, { entries, runs, offset, row, col }] of segments.entries()) {
      layout.set([at, at + entries, at + 2 * entries, entries, runs, row, col], 7 * i);
      at += lengths[i] as number;
      // Neighbors in the file are read together.
      const next = segments[i + 1]?.offset;
      if (next === offset + 4 * (lengths[i] as number)) continue;
      const bytes = new Uint8Array(words.buffer, 4 * begin, 4 * (at - begin));
      readFullySync(this.path, this.fd, bytes, offset + 4 * (lengths[i] as number) - bytes.length);
      begin = at;
    }
    at = 0;
    for (const [i, { chunk, crc }] of segments.entries()) {
      const length = lengths[i] as number;
      if (crc32(new Uint8Array(words.buffer, 4 * at, 4 * length)) !== crc) {
        throw damaged(this.path, `segment of chunk ${chunk}`);
      }
      this.#cut(words, layout.subarray(7 * i, 7 * i + 5));
      at += length;
    }
    return { words, layout };
  }

  /** Leave a segment's entries of the wanted rows alone in its layout, and number them from the first of these rows. */
  #cut(words: Uint32Array, place: Uint32Array): void {
    const { from, to } = this.rows;
    const [field, shape, run, entries, runs] = place as unknown as [number, number, number, number, number];
    if (entries === 0 || (from === 0 && (words[field + entries - 1] as number) < to)) return;
    let [begin, skipped, end, kept] = [0, 0, 0, 0];
    for (; begin < entries && (words[field + begin] as number) < from; begin++) {
      skipped += (words[shape + begin] as number) >>> 16;
    }
    for (end = begin; end < entries && (words[field + end] as number) < to; end++) {
      kept += (words[shape + end] as number) >>> 16;
      words[field + end] = (words[field + end] as number) - from;
    }
    if (skipped + kept > runs) throw damaged(this.path, "runs of a segment");
    place.set([field + begin, shape + begin, run + skipped, end - begin, kept]);
  }
}

function readFullySync(path: string, fd: number, into: Uint8Array, offset: number): void {
  for (let at = 0; at < into.length; ) {
    const count = readSync(fd, into, at, into.length - at, offset + at);
    if (count === 0) throw new PipelineError("input", "Zone index is cut short", { path, offset: offset + at });
    at += count;
  }
}
