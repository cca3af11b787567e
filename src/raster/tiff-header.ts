import { readSync } from "node:fs";

/** TIFF 6.0, section 8 and the BigTIFF design. */
export const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripSizes: 279,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileSizes: 325,
  sampleFormat: 339,
} as const;

/** Bytes by field type, from BYTE to LONG8 and IFD8. */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
/** SHORT, LONG, LONG8. */
const NUMBER_TYPES = [3, 4, 16];
/** More blocks than any real raster has; only a damaged header declares them. */
const MAX_BLOCKS = 2 ** 28;

/** Reads bytes of a TIFF. @throws {RangeError} if the file is too short. */
export type TiffReader = (offset: number, length: number) => DataView;

export function readerOf(fd: number): TiffReader {
  return (offset, length) => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const count = readSync(fd, bytes, done, length - done, offset + done);
      if (count === 0) throw new RangeError("TIFF ends inside its directory");
      done += count;
    }
    return new DataView(bytes.buffer);
  };
}

/** How an image is divided into blocks: tiles, or full-width strips. */
export interface TiffLayout {
  readonly width: number;
  readonly height: number;
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly tiled: boolean;
}

/** A directory of a TIFF or BigTIFF: one image. All members throw a RangeError if the file is truncated. */
export class TiffHeader {
  /** By tag, the entry's bytes. */
  readonly #entries = new Map<number, DataView>();
  readonly #next: number;

  private constructor(
    private readonly read: TiffReader,
    readonly littleEndian: boolean,
    private readonly big: boolean,
    /** Offset of the directory. */
    readonly at: number,
  ) {
    const [countBytes, entryBytes] = big ? [8, 20] : [2, 12];
    const count = this.#uint(read(at, countBytes), 0, countBytes);
    const table = read(at + countBytes, count * entryBytes);
    for (let i = 0; i < count; i++) {
      const entry = new DataView(table.buffer, i * entryBytes, entryBytes);
      const tag = this.#uint(entry, 0, 2);
      // If there are two, libtiff takes the first.
      if (!this.#entries.has(tag)) this.#entries.set(tag, entry);
    }
    this.#next = at + countBytes + count * entryBytes;
  }

  /** Directory of the file's first image; undefined if the file is not a TIFF. */
  static first(read: TiffReader): TiffHeader | undefined {
    const head = read(0, 16);
    const littleEndian = head.getUint16(0) === 0x4949;
    const magic = head.getUint16(2, littleEndian);
    if ((!littleEndian && head.getUint16(0) !== 0x4d4d) || (magic !== 42 && magic !== 43)) return undefined;
    const at = magic === 43 ? Number(head.getBigUint64(8, littleEndian)) : head.getUint32(4, littleEndian);
    return new TiffHeader(read, littleEndian, magic === 43, at);
  }

  /** Directory of the next image, an overview or a mask; undefined after the last. */
  next(): TiffHeader | undefined {
    const word = this.big ? 8 : 4;
    const at = this.#uint(this.read(this.#next, word), 0, word);
    return at === 0 ? undefined : new TiffHeader(this.read, this.littleEndian, this.big, at);
  }

  has(tag: number): boolean {
    return this.#entries.has(tag);
  }

  /** A tag's single number. 0, which is never valid, for a tag of another type or count, which libtiff may accept. */
  number(tag: number, otherwise: number): number {
    return this.has(tag) ? (this.numbers(tag, 1)?.[0] ?? 0) : otherwise;
  }

  /** Undefined for a layout that no writer produces. */
  layout(): TiffLayout | undefined {
    const [width, height] = [this.number(TAG.width, 0), this.number(TAG.height, 0)];
    const tiled = this.has(TAG.tileWidth);
    const blockWidth = tiled ? this.number(TAG.tileWidth, 0) : width;
    const blockHeight = tiled
      ? this.number(TAG.tileHeight, 0)
      : Math.min(height, this.number(TAG.rowsPerStrip, height));
    return blockWidth > 0 && blockHeight > 0 ? { width, height, blockWidth, blockHeight, tiled } : undefined;
  }

  /** Positions of a layout's blocks, row by row, in shared memory; undefined if there are too few. */
  blocks({ width, height, blockWidth, blockHeight, tiled }: TiffLayout) {
    const count = Math.ceil(width / blockWidth) * Math.ceil(height / blockHeight);
    const offsets = this.numbers(tiled ? TAG.tileOffsets : TAG.stripOffsets, count);
    const sizes = this.numbers(tiled ? TAG.tileSizes : TAG.stripSizes, count);
    return offsets === undefined || sizes === undefined ? undefined : { offsets, sizes };
  }

  /** Read the tag values that are elsewhere in the file, so that the reader has them. */
  readAll(): void {
    const word = this.big ? 8 : 4;
    for (const entry of this.#entries.values()) {
      const bytes = (TYPE_BYTES[this.#uint(entry, 2, 2)] ?? 0) * this.#uint(entry, 4, word);
      if (bytes > word) this.read(this.#uint(entry, 4 + word, word), bytes);
    }
  }

  /** A tag's numbers, in shared memory; undefined if there are not `count` of them. */
  numbers(tag: number, count: number): Float64Array | undefined {
    const entry = this.#entries.get(tag);
    if (entry === undefined || count > MAX_BLOCKS) return undefined;
    const word = this.big ? 8 : 4;
    const type = this.#uint(entry, 2, 2);
    if (!NUMBER_TYPES.includes(type) || this.#uint(entry, 4, word) !== count) return undefined;
    const bytes = TYPE_BYTES[type] as number;
    const values =
      count * bytes <= word
        ? new DataView(entry.buffer, entry.byteOffset + 4 + word, word)
        : this.read(this.#uint(entry, 4 + word, word), count * bytes);
    const numbers = new Float64Array(new SharedArrayBuffer(8 * count));
    for (let i = 0; i < count; i++) numbers[i] = this.#uint(values, i * bytes, bytes);
    return numbers;
  }

  #uint(view: DataView, at: number, bytes: number): number {
    if (bytes === 2) return view.getUint16(at, this.littleEndian);
    if (bytes === 4) return view.getUint32(at, this.littleEndian);
    return Number(view.getBigUint64(at, this.littleEndian));
  }
}
