import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { EncodedChunk, IdColumn } from "../kernel/parquet.js";
import { type Burned, CHUNK_COLS, CHUNK_ROWS } from "../kernel/zonal.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { publishFile } from "../pipeline/output.js";
import type { Grid } from "../raster/grid.js";
import {
  DIRECTORY_ENTRY_BYTES,
  type IdGroup,
  MAGIC,
  type Section,
  TRAILER_BYTES,
  VERSION,
  type ZoneHeader,
} from "./format.js";
import { type HeldIds, IdGroups } from "./id-groups.js";
import { type ChunkRuns, planSegments, type SegmentRange } from "./segments.js";

/** Runs held back before they go to disk sorted by chunk. */
const BUFFER_BYTES = 16 * 2 ** 20;
/** Where fields lie scattered, so that segments would be smaller than this part of the buffer ... */
const SMALL_SEGMENT = 1 / 1024;
/** ... so many buffers are held back, for a reader asks for each segment by itself. */
const MAX_BUFFERS = 16;
/** A checkpoint holds all that is known of the rows so far, so there is one for so many buffers that were written. */
const CHECKPOINT_BUFFERS = 16;
const WRITE_BYTES = 4 * 2 ** 20;

/** Puts segments into the file: workers do, so that the main thread is free. */
export interface SegmentStore {
  /** Ranges that are written at the same time. */
  readonly lanes: number;
  /** @returns CRC-32 of each segment. */
  write(path: string, range: SegmentRange, batches: readonly ChunkRuns[]): Promise<Uint32Array>;
  /** The batch's runs are on disk. */
  release(batch: Burned): void;
}

interface DirectoryEntry {
  readonly chunk: number;
  readonly entries: number;
  readonly runs: number;
  readonly crc: number;
  readonly offset: number;
}

/**
 * Writes a zone index batch by batch; memory is bounded whatever the number of fields.
 *
 * Every time held runs go to disk a checkpoint is written next to the file, from which a
 * later run of the same index goes on.
 */
export class ZoneWriter {
  #directory: DirectoryEntry[] = [];
  readonly #status: Uint8Array;
  #extent = [Infinity, Infinity, -Infinity, -Infinity];
  #held: Burned[] = [];
  #heldBytes = 0;
  readonly #heldChunks = new Set<number>();
  #sinceCheckpoint = 0;
  #runs = 0;
  #rows = 0;
  #offset = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #note = "";
  readonly #ids: IdGroups;
  #idGroups: IdGroup[] = [];

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly fieldsPrint: string,
    private readonly grid: Grid,
    rows: number,
    encodeIds: (ids: IdColumn) => EncodedChunk,
    private readonly store: SegmentStore,
    private readonly requireSound: () => void,
    private readonly bufferBytes: number,
  ) {
    this.#status = new Uint8Array(rows);
    this.#ids = new IdGroups(encodeIds);
  }

  /**
   * Begin, or go on from the checkpoint that an earlier run left.
   *
   * @param fieldsPrint  what the index is made from, in addition to the grid; a checkpoint of another is dropped.
   * @param rows         fields in all.
   * @param beginsAt     whether one of the caller's batches begins at a row: only there can it go on.
   * @param encodeIds    the kernel's.
   * @param requireSound called before a checkpoint and at the end; throws when what was added so far is worth nothing.
   * @param bufferBytes  runs held back before they go to disk sorted by chunk; up to 16 times as many where
   *                     fields lie scattered.
   */
  static async open(
    path: string,
    fieldsPrint: string,
    grid: Grid,
    rows: number,
    beginsAt: (row: number) => boolean,
    encodeIds: (ids: IdColumn) => EncodedChunk,
    store: SegmentStore,
    requireSound: () => void,
    bufferBytes = BUFFER_BYTES,
  ): Promise<ZoneWriter> {
    const found = readCheckpoint(path, fingerprint({ fieldsPrint, grid: { ...grid } }), rows);
    const checkpoint = found && beginsAt(found.head.rows) ? found : undefined;
    const file = await open(path, checkpoint ? "r+" : "w");
    const writer = new ZoneWriter(path, file, fieldsPrint, grid, rows, encodeIds, store, requireSound, bufferBytes);
    if (checkpoint) await writer.#resume(checkpoint);
    else await writer.#append(MAGIC);
    return writer;
  }

  /** Rows that are on disk already; the next batch begins there. */
  get rows(): number {
    return this.#rows;
  }

  /** The note of the last batch. */
  get note(): string {
    return this.#note;
  }

  /**
   * Add the next batch; batches come in row order.
   *
   * @param ids   of its rows.
   * @param note  what the caller must know to go on after this batch.
   */
  async add(burned: Burned, ids: IdColumn, note = ""): Promise<void> {
    this.#note = note;
    for (const group of this.#ids.add(ids)) await this.#putIds(group);
    this.#status.set(burned.status, this.#rows);
    this.#rows += burned.status.length;
    for (let i = 0; i < 2; i++) {
      this.#extent[i] = Math.min(this.#extent[i] as number, burned.extent[i] as number);
      this.#extent[i + 2] = Math.max(this.#extent[i + 2] as number, burned.extent[i + 2] as number);
    }
    this.#held.push(burned);
    for (const chunk of burned.chunks) this.#heldChunks.add(chunk);
    this.#runs += burned.run.length;
    this.#heldBytes += burned.field.byteLength + burned.shape.byteLength + burned.run.byteLength;
    const scattered = this.#heldBytes < this.#heldChunks.size * this.bufferBytes * SMALL_SEGMENT;
    if (this.#heldBytes <= this.bufferBytes * (scattered ? MAX_BUFFERS : 1)) return;
    this.#sinceCheckpoint += this.#heldBytes;
    await this.#flushSegments();
    if (this.#sinceCheckpoint <= this.bufferBytes * CHECKPOINT_BUFFERS) return;
    this.#sinceCheckpoint = 0;
    await this.file.datasync();
    this.requireSound();
    this.#writeCheckpoint();
  }

  /**
   * Write what is left and close the file.
   *
   * @param duplicates  rows whose id stood in an earlier row.
   */
  async finish(duplicates: Uint32Array): Promise<ZoneHeader> {
    this.requireSound();
    const rest = this.#ids.finish();
    if (rest !== undefined) await this.#putIds(rest);
    await this.#flushSegments();
    const status = await this.#section(this.#status);
    const repeated = await this.#section(bytesOf(duplicates));
    const directory = await this.#section(this.#directoryBytes());
    const header: ZoneHeader = {
      version: VERSION,
      fields: this.fieldsPrint,
      rows: this.#rows,
      grid: this.grid,
      chunkRows: CHUNK_ROWS,
      chunkCols: CHUNK_COLS,
      runs: this.#runs,
      extent: Number.isFinite(this.#extent[0]) ? (this.#extent as [number, number, number, number]) : null,
      status,
      duplicates: repeated,
      ids: this.#idGroups,
      directory,
    };
    const { offset, bytes, crc } = await this.#section(Buffer.from(JSON.stringify(header)));
    const trailer = Buffer.alloc(TRAILER_BYTES);
    trailer.writeBigUInt64LE(BigInt(offset), 0);
    trailer.writeUInt32LE(bytes, 8);
    trailer.writeUInt32LE(crc, 12);
    MAGIC.copy(trailer, 16);
    await this.#append(trailer);
    await this.#flushBytes();
    await this.close();
    rmSync(checkpointPath(this.path), { force: true });
    return header;
  }

  /** Close without finishing; the file is then no index. */
  async close(): Promise<void> {
    await this.file.close();
  }

  async #resume({ head, status }: Checkpoint): Promise<void> {
    await this.file.truncate(head.offset);
    this.#directory = head.directory;
    this.#extent = head.extent.map((bound, i) => bound ?? (i < 2 ? Infinity : -Infinity));
    this.#status.set(status);
    this.#idGroups = head.idGroups;
    this.#ids.resume(head.heldIds);
    [this.#rows, this.#runs, this.#offset, this.#note] = [head.rows, head.runs, head.offset, head.note];
  }

  #writeCheckpoint(): void {
    const head: CheckpointHead = {
      fingerprint: fingerprint({ fieldsPrint: this.fieldsPrint, grid: { ...this.grid } }),
      rows: this.#rows,
      runs: this.#runs,
      offset: this.#offset,
      note: this.#note,
      extent: this.#extent,
      directory: this.#directory,
      idGroups: this.#idGroups,
      heldIds: this.#ids.held,
    };
    const json = Buffer.from(JSON.stringify(head));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    const partial = `${checkpointPath(this.path)}.partial`;
    writeFileSync(partial, Buffer.concat([length, json, this.#status.subarray(0, this.#rows)]));
    publishFile(partial, checkpointPath(this.path));
  }

  async #flushSegments(): Promise<void> {
    await this.#flushBytes();
    const batches = this.#held.map(({ chunks, entryEnd, runEnd, field, shape, run }) => ({
      chunks,
      entryEnd,
      runEnd,
      field,
      shape,
      run,
    }));
    const ranges = planSegments(batches, this.#offset, this.store.lanes);
    const written = await Promise.allSettled(ranges.map((range) => this.store.write(this.path, range, batches)));
    for (const [i, result] of written.entries()) {
      if (result.status === "rejected") throw result.reason;
      this.#enter(ranges[i] as SegmentRange, result.value);
    }
    for (const batch of this.#held) this.store.release(batch);
    this.#held = [];
    this.#heldBytes = 0;
    this.#heldChunks.clear();
  }

  #enter({ chunks, entries, runs }: SegmentRange, crcs: Uint32Array): void {
    chunks.forEach((chunk, i) => {
      const segment = { chunk, entries: entries[i] as number, runs: runs[i] as number, crc: crcs[i] as number };
      this.#directory.push({ ...segment, offset: this.#offset });
      this.#offset += 4 * (2 * segment.entries + segment.runs);
    });
  }

  async #putIds({ chunk, rows }: { chunk: EncodedChunk; rows: number }): Promise<void> {
    const [min, max] = [chunk.min, chunk.max].map((bound) => Buffer.from(bound).toString("base64")) as [string, string];
    const section = await this.#section(chunk.bytes);
    this.#idGroups.push({ ...section, rows, encoding: chunk.encoding, nulls: chunk.nulls, min, max });
  }

  #directoryBytes(): Buffer {
    const bytes = Buffer.alloc(this.#directory.length * DIRECTORY_ENTRY_BYTES);
    this.#directory.forEach(({ chunk, entries, runs, crc, offset }, i) => {
      const at = i * DIRECTORY_ENTRY_BYTES;
      bytes.writeUInt32LE(chunk, at);
      bytes.writeUInt32LE(entries, at + 4);
      bytes.writeUInt32LE(runs, at + 8);
      bytes.writeUInt32LE(crc, at + 12);
      bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    });
    return bytes;
  }

  async #section(bytes: Uint8Array): Promise<Section> {
    const offset = this.#offset;
    await this.#append(bytes);
    return { offset, bytes: bytes.byteLength, crc: crc32(bytes) };
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#offset += bytes.byteLength;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.byteLength;
    if (this.#pendingBytes >= WRITE_BYTES) await this.#flushBytes();
  }

  async #flushBytes(): Promise<void> {
    const all = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    const start = this.#offset - all.length;
    for (let at = 0; at < all.length; ) {
      at += (await this.file.write(all, at, all.length - at, start + at)).bytesWritten;
    }
  }
}

interface CheckpointHead {
  readonly fingerprint: string;
  readonly rows: number;
  readonly runs: number;
  readonly offset: number;
  readonly note: string;
  /** Null stands for an infinity, which JSON does not have. */
  readonly extent: (number | null)[];
  readonly directory: DirectoryEntry[];
  readonly idGroups: IdGroup[];
  readonly heldIds: HeldIds | undefined;
}

interface Checkpoint {
  readonly head: CheckpointHead;
  readonly status: Uint8Array;
}

function checkpointPath(path: string): string {
  return `${path}.checkpoint`;
}

/** Undefined where there is none that fits: then the index is begun anew. */
function readCheckpoint(path: string, fingerprint: string, rows: number): Checkpoint | undefined {
  try {
    const bytes = readFileSync(checkpointPath(path));
    const length = bytes.readUInt32LE(0);
    const head = JSON.parse(bytes.toString("utf8", 4, 4 + length)) as CheckpointHead;
    const status = bytes.subarray(4 + length);
    const fits = head.fingerprint === fingerprint && status.length === head.rows && head.rows <= rows;
    return fits && statSync(path).size >= head.offset ? { head, status } : undefined;
  } catch {
    return undefined;
  }
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
