import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { ContentTable } from "./content-table.js";
import { encodeDirectories } from "./directory.js";
import { Entries } from "./entries.js";
import { COMPRESSION, HEADER_BYTES, type Header, ROOT_AREA_BYTES, serializeHeader, TILE_TYPE } from "./header.js";
import { encodeMetadata, type Metadata } from "./metadata.js";
import { tileName, tileOf } from "./tile-id.js";

const BUFFER_BYTES = 4 * 2 ** 20;

/** What the tiles themselves do not say. */
export interface ArchiveFacts {
  readonly metadata: Metadata;
  readonly bounds: Header["bounds"];
  readonly center: Header["center"];
}

/**
 * Writes a PMTiles v3 archive in one pass, front to back: room for header and
 * root, tiles as they come, metadata, leaf directories; then the header. No
 * temporary copy, and memory of 24 bytes an entry whatever the archive's size.
 *
 * The same tiles give the same bytes. A write that is cut off leaves a file
 * without a header, which no reader takes for an archive.
 *
 * @throws {PipelineError} space when the disk is full, else failed; each names the file.
 */
export class ArchiveWriter {
  readonly #fd: number;
  #entries = new Entries(2 ** 16);
  /** Entry that wrote content n first, for identical tiles. */
  readonly #firstEntry: number[] = [];
  readonly #contents = new ContentTable();
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #buffered = 0;
  /** Bytes of tile data so far, those still in the buffer included. */
  #tileBytes = 0;
  #contentCount = 0;
  #nextTileId = 0;
  #addressed = 0;
  #flushed = 0;
  #closed = false;

  constructor(
    readonly path: string,
    private readonly tileCompression: number = COMPRESSION.gzip,
    private readonly tileType: number = TILE_TYPE.mvt,
    flags = "w+",
  ) {
    this.#fd = this.#guarded("Cannot create archive", () => openSync(path, flags));
  }

  /** Write an archive of this writer's anew but for its tiles: `finish` gives it other metadata. */
  static reopen(path: string, entries: Entries, header: Header): ArchiveWriter {
    const { tiles, tileContents, tileCompression, tileType } = header;
    if (tiles.offset !== ROOT_AREA_BYTES)
      throw new PipelineError("failed", "Internal error: tiles are at other offsets than planned", { path });
    const writer = new ArchiveWriter(path, tileCompression, tileType, "r+");
    writer.adopt(entries, tileContents, tiles.length);
    writer.#guarded("Cannot write archive", () => ftruncateSync(writer.#fd, ROOT_AREA_BYTES + tiles.length));
    return writer;
  }

  /**
   * Append a tile; a content that came before is stored once.
   *
   * @param tileId  above all ids so far: tiles come in Hilbert order.
   * @param content  as it is stored, so compressed as announced.
   * @param runLength  successive tiles that share the content.
   */
  write(tileId: number, content: Uint8Array, runLength = 1): void {
    if (tileId < this.#nextTileId || content.length === 0 || runLength < 1) {
      throw new PipelineError("failed", "Tiles must be in ascending order and not empty", {
        path: this.path,
        tile: tileName(tileId),
        bytes: content.length,
        after: this.#nextTileId - 1,
      });
    }
    this.#nextTileId = tileId + runLength;
    this.#addressed += runLength;
    const entries = this.#entries;
    const number = this.#firstEntry.length;
    const earlier = this.#contents.findOrAdd(contentKey(content, this.tileCompression), number);
    const entry = earlier === undefined ? undefined : this.#firstEntry[earlier];
    if (entry !== undefined && this.#isStored(content, entry)) {
      const offset = entries.offset(entry);
      const last = entries.count - 1;
      const follows = entries.tileId(last) + entries.runLength(last) === tileId;
      if (follows && entries.offset(last) === offset) {
        entries.runLengths[last] = entries.runLength(last) + runLength;
      } else {
        entries.push(tileId, offset, content.length, runLength);
      }
      return;
    }
    this.#firstEntry.push(entries.count);
    this.#contentCount++;
    entries.push(tileId, this.#tileBytes, content.length, runLength);
    this.#tileBytes += content.length;
    this.#append(content);
  }

  /** Write tiles at a place among all tiles; `adopt` then says what they are. */
  writeTiles(content: Uint8Array, at: number): void {
    this.#writeAt(content, ROOT_AREA_BYTES + at);
  }

  /**
   * Take over tiles that lie in the file already, from the end of the root's room on: others may write there while this
   * is open. Instead of `write`.
   *
   * @param contents  different ones.
   * @param tileBytes  of all of them.
   */
  adopt(entries: Entries, contents: number, tileBytes: number): void {
    this.#entries = entries;
    this.#contentCount = contents;
    this.#tileBytes = this.#flushed = tileBytes;
    this.#addressed = entries.runLengths.subarray(0, entries.count).reduce((sum, n) => sum + n, 0);
    const last = entries.count - 1;
    this.#nextTileId = last < 0 ? 0 : entries.tileId(last) + entries.runLength(last);
  }

  /** Directories, metadata and, last, the header; then the file is closed. */
  finish(facts: ArchiveFacts): Header {
    const entries = this.#entries;
    if (entries.count === 0) throw new PipelineError("failed", "An archive without tiles", { path: this.path });
    const { root, leaves } = encodeDirectories(entries);
    const metadata = encodeMetadata(facts.metadata);
    this.#append(metadata);
    this.#append(leaves);
    this.#flush();
    const metadataOffset = ROOT_AREA_BYTES + this.#tileBytes;
    const header: Header = {
      root: { offset: HEADER_BYTES, length: root.length },
      metadata: { offset: metadataOffset, length: metadata.length },
      leaves: { offset: metadataOffset + metadata.length, length: leaves.length },
      tiles: { offset: ROOT_AREA_BYTES, length: this.#tileBytes },
      addressedTiles: this.#addressed,
      tileEntries: entries.count,
      tileContents: this.#contentCount,
      clustered: true,
      internalCompression: COMPRESSION.gzip,
      tileCompression: this.tileCompression,
      tileType: this.tileType,
      minZoom: tileOf(entries.tileId(0)).z,
      maxZoom: tileOf(this.#nextTileId - 1).z,
      bounds: facts.bounds,
      center: facts.center,
    };
    const front = Buffer.alloc(ROOT_AREA_BYTES);
    front.set(root, HEADER_BYTES);
    this.#writeAt(front.subarray(HEADER_BYTES), HEADER_BYTES);
    this.#writeAt(serializeHeader(header), 0);
    this.close();
    return header;
  }

  /** Give up: close the file as it is, without a header. Nothing to do after `finish`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  #isStored(content: Uint8Array, entry: number): boolean {
    const [offset, length] = [this.#entries.offset(entry), this.#entries.length(entry)];
    if (length !== content.length) return false;
    const inBuffer = offset - (this.#tileBytes - this.#buffered);
    if (inBuffer >= 0) return this.#buffer.compare(content, 0, length, inBuffer, inBuffer + length) === 0;
    // It may lie on both sides of the last flush.
    this.#flush();
    const stored = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const n = readSync(this.#fd, stored, filled, length - filled, ROOT_AREA_BYTES + offset + filled);
      if (n === 0) return false;
      filled += n;
    }
    return stored.equals(content);
  }

  #append(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length; ) {
      if (this.#buffered === BUFFER_BYTES) this.#flush();
      const n = Math.min(bytes.length - taken, BUFFER_BYTES - this.#buffered);
      this.#buffer.set(bytes.subarray(taken, taken + n), this.#buffered);
      this.#buffered += n;
      taken += n;
    }
  }

  #flush(): void {
    this.#writeAt(this.#buffer.subarray(0, this.#buffered), ROOT_AREA_BYTES + this.#flushed);
    this.#flushed += this.#buffered;
    this.#buffered = 0;
  }

  #writeAt(bytes: Uint8Array, position: number): void {
    this.#guarded("Cannot write archive", () => {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#fd, bytes, written, bytes.length - written, position + written);
      }
    });
  }

  #guarded<T>(sentence: string, act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw asPipelineError(cause, "failed", sentence, { path: this.path });
    }
  }
}

/** CRC-32 of the plain content, which gzip carries in its last eight bytes: nothing is hashed twice. */
function contentKey(content: Uint8Array, compression: number): number {
  if (compression !== COMPRESSION.gzip || content.length < 18) return crc32(content);
  const view = new DataView(content.buffer, content.byteOffset + content.length - 8, 8);
  return view.getUint32(0, true);
}
