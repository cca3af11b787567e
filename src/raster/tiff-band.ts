import { closeSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";
import type { RasterKernel, TiffBand } from "../kernel/raster.js";
import { type BandType, PIXEL_ARRAYS } from "./pixels.js";
import type { Raster } from "./raster.js";

/** TIFF 6.0, section 8 and the BigTIFF design. */
const TAG = {
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

/** Black is zero, and a palette: what is stored is the class. */
const PHOTOMETRIC = [1, 3];
/** Bytes by field type: SHORT, LONG, LONG8. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 3: 2, 4: 4, 16: 8 };
/** More blocks than any raster of classes has; a damaged header claims them. */
const MOST_BLOCKS = 2 ** 28;
/** No worker is to hold a larger block beside its window. */
const MOST_BLOCK_BYTES = 2 ** 30;

/**
 * Where a GeoTIFF's blocks lie, for workers to decode them by themselves; undefined for every file
 * that is not plainly of the kind they know, as GDAL opened it: GDAL reads those.
 *
 * The caller closes `fd`.
 */
export function openTiffBand(raster: Raster, kernel: RasterKernel): TiffBand | undefined {
  if (raster.driver !== "GTiff" || raster.masked) return undefined;
  let fd: number | undefined;
  let band: TiffBand | undefined;
  try {
    fd = openSync(raster.path, "r");
    band = readBand(fd, raster, kernel);
  } catch (error) {
    // A number or a table that lies beyond what was read, or a file that is gone; GDAL is to judge it.
    if (!(error instanceof RangeError) && !("syscall" in (error as Error))) throw error;
  } finally {
    if (band === undefined && fd !== undefined) closeSync(fd);
  }
  return band;
}

function readBand(fd: number, raster: Raster, kernel: RasterKernel): TiffBand | undefined {
  const { width, height } = raster.grid;
  const header = new TiffHeader(fd);
  if (!header.isTiff) return undefined;
  // A tag of another type or count is there all the same, and libtiff may take it; no tag here is ever 0.
  const number = (tag: number, otherwise: number) => (header.has(tag) ? (header.numbers(tag, 1)?.[0] ?? 0) : otherwise);
  const tiled = header.has(TAG.tileWidth);
  const blockWidth = tiled ? number(TAG.tileWidth, 0) : width;
  const blockHeight = tiled ? number(TAG.tileHeight, 0) : Math.min(height, number(TAG.rowsPerStrip, height));
  const compression = number(TAG.compression, 1);
  const bytes = PIXEL_ARRAYS[raster.type].BYTES_PER_ELEMENT;
  const plain =
    number(TAG.width, 0) === width &&
    number(TAG.height, 0) === height &&
    blockWidth === raster.block.width &&
    blockHeight === raster.block.height &&
    blockWidth * blockHeight * bytes <= MOST_BLOCK_BYTES &&
    number(TAG.samples, 1) === 1 &&
    number(TAG.bits, 1) === 8 * bytes &&
    number(TAG.sampleFormat, 1) === sampleFormat(raster.type) &&
    number(TAG.predictor, 1) === 1 &&
    number(TAG.fillOrder, 1) === 1 &&
    number(TAG.orientation, 1) === 1 &&
    PHOTOMETRIC.includes(number(TAG.photometric, -1)) &&
    (bytes === 1 || header.littleEndian === (endianness() === "LE")) &&
    kernel.canDecode(compression);
  if (!plain) return undefined;
  const blocks = Math.ceil(width / blockWidth) * Math.ceil(height / blockHeight);
  const offsets = header.numbers(tiled ? TAG.tileOffsets : TAG.stripOffsets, blocks);
  const sizes = header.numbers(tiled ? TAG.tileSizes : TAG.stripSizes, blocks);
  if (offsets === undefined || sizes === undefined) return undefined;
  const nodata = raster.nodata ?? 0;
  const fill = PIXEL_ARRAYS[raster.type].of(nodata);
  if (sizes.includes(0)) {
    // The size of a lone strip libtiff makes out by itself.
    if (!tiled && blocks === 1) return undefined;
    // GDAL rounds or clamps what the type does not hold.
    if (!raster.type.startsWith("Float") && fill[0] !== nodata) return undefined;
  }
  const band = { fd, compression, width, height, blockWidth, blockHeight, tiled, offsets, sizes };
  return { ...band, fill: new Uint8Array(fill.buffer) };
}

function sampleFormat(type: BandType): number {
  if (type.startsWith("Float")) return 3;
  return type.startsWith("Int") ? 2 : 1;
}

/** The first directory of a TIFF or BigTIFF. @throws {RangeError} when it is cut short. */
class TiffHeader {
  readonly isTiff: boolean = false;
  readonly littleEndian: boolean = true;
  readonly #big: boolean = false;
  /** By tag, the entry's own bytes. */
  readonly #entries = new Map<number, DataView>();

  constructor(private readonly fd: number) {
    const head = this.#read(0, 16);
    this.littleEndian = head.getUint16(0) === 0x4949;
    const magic = this.#uint(head, 2, 2);
    if ((!this.littleEndian && head.getUint16(0) !== 0x4d4d) || (magic !== 42 && magic !== 43)) return;
    this.isTiff = true;
    this.#big = magic === 43;
    const word = this.#big ? 8 : 4;
    const at = this.#uint(head, this.#big ? 8 : 4, word);
    const [countBytes, entryBytes] = this.#big ? [8, 20] : [2, 12];
    const count = this.#uint(this.#read(at, countBytes), 0, countBytes);
    const table = this.#read(at + countBytes, count * entryBytes);
    for (let i = 0; i < count; i++) {
      const entry = new DataView(table.buffer, i * entryBytes, entryBytes);
      const tag = this.#uint(entry, 0, 2);
      // Of two, libtiff takes the first.
      if (!this.#entries.has(tag)) this.#entries.set(tag, entry);
    }
  }

  has(tag: number): boolean {
    return this.#entries.has(tag);
  }

  /** A tag's numbers, in shared memory; undefined when there are not `count` of them. */
  numbers(tag: number, count: number): Float64Array | undefined {
    const entry = this.#entries.get(tag);
    if (entry === undefined || count > MOST_BLOCKS) return undefined;
    const word = this.#big ? 8 : 4;
    const bytes = TYPE_BYTES[this.#uint(entry, 2, 2)];
    if (bytes === undefined || this.#uint(entry, 4, word) !== count) return undefined;
    const inside = count * bytes <= word;
    const values = inside
      ? new DataView(entry.buffer, entry.byteOffset + 4 + word, word)
      : this.#read(this.#uint(entry, 4 + word, word), count * bytes);
    const numbers = new Float64Array(new SharedArrayBuffer(8 * count));
    for (let i = 0; i < count; i++) numbers[i] = this.#uint(values, i * bytes, bytes);
    return numbers;
  }

  #uint(view: DataView, at: number, bytes: number): number {
    if (bytes === 2) return view.getUint16(at, this.littleEndian);
    if (bytes === 4) return view.getUint32(at, this.littleEndian);
    return Number(view.getBigUint64(at, this.littleEndian));
  }

  #read(offset: number, length: number): DataView {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.fd, bytes, done, length - done, offset + done);
      if (count === 0) throw new RangeError("TIFF ends inside its directory");
      done += count;
    }
    return new DataView(bytes.buffer);
  }
}
