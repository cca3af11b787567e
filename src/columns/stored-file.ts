import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { openInput } from "../pipeline/input-file.js";
import type { Origin } from "../pipeline/output-origin.js";
import {
  type BlocksIndex,
  CHECKSUM_BYTES,
  type ColumnIndex,
  crc32,
  type FileKind,
  kindOf,
  PRELUDE_BYTES,
  type Prelude,
  readBlocksIndex,
  readColumnIndex,
  readIds,
  readPlaces,
  readPrelude,
  requireChecksum,
  splitBlock,
  writePrelude,
} from "./column-file.js";

/** Largest block, inflated: 65,536 fields of five bytes. */
const MAX_BLOCK_BYTES = 5 * 2 ** 16;
const LEVEL = 9;
const READ_BYTES = 2 ** 20;

/** A local file of blocks or codes, open for reading. Every error is a PipelineError of kind `input` that names the file. */
abstract class StoredFile<I extends { readonly offsets: Float64Array; readonly count: number }> {
  readonly prelude: Prelude;
  readonly index: I;
  readonly #fd: number;

  protected constructor(
    readonly path: string,
    kind: FileKind,
    readIndex: (raw: Uint8Array, prelude: Prelude) => I,
  ) {
    try {
      this.#fd = openInput(path);
    } catch (cause) {
      throw asPipelineError(cause, "input", `Cannot open ${NAMES[kind]}`, { path });
    }
    try {
      const { size } = fstatSync(this.#fd);
      this.prelude = readPrelude(this.#read(0, Math.min(size, PRELUDE_BYTES)), kind);
      const { fileBytes, indexLength, indexSize } = this.prelude;
      if (size !== fileBytes || PRELUDE_BYTES + indexLength > size) {
        const where = { path, expected: `${fileBytes} bytes`, received: size };
        throw new PipelineError("input", `File of ${NAMES[kind]} is cut short or has bytes behind its end`, where);
      }
      const raw = inflate(this.#read(PRELUDE_BYTES, indexLength), indexSize);
      this.index = readIndex(raw, this.prelude);
    } catch (error) {
      closeSync(this.#fd);
      throw asPipelineError(error, "input", `File of ${NAMES[kind]} is damaged`, { path });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** A block's content, inflated and verified with its checksum. */
  protected content(block: number): Uint8Array {
    const [from, to] = [this.index.offsets[block] as number, this.index.offsets[block + 1] as number];
    const { deflated, checksum } = splitBlock(this.#read(from, to - from));
    const raw = inflate(deflated, MAX_BLOCK_BYTES);
    requireChecksum(raw, checksum, "the block");
    return raw;
  }

  protected named<T>(block: number, read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw asPipelineError(error, "input", `Block of ${NAMES[this.prelude.kind]} is damaged`, {
        path: this.path,
        block,
      });
    }
  }

  #read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (n === 0) throw new PipelineError("input", "File ends too early", { at: offset + done });
      done += n;
    }
    return bytes;
  }
}

const NAMES: Readonly<Record<FileKind, string>> = { blocks: "blocks", column: "crop codes" };

/** A base's blocks. */
export class BlocksFile extends StoredFile<BlocksIndex> {
  constructor(path: string) {
    super(path, "blocks", readBlocksIndex);
  }

  /** Ids of a block's fields, ascending. */
  ids(block: number): Uint32Array {
    const { sizes, rows } = this.index;
    return this.named(block, () => readIds(this.content(block), sizes[block] as number, rows));
  }
}

/** A year's crop codes. */
export class ColumnFile extends StoredFile<ColumnIndex> {
  constructor(path: string) {
    super(path, "column", readColumnIndex);
  }

  /** By field of a block, 0 for no crop, else 1 + the code's position in the index's list. @param size  fields of the block. */
  places(block: number, size: number): Uint8Array | Uint16Array {
    return this.named(block, () => readPlaces(this.content(block), size, this.index));
  }
}

/** Kind of a file, from its first bytes; undefined if it has neither blocks nor codes. */
export function columnFileKind(path: string): FileKind | undefined {
  const fd = openInput(path);
  try {
    const bytes = new Uint8Array(PRELUDE_BYTES);
    return kindOf(bytes.subarray(0, readSync(fd, bytes, 0, PRELUDE_BYTES, 0)));
  } finally {
    closeSync(fd);
  }
}

/** Only this program writes such files. */
export function columnOrigin(path: string): Origin {
  try {
    return columnFileKind(path) === undefined ? "other" : "ours";
  } catch {
    return "unreadable";
  }
}

/** The block as it is stored: raw DEFLATE, then the CRC-32 of the inflated bytes. */
export function storedBlock(content: Uint8Array): Uint8Array {
  const deflated = deflateRawSync(content, { level: LEVEL });
  const stored = Buffer.alloc(deflated.length + CHECKSUM_BYTES);
  deflated.copy(stored);
  stored.writeUInt32LE(crc32(content), deflated.length);
  return stored;
}

/**
 * Write a file of either kind.
 *
 * @param fingerprint  of the base; if undefined, computed from index and blocks.
 * @returns the fingerprint.
 * @throws {PipelineError} space if the disk is full, else failed; both name the file.
 */
export function writeColumnFile(
  path: string,
  kind: FileKind,
  index: Uint8Array,
  blocks: readonly Uint8Array[],
  fingerprint?: string,
): string {
  const deflated = deflateRawSync(index, { level: LEVEL });
  const print = fingerprint ?? fingerprintOf(index, blocks);
  const prelude = writePrelude({
    kind,
    indexLength: deflated.length,
    indexSize: index.length,
    indexChecksum: crc32(index),
    fileBytes: blocks.reduce((sum, { length }) => sum + length, PRELUDE_BYTES + deflated.length),
    fingerprint: print,
  });
  try {
    const fd = openSync(path, "w");
    try {
      let pending: Uint8Array[] = [];
      let bytes = 0;
      const flush = () => {
        const all = Buffer.concat(pending);
        for (let done = 0; done < all.length; ) done += writeSync(fd, all, done);
        [pending, bytes] = [[], 0];
      };
      for (const piece of [prelude, deflated, ...blocks]) {
        pending.push(piece);
        bytes += piece.length;
        if (bytes >= READ_BYTES) flush();
      }
      flush();
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw asPipelineError(cause, "failed", `Cannot write ${NAMES[kind]}`, { path });
  }
  return print;
}

function fingerprintOf(index: Uint8Array, blocks: readonly Uint8Array[]): string {
  const hash = createHash("sha256").update(index);
  for (const block of blocks) hash.update(block);
  return hash.digest("hex");
}

function inflate(deflated: Uint8Array, most: number): Uint8Array {
  try {
    return inflateRawSync(deflated, { maxOutputLength: Math.max(1, most) });
  } catch (cause) {
    throw new PipelineError("input", "Bytes cannot be inflated", {}, { cause });
  }
}
