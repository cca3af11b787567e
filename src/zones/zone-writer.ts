import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { type Burned, CHUNK_COLS, CHUNK_ROWS } from "../kernel/kernel.js";
import type { Grid } from "../raster/grid.js";
import { DIRECTORY_ENTRY_BYTES, MAGIC, type Section, TRAILER_BYTES, VERSION, type ZoneHeader } from "./format.js";

/** Runs held back before they go to disk sorted by chunk, so that a chunk has few segments. */
const BUFFER_BYTES = 256 * 2 ** 20;
const WRITE_BYTES = 4 * 2 ** 20;

interface Piece {
  readonly field: Uint32Array;
  readonly shape: Uint32Array;
  readonly run: Uint32Array;
}

interface DirectoryEntry {
  readonly chunk: number;
  readonly entries: number;
  readonly runs: number;
  readonly crc: number;
  readonly offset: number;
}

/** Writes a zone index batch by batch; memory is bounded whatever the number of fields. */
export class ZoneWriter {
  readonly #directory: DirectoryEntry[] = [];
  readonly #status: Uint8Array;
  readonly #extent = [Infinity, Infinity, -Infinity, -Infinity];
  #held = new Map<number, Piece[]>();
  #heldBytes = 0;
  #runs = 0;
  #rows = 0;
  #offset = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  private constructor(
    private readonly file: FileHandle,
    rows: number,
  ) {
    this.#status = new Uint8Array(rows);
  }

  /** @param rows  fields in all. */
  static async create(path: string, rows: number): Promise<ZoneWriter> {
    const writer = new ZoneWriter(await open(path, "w"), rows);
    await writer.#append(MAGIC);
    return writer;
  }

  /** Add the next batch; batches come in row order. */
  async add(burned: Burned): Promise<void> {
    this.#status.set(burned.status, this.#rows);
    this.#rows += burned.status.length;
    for (let i = 0; i < 2; i++) {
      this.#extent[i] = Math.min(this.#extent[i] as number, burned.extent[i] as number);
      this.#extent[i + 2] = Math.max(this.#extent[i + 2] as number, burned.extent[i + 2] as number);
    }
    let [entry, run] = [0, 0];
    burned.chunks.forEach((chunk, i) => {
      const [entryEnd, runEnd] = [burned.entryEnd[i] as number, burned.runEnd[i] as number];
      const piece = {
        field: burned.field.subarray(entry, entryEnd),
        shape: burned.shape.subarray(entry, entryEnd),
        run: burned.run.subarray(run, runEnd),
      };
      const pieces = this.#held.get(chunk);
      if (pieces) pieces.push(piece);
      else this.#held.set(chunk, [piece]);
      [entry, run] = [entryEnd, runEnd];
    });
    this.#runs += burned.run.length;
    this.#heldBytes += burned.field.byteLength + burned.shape.byteLength + burned.run.byteLength;
    if (this.#heldBytes > BUFFER_BYTES) await this.#flushSegments();
  }

  /** How many fields had each status so far. */
  statusCounts(): number[] {
    const counts: number[] = [];
    for (const status of this.#status.subarray(0, this.#rows)) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  /**
   * Write what is left and close the file.
   *
   * @param duplicates  rows whose id stood in an earlier row.
   */
  async finish(fingerprint: string, grid: Grid, duplicates: Uint32Array): Promise<ZoneHeader> {
    await this.#flushSegments();
    const status = await this.#section(this.#status);
    const repeated = await this.#section(bytesOf(duplicates));
    const directory = await this.#section(this.#directoryBytes());
    const header: ZoneHeader = {
      version: VERSION,
      fingerprint,
      rows: this.#rows,
      grid,
      chunkRows: CHUNK_ROWS,
      chunkCols: CHUNK_COLS,
      runs: this.#runs,
      extent: Number.isFinite(this.#extent[0]) ? (this.#extent as [number, number, number, number]) : null,
      status,
      duplicates: repeated,
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
    return header;
  }

  /** Close without finishing; the file is then no index. */
  async close(): Promise<void> {
    await this.file.close();
  }

  async #flushSegments(): Promise<void> {
    for (const chunk of [...this.#held.keys()].sort((a, b) => a - b)) {
      const pieces = this.#held.get(chunk) as Piece[];
      const entries = pieces.reduce((sum, piece) => sum + piece.field.length, 0);
      const runs = pieces.reduce((sum, piece) => sum + piece.run.length, 0);
      const words = new Uint32Array(2 * entries + runs);
      let [field, shape, run] = [0, entries, 2 * entries];
      for (const piece of pieces) {
        words.set(piece.field, field);
        words.set(piece.shape, shape);
        words.set(piece.run, run);
        field += piece.field.length;
        shape += piece.shape.length;
        run += piece.run.length;
      }
      const bytes = bytesOf(words);
      this.#directory.push({ chunk, entries, runs, crc: crc32(bytes), offset: this.#offset });
      await this.#append(bytes);
    }
    this.#held = new Map();
    this.#heldBytes = 0;
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
    for (let at = 0; at < all.length; ) at += (await this.file.write(all, at)).bytesWritten;
  }
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
