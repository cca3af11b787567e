import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";

const MAGIC = "FIELDSWT";
/** Raised whenever header, index or records (native/tiles/template/template.h) change. */
export const TEMPLATE_VERSION = 1;
export const TEMPLATE_HEADER_BYTES = 64;

/** What a template was made from and for. */
export interface TemplateFacts {
  /** Digest of the base archive. */
  readonly base: string;
  /** Of the attribute that its features get. */
  readonly key: string;
  readonly layers: readonly string[];
  readonly rows: number;
}

/**
 * A swap template's file, little-endian: a header of 64 bytes (magic, u32 version, u32 records, u64 where the index
 * begins, u32 bytes of the facts, u32 CRC-32 of index and facts); the records, one for each content of the base
 * archive in the order of its directory, empty where a tile has no template; the index, u32 bytes of each; the facts
 * as JSON.
 */
export interface TemplateFile {
  readonly path: string;
  readonly facts: TemplateFacts;
  /** n + 1 places in the file: record i is `starts[i] .. starts[i + 1]`. */
  readonly starts: Float64Array;
}

/** Writes a template front to back; without its header it is none. */
export class TemplateWriter {
  readonly #fd: number;
  readonly #lengths: Uint32Array[] = [];
  #end = TEMPLATE_HEADER_BYTES;

  constructor(readonly path: string) {
    this.#fd = this.#guarded(() => openSync(path, "w"));
  }

  /** Append records: record i is `records[ends[i - 1] .. ends[i])`. */
  write(records: Uint8Array, ends: Uint32Array): void {
    this.#lengths.push(ends.map((end, i) => end - (ends[i - 1] ?? 0)));
    this.#writeAt(records, this.#end);
    this.#end += records.length;
  }

  /** Index, facts and, last, the header; then the file is closed. */
  finish(facts: TemplateFacts): void {
    const index = Buffer.concat(
      this.#lengths.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)),
    );
    const text = Buffer.from(JSON.stringify(facts));
    const tail = Buffer.concat([index, text]);
    this.#writeAt(tail, this.#end);
    const header = Buffer.alloc(TEMPLATE_HEADER_BYTES);
    header.write(MAGIC, "latin1");
    header.writeUInt32LE(TEMPLATE_VERSION, 8);
    header.writeUInt32LE(index.length / 4, 12);
    header.writeBigUInt64LE(BigInt(this.#end), 16);
    header.writeUInt32LE(text.length, 24);
    header.writeUInt32LE(crc32(tail), 28);
    this.#writeAt(header, 0);
    this.close();
  }

  #closed = false;
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  #writeAt(bytes: Uint8Array, position: number): void {
    this.#guarded(() => {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
      }
    });
  }

  #guarded<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      throw asPipelineError(cause, "failed", "Cannot write swap template", { path: this.path });
    }
  }
}

/**
 * Read a template's header, index and facts; the records carry checksums of their own.
 *
 * @throws {PipelineError} input, naming the file and what is wrong with it.
 */
export function openTemplate(path: string): TemplateFile {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    return readTemplate(path, fd);
  } catch (cause) {
    throw asPipelineError(cause, "input", "Cannot read swap template", { path });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function readTemplate(path: string, fd: number): TemplateFile {
  const { size } = fstatSync(fd);
  const damaged = (what: string, expected: unknown, received: unknown) =>
    new PipelineError("input", "Swap template is damaged", {
      path,
      what,
      expected: String(expected),
      received: String(received),
    });
  const header = readAt(fd, 0, Math.min(size, TEMPLATE_HEADER_BYTES));
  const magic = header.toString("latin1", 0, 8);
  if (header.length < TEMPLATE_HEADER_BYTES || magic !== MAGIC) throw damaged("magic", MAGIC, JSON.stringify(magic));
  const version = header.readUInt32LE(8);
  if (version !== TEMPLATE_VERSION) {
    throw new PipelineError("input", "Swap template is of another version", {
      path,
      expected: TEMPLATE_VERSION,
      received: version,
    });
  }
  const [count, factBytes] = [header.readUInt32LE(12), header.readUInt32LE(24)];
  const indexAt = Number(header.readBigUInt64LE(16));
  const tailBytes = count * 4 + factBytes;
  if (indexAt + tailBytes !== size) throw damaged("bytes", indexAt + tailBytes, size);
  const tail = readAt(fd, indexAt, tailBytes);
  const check = crc32(tail);
  if (check !== header.readUInt32LE(28)) throw damaged("checksum of the index", header.readUInt32LE(28), check);
  const starts = new Float64Array(count + 1);
  starts[0] = TEMPLATE_HEADER_BYTES;
  for (let i = 0; i < count; i++) starts[i + 1] = (starts[i] as number) + tail.readUInt32LE(i * 4);
  if (starts[count] !== indexAt) throw damaged("end of the records", indexAt, starts[count]);
  return { path, facts: JSON.parse(tail.toString("utf8", count * 4)) as TemplateFacts, starts };
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const n = readSync(fd, bytes, filled, length - filled, position + filled);
    if (n === 0) break;
    filled += n;
  }
  return bytes.subarray(0, filled);
}
