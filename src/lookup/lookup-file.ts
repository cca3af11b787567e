import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import Flatbush from "flatbush";
import { PipelineError } from "../pipeline/errors.js";
import { BOXES_OFFSET, type LookupHeader, MAGIC, TRAILER_BYTES, VERSION } from "./format.js";

const READ_BYTES = 256 * 2 ** 20;

/**
 * An open lookup index. The boxes are read once into one buffer, which flatbush uses as it is;
 * the ids stay on disk.
 */
export class LookupFile {
  #tree: Promise<Flatbush> | undefined;

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    readonly header: LookupHeader,
  ) {}

  /**
   * @param fields  lookupFingerprint that it must be made from.
   * @throws {PipelineError} input: not a lookup index, cut short, another version, damaged, of other fields.
   */
  static async open(path: string, fields: string): Promise<LookupFile> {
    const file = await open(path, "r");
    try {
      const header = await readHeader(path, file);
      if (header.fields !== fields) {
        throw new PipelineError("input", "Lookup index belongs to other fields", {
          path,
          expected: fields.slice(0, 12),
          received: header.fields.slice(0, 12),
        });
      }
      return new LookupFile(path, file, header);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The boxes; read at the first call. */
  tree(): Promise<Flatbush> {
    this.#tree ??= this.#readBoxes().then((bytes) => Flatbush.from(bytes.buffer));
    return this.#tree;
  }

  /** Rows whose id has this hash: the ones to look at, as two ids may share one. */
  async rowsOfHash(hash: number): Promise<number[]> {
    const { rows, idsOffset } = this.header;
    const word = Buffer.alloc(8);
    const wordAt = async (i: number): Promise<bigint> => {
      await readFully(this.path, this.file, word, idsOffset + 8 * i);
      return word.readBigUInt64LE(0);
    };
    const wanted = BigInt(hash) << 32n;
    let [low, high] = [0, rows];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((await wordAt(middle)) < wanted) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    for (let i = low; i < rows; i++) {
      const next = await wordAt(i);
      if (next >> 32n !== BigInt(hash)) break;
      found.push(Number(next & 0xffffffffn));
    }
    return found;
  }

  /** @throws {PipelineError} input, where a checksum differs; reads the whole file. */
  async verify(): Promise<void> {
    const { boxesCrc, idsCrc, idsOffset, rows } = this.header;
    if (crc32(await this.#readBoxes()) !== boxesCrc) throw damaged(this.path, "boxes");
    const ids = new Uint8Array(8 * rows);
    await readFully(this.path, this.file, ids, idsOffset);
    if (crc32(ids) !== idsCrc) throw damaged(this.path, "ids");
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  async #readBoxes(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(this.header.boxesBytes);
    await readFully(this.path, this.file, bytes, BOXES_OFFSET);
    return bytes;
  }
}

async function readHeader(path: string, file: FileHandle): Promise<LookupHeader> {
  const { size } = await file.stat();
  const cutShort = () => new PipelineError("input", "Lookup index is cut short", { path, bytes: size });
  if (size < MAGIC.length + TRAILER_BYTES) throw cutShort();
  const head = Buffer.alloc(MAGIC.length);
  await readFully(path, file, head, 0);
  if (!head.equals(MAGIC)) {
    throw new PipelineError("input", "Not a lookup index", { path, expected: MAGIC.toString("latin1") });
  }
  const trailer = Buffer.alloc(TRAILER_BYTES);
  await readFully(path, file, trailer, size - TRAILER_BYTES);
  if (!trailer.subarray(16).equals(MAGIC)) throw cutShort();
  const [offset, length] = [Number(trailer.readBigUInt64LE(0)), trailer.readUInt32LE(8)];
  if (offset + length + TRAILER_BYTES !== size) throw damaged(path, "trailer");
  const json = Buffer.alloc(length);
  await readFully(path, file, json, offset);
  if (crc32(json) !== trailer.readUInt32LE(12)) throw damaged(path, "header");
  const header = JSON.parse(json.toString("utf8")) as LookupHeader;
  if (header.version !== VERSION) {
    throw new PipelineError("input", "Lookup index has another version", {
      path,
      expected: VERSION,
      received: header.version,
    });
  }
  return header;
}

async function readFully(path: string, file: FileHandle, into: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, Math.min(READ_BYTES, into.length - at), offset + at);
    if (bytesRead === 0) throw new PipelineError("input", "Lookup index is cut short", { path, offset: offset + at });
    at += bytesRead;
  }
}

function damaged(path: string, part: string): PipelineError {
  return new PipelineError("input", "Lookup index is damaged: checksum differs", { path, part });
}
