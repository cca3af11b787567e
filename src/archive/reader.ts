import { closeSync, fstatSync, readSync } from "node:fs";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { openInput } from "../pipeline/input-file.js";
import { decodeDirectory, directoryLimit, ROOT_LIMIT } from "./directory.js";
import { Entries } from "./entries.js";
import { gunzip, TILE_LIMIT } from "./gunzip.js";
import { COMPRESSION, HEADER_BYTES, type Header, parseHeader, type Section } from "./header.js";
import { decodeMetadata, type Metadata } from "./metadata.js";
import { type Tile, tileId, tileName } from "./tile-id.js";

/** Read at once when tiles are taken in order: few system calls, and what Lustre likes. */
const READ_AHEAD_BYTES = 4 * 2 ** 20;

/** A file's header alone, though the rest may be damaged. */
export function readHeader(path: string): Header {
  const fd = openInput(path);
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    return parseHeader(bytes.subarray(0, readSync(fd, bytes, 0, HEADER_BYTES, 0)));
  } catch (error) {
    throw asPipelineError(error, "input", "Cannot read header", { path });
  } finally {
    closeSync(fd);
  }
}

/**
 * A local PMTiles v3 archive, open for reading. Reads are synchronous: it is used
 * in workers and in scans that have nothing else to do.
 *
 * Every error is a PipelineError of kind `input` that names the file.
 */
export class Archive {
  readonly header: Header;
  readonly fileBytes: number;
  /** All tile entries, root's and leaves', in directory order. */
  readonly entries: Entries;
  /** The root's pointers to leaf directories. */
  readonly leafPointers: Entries;
  readonly #fd: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowOffset = 0;

  /**
   * Open an archive: header and directories are read, and each section must lie
   * inside the file (a download cut short ends here).
   */
  constructor(readonly path: string) {
    try {
      this.#fd = openInput(path);
    } catch (cause) {
      throw asPipelineError(cause, "input", "Cannot open archive", { path });
    }
    try {
      this.fileBytes = fstatSync(this.#fd).size;
      this.header = parseHeader(this.#read(0, Math.min(HEADER_BYTES, this.fileBytes), "header"));
      this.#checkSections();
      const { entries, pointers } = this.#readDirectories();
      this.entries = entries;
      this.leafPointers = pointers;
    } catch (error) {
      closeSync(this.#fd);
      throw asPipelineError(error, "input", "Cannot read archive", { path });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  metadata(): Metadata {
    try {
      const { offset, length } = this.header.metadata;
      return decodeMetadata(this.#read(offset, length, "metadata"));
    } catch (error) {
      throw asPipelineError(error, "input", "Cannot read metadata", { path: this.path });
    }
  }

  /**
   * Content of entry `i` as it is stored (compressed). Fast when entries are taken
   * in order.
   *
   * @returns a view that holds until the next call.
   */
  storedTile(i: number): Uint8Array {
    const { entries, header } = this;
    const offset = header.tiles.offset + entries.offset(i);
    const length = entries.length(i);
    const start = offset - this.#windowOffset;
    if (start >= 0 && start + length <= this.#window.length) return this.#window.subarray(start, start + length);
    const end = header.tiles.offset + header.tiles.length;
    if (offset + length > end) {
      throw new PipelineError("input", "Entry points past the tile data", {
        path: this.path,
        entry: i,
        tile: tileName(entries.tileId(i)),
        expected: `an end at ${end} or before`,
        received: offset + length,
      });
    }
    this.#window = this.#read(offset, Math.min(Math.max(length, READ_AHEAD_BYTES), end - offset), "tile data");
    this.#windowOffset = offset;
    return this.#window.subarray(0, length);
  }

  /** Content of entry `i`, decompressed. */
  tile(i: number): Uint8Array {
    return this.#plain(this.storedTile(i), i);
  }

  /** The same, where others around it are not wanted: nothing is read ahead. */
  readTile(i: number): Uint8Array {
    return this.#plain(this.readContent(i), i);
  }

  /** One content as it is stored; nothing is read ahead. */
  readContent(i: number): Uint8Array {
    const { entries, header } = this;
    const end = entries.offset(i) + entries.length(i);
    // Errors, and what is at hand, are storedTile's.
    if (end > header.tiles.length) return this.storedTile(i);
    return this.#read(header.tiles.offset + entries.offset(i), entries.length(i), "tile data");
  }

  /** One tile, decompressed; undefined where the archive has none. */
  find(tile: Tile): Uint8Array | undefined {
    const id = tileId(tile);
    const i = this.entries.findAtOrBefore(id);
    if (i < 0 || id >= this.entries.tileId(i) + this.entries.runLength(i)) return undefined;
    return this.tile(i);
  }

  #plain(stored: Uint8Array, i: number): Uint8Array {
    if (this.header.tileCompression === COMPRESSION.none) return stored;
    try {
      return gunzip(stored, TILE_LIMIT);
    } catch (cause) {
      const where = { path: this.path, tile: tileName(this.entries.tileId(i)), entry: i };
      throw new PipelineError("input", "Tile cannot be decompressed", where, { cause });
    }
  }

  #checkSections(): void {
    const { header } = this;
    const compressions = {
      internalCompression: [COMPRESSION.gzip],
      tileCompression: [COMPRESSION.gzip, COMPRESSION.none],
    };
    for (const [name, known] of Object.entries(compressions)) {
      const received = header[name as keyof typeof compressions];
      if (!known.some((value) => value === received)) {
        throw new PipelineError("input", `Unsupported ${name}`, { expected: known.join(" or "), received });
      }
    }
    for (const name of ["root", "metadata", "leaves", "tiles"] as const) {
      const { offset, length }: Section = header[name];
      if (offset + length > this.fileBytes) {
        throw new PipelineError("input", "Archive is cut short", {
          section: name,
          expected: `${offset + length} bytes or more`,
          received: this.fileBytes,
        });
      }
    }
  }

  #readDirectories(): { entries: Entries; pointers: Entries } {
    const { root, leaves } = this.header;
    if (root.length > ROOT_LIMIT) {
      throw new PipelineError("input", "Root directory is larger than the format allows", {
        expected: `${ROOT_LIMIT} bytes or less`,
        received: root.length,
      });
    }
    const left = { bytes: directoryLimit(root.length + leaves.length) };
    const top = this.#readDirectory(root, left, { directory: "root" });
    const entries = new Entries(Math.max(top.count, this.#plausibleEntries()));
    const pointers = new Entries();
    for (let i = 0; i < top.count; i++) {
      if (top.runLength(i) > 0) {
        entries.push(top.tileId(i), top.offset(i), top.length(i), top.runLength(i));
        continue;
      }
      const directory = `leaf ${pointers.count}`;
      pointers.push(top.tileId(i), top.offset(i), top.length(i), 0);
      if (top.offset(i) + top.length(i) > leaves.length) {
        throw new PipelineError("input", "Leaf directory lies outside its section", {
          directory,
          expected: `an end at ${leaves.length} or before`,
          received: top.offset(i) + top.length(i),
        });
      }
      const section = { offset: leaves.offset + top.offset(i), length: top.length(i) };
      const leaf = this.#readDirectory(section, left, { directory });
      if (leaf.count === 0 || leaf.tileId(0) !== top.tileId(i)) {
        throw new PipelineError("input", "Leaf directory does not start at the tile id in the root directory", {
          directory,
          expected: top.tileId(i),
          received: leaf.count === 0 ? "no entries" : leaf.tileId(0),
        });
      }
      const nested = leaf.runLengths.subarray(0, leaf.count).indexOf(0);
      if (nested >= 0)
        throw new PipelineError("input", "Leaf directory holds another leaf", { directory, entry: nested });
      entries.append(leaf);
    }
    return { entries, pointers };
  }

  /** @param left  plain bytes that all directories together may still have. */
  #readDirectory(section: Section, left: { bytes: number }, where: { directory: string }): Entries {
    try {
      const plain = gunzip(this.#read(section.offset, section.length, where.directory), left.bytes);
      left.bytes -= plain.length;
      return decodeDirectory(plain);
    } catch (error) {
      throw asPipelineError(error, "input", "Directory cannot be read", where);
    }
  }

  /** The header's count where it can be true (an entry takes a byte or more on disk); it may be damaged. */
  #plausibleEntries(): number {
    const { tileEntries, tiles } = this.header;
    return tileEntries <= tiles.length ? tileEntries : 0;
  }

  #read(offset: number, length: number, what: string): Uint8Array {
    const bytes = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const n = readSync(this.#fd, bytes, filled, length - filled, offset + filled);
      if (n === 0) {
        throw new PipelineError("input", `Archive ends inside its ${what}`, {
          path: this.path,
          expected: `${length} bytes at ${offset}`,
          received: filled,
        });
      }
      filled += n;
    }
    return bytes;
  }
}
