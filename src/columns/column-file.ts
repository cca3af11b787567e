/**
 * The files that docs/columns.md describes, as bytes: a base's blocks (the field ids of each block), and a
 * year's column (the crop codes of these blocks). This module runs in Node and in browsers, and imports nothing.
 */

/** `FIELDCOL` */
const MAGIC = [0x46, 0x49, 0x45, 0x4c, 0x44, 0x43, 0x4f, 0x4c];
export const FORMAT_VERSION = 1;
/** Bytes before the index. */
export const PRELUDE_BYTES = 64;
/** Bytes of the checksum after each block. */
export const CHECKSUM_BYTES = 4;
/** Largest index that readers accept, inflated: 150 million fields. */
const MAX_INDEX_BYTES = 2 ** 24;
const MAX_BLOCK_FIELDS = 2 ** 16;

export const FILE_KIND = { blocks: 1, column: 2 } as const;
export type FileKind = keyof typeof FILE_KIND;

/** The first 64 bytes of either file. */
export interface Prelude {
  readonly kind: FileKind;
  /** Bytes of the index as stored, as raw DEFLATE. */
  readonly indexLength: number;
  /** Bytes of the index once inflated. */
  readonly indexSize: number;
  /** CRC-32 of the inflated index. */
  readonly indexChecksum: number;
  readonly fileBytes: number;
  /** Fingerprint of the base, 64 hex digits. */
  readonly fingerprint: string;
}

/** Offsets of the stored blocks, `offsets[i] .. offsets[i + 1]`; each ends with its checksum. */
interface StoredBlocks {
  readonly offsets: Float64Array;
}

/** A base's blocks: fields that appear from the same zoom on and are near each other. */
export interface BlocksIndex extends StoredBlocks {
  /** Fields of the base: ids are 0 .. rows - 1. */
  readonly rows: number;
  readonly minZoom: number;
  /** Also the zoom of the boxes' tiles. */
  readonly maxZoom: number;
  readonly count: number;
  /** By block, the lowest zoom at which one of its fields is in a tile; NO_TILE if none is. */
  readonly zooms: Uint8Array;
  /** By block, its number of fields. */
  readonly sizes: Uint32Array;
  /** By block, its box in tiles of zoom `maxZoom`: west, north, east, south, inclusive. */
  readonly boxes: Uint32Array;
}

/** A year's crop codes. */
export interface ColumnIndex extends StoredBlocks {
  readonly year: number;
  readonly count: number;
  /** Codes that occur. A block contains positions in this list, from 1; 0 means no crop. */
  readonly codes: readonly number[];
  /** Bytes per position: 1, or 2 (little-endian) for more than 255 codes. */
  readonly width: 1 | 2;
}

export const NO_TILE = 255;

/** An error in a file's bytes; the caller adds the file's name. */
export class ColumnFormatError extends Error {
  override readonly name = "ColumnFormatError";
}

/** @throws {ColumnFormatError} if the bytes are not the start of such a file. */
export function readPrelude(bytes: Uint8Array, kind: FileKind): Prelude {
  if (bytes.length < PRELUDE_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new ColumnFormatError(
      `not a file of ${kind === "column" ? "crop codes" : "blocks"}: it does not begin with FIELDCOL`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, PRELUDE_BYTES);
  if (bytes[8] !== FORMAT_VERSION) {
    throw new ColumnFormatError(`format version ${bytes[8]}; this reader knows version ${FORMAT_VERSION}`);
  }
  if (bytes[9] !== FILE_KIND[kind])
    throw new ColumnFormatError(`kind ${bytes[9]} where ${FILE_KIND[kind]} (${kind}) is expected`);
  return {
    kind,
    indexLength: view.getUint32(12, true),
    indexSize: atMost(view.getUint32(16, true), MAX_INDEX_BYTES, "bytes of the index"),
    indexChecksum: view.getUint32(20, true),
    fileBytes: view.getUint32(24, true) + view.getUint32(28, true) * 2 ** 32,
    fingerprint: Array.from(bytes.subarray(32, 64), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}

/** Kind of a file from its first bytes; undefined for any other file. */
export function kindOf(bytes: Uint8Array): FileKind | undefined {
  if (bytes.length < PRELUDE_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) return undefined;
  return bytes[9] === FILE_KIND.blocks ? "blocks" : bytes[9] === FILE_KIND.column ? "column" : undefined;
}

export function writePrelude({
  kind,
  indexLength,
  indexSize,
  indexChecksum,
  fileBytes,
  fingerprint,
}: Prelude): Uint8Array {
  const bytes = new Uint8Array(PRELUDE_BYTES);
  bytes.set(MAGIC);
  bytes[8] = FORMAT_VERSION;
  bytes[9] = FILE_KIND[kind];
  const view = new DataView(bytes.buffer);
  view.setUint32(12, indexLength, true);
  view.setUint32(16, indexSize, true);
  view.setUint32(20, indexChecksum, true);
  view.setUint32(24, fileBytes % 2 ** 32, true);
  view.setUint32(28, Math.floor(fileBytes / 2 ** 32), true);
  for (let i = 0; i < 32; i++) bytes[32 + i] = Number.parseInt(fingerprint.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** @param lengths  bytes of each stored block. */
export function writeBlocksIndex(
  index: Omit<BlocksIndex, "offsets" | "count">,
  lengths: ArrayLike<number>,
): Uint8Array {
  const { rows, minZoom, maxZoom, zooms, sizes, boxes } = index;
  const writer = new Varints();
  writer.text(JSON.stringify({ rows, minZoom, maxZoom }));
  writer.put(sizes.length);
  let [west, north] = [0, 0];
  for (let b = 0; b < sizes.length; b++) {
    const box = boxes.subarray(4 * b, 4 * b + 4) as unknown as [number, number, number, number];
    writer.put(zooms[b] as number);
    writer.put(sizes[b] as number);
    writer.put(zigzag(box[0] - west));
    writer.put(zigzag(box[1] - north));
    writer.put(box[2] - box[0]);
    writer.put(box[3] - box[1]);
    writer.put(lengths[b] as number);
    [west, north] = box;
  }
  return writer.finish();
}

/**
 * @param raw  the inflated index.
 * @throws {ColumnFormatError} when it is damaged or contradicts itself.
 */
export function readBlocksIndex(raw: Uint8Array, prelude: Prelude): BlocksIndex {
  const { reader, header } = openIndex(raw, prelude);
  const [rows, minZoom, maxZoom] = ["rows", "minZoom", "maxZoom"].map((key) => wholeNumber(header[key], key)) as [
    number,
    number,
    number,
  ];
  if (minZoom > maxZoom || maxZoom > 24) throw new ColumnFormatError(`zooms ${minZoom} to ${maxZoom}`);
  const count = blockCount(reader, raw);
  const [zooms, sizes, boxes] = [new Uint8Array(count), new Uint32Array(count), new Uint32Array(4 * count)];
  const lengths = new Float64Array(count);
  let [west, north, fields] = [0, 0, 0];
  const side = 2 ** maxZoom - 1;
  for (let b = 0; b < count; b++) {
    zooms[b] = atMost(reader.next(), NO_TILE, "zoom of a block");
    sizes[b] = atMost(reader.next(), MAX_BLOCK_FIELDS, "fields of a block");
    west = atMost(west + unzigzag(reader.next()), side, "west of a block");
    north = atMost(north + unzigzag(reader.next()), side, "north of a block");
    boxes.set(
      [
        west,
        north,
        atMost(west + reader.next(), side, "east of a block"),
        atMost(north + reader.next(), side, "south of a block"),
      ],
      4 * b,
    );
    lengths[b] = reader.next();
    fields += sizes[b] as number;
  }
  if (fields !== rows) throw new ColumnFormatError(`blocks of ${fields} fields where the base has ${rows}`);
  return { rows, minZoom, maxZoom, count, zooms, sizes, boxes, offsets: offsetsOf(reader, lengths, prelude) };
}

export function writeColumnIndex(
  { year, codes, width }: Omit<ColumnIndex, "offsets" | "count">,
  lengths: ArrayLike<number>,
): Uint8Array {
  const writer = new Varints();
  writer.text(JSON.stringify({ year, codes, width }));
  writer.put(lengths.length);
  for (let b = 0; b < lengths.length; b++) writer.put(lengths[b] as number);
  return writer.finish();
}

/** @throws {ColumnFormatError} when it is damaged or contradicts itself. */
export function readColumnIndex(raw: Uint8Array, prelude: Prelude): ColumnIndex {
  const { reader, header } = openIndex(raw, prelude);
  const { codes, width } = header;
  if (!Array.isArray(codes) || !codes.every((code) => typeof code === "number")) {
    throw new ColumnFormatError("its index lists no codes");
  }
  if (width !== 1 && width !== 2) throw new ColumnFormatError(`places of ${width} bytes`);
  const count = blockCount(reader, raw);
  const lengths = Float64Array.from({ length: count }, () => reader.next());
  return { year: wholeNumber(header.year, "year"), codes, width, count, offsets: offsetsOf(reader, lengths, prelude) };
}

/** @param ids  ascending. */
export function writeIds(ids: ArrayLike<number>): Uint8Array {
  const writer = new Varints();
  for (let i = 0, before = -1; i < ids.length; i++) {
    const id = ids[i] as number;
    writer.put(id - before - 1);
    before = id;
  }
  return writer.finish();
}

/**
 * Ids of a block's fields, ascending.
 *
 * @throws {ColumnFormatError} if there are not `size` ids less than `rows`.
 */
export function readIds(raw: Uint8Array, size: number, rows: number): Uint32Array {
  const reader = new VarintsReader(raw);
  const ids = new Uint32Array(size);
  let id = -1;
  for (let i = 0; i < size; i++) {
    id += reader.next() + 1;
    ids[i] = atMost(id, rows - 1, "field id");
  }
  reader.end();
  return ids;
}

/**
 * Positions in the list of codes, by field of a block.
 *
 * @throws {ColumnFormatError} if there are not `size` of them, or one is beyond the list.
 */
export function readPlaces(raw: Uint8Array, size: number, { codes, width }: ColumnIndex): Uint8Array | Uint16Array {
  if (raw.length !== size * width) throw new ColumnFormatError(`${raw.length} bytes of codes for ${size} fields`);
  const view = new DataView(raw.buffer, raw.byteOffset);
  const places = width === 1 ? raw : Uint16Array.from({ length: size }, (_, i) => view.getUint16(2 * i, true));
  for (const place of places) atMost(place, codes.length, "place in the list of codes");
  return places;
}

/**
 * Split a stored block into its DEFLATE stream and its checksum.
 *
 * @throws {ColumnFormatError} if it is too short.
 */
export function splitBlock(stored: Uint8Array): { readonly deflated: Uint8Array; readonly checksum: number } {
  const at = stored.length - CHECKSUM_BYTES;
  if (at < 0) throw new ColumnFormatError(`a block of ${stored.length} bytes`);
  const checksum = new DataView(stored.buffer, stored.byteOffset + at, CHECKSUM_BYTES).getUint32(0, true);
  return { deflated: stored.subarray(0, at), checksum };
}

/** @throws {ColumnFormatError} if the bytes differ from those that were written. */
export function requireChecksum(bytes: Uint8Array, checksum: number, what: string): void {
  const received = crc32(bytes);
  if (received !== checksum) {
    throw new ColumnFormatError(`checksum of ${what} is ${hex(received)}, expected ${hex(checksum)}`);
  }
}

/** Blocks that may have fields of a tile; all others have none. */
export function blocksOfTile({ zooms, boxes, count, maxZoom }: BlocksIndex, z: number, x: number, y: number): number[] {
  const scale = 2 ** (maxZoom - z);
  const [west, north, east, south] = [x * scale, y * scale, (x + 1) * scale - 1, (y + 1) * scale - 1];
  const found: number[] = [];
  for (let b = 0; b < count; b++) {
    if ((zooms[b] as number) > z) continue;
    const at = 4 * b;
    if ((boxes[at] as number) > east || (boxes[at + 2] as number) < west) continue;
    if ((boxes[at + 1] as number) > south || (boxes[at + 3] as number) < north) continue;
    found.push(b);
  }
  return found;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 as in gzip and PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 255] as number);
  return (crc ^ 0xffffffff) >>> 0;
}

function openIndex(raw: Uint8Array, { indexSize, indexChecksum }: Prelude) {
  if (raw.length !== indexSize) throw new ColumnFormatError(`an index of ${raw.length} bytes, expected ${indexSize}`);
  requireChecksum(raw, indexChecksum, "the index");
  const reader = new VarintsReader(raw);
  const text = new TextDecoder().decode(reader.take(reader.next()));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    header = undefined;
  }
  if (typeof header !== "object" || header === null)
    throw new ColumnFormatError("its index begins with no JSON object");
  return { reader, header: header as Readonly<Record<string, unknown>> };
}

/** Every block has at least one byte in the index. */
function blockCount(reader: VarintsReader, raw: Uint8Array): number {
  return atMost(reader.next(), raw.length, "number of blocks");
}

function offsetsOf(reader: VarintsReader, lengths: Float64Array, { indexLength, fileBytes }: Prelude): Float64Array {
  reader.end();
  const offsets = new Float64Array(lengths.length + 1);
  offsets[0] = PRELUDE_BYTES + indexLength;
  for (let b = 0; b < lengths.length; b++) offsets[b + 1] = (offsets[b] as number) + (lengths[b] as number);
  const end = offsets[lengths.length] as number;
  if (end !== fileBytes) throw new ColumnFormatError(`blocks end at byte ${end}, the file at ${fileBytes}`);
  return offsets;
}

function wholeNumber(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new ColumnFormatError(`its index has no ${what}`);
}

function atMost(value: number, most: number, what: string): number {
  if (value >= 0 && value <= most) return value;
  throw new ColumnFormatError(`${what} is ${value}, at most ${most} is expected`);
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** Numbers of up to 53 bits, seven bits per byte, lowest first. */
class Varints {
  #bytes = new Uint8Array(1024);
  #length = 0;

  put(value: number): void {
    this.#reserve(8);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    this.#bytes[this.#length++] = rest;
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.put(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * this.#bytes.length + bytes);
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

class VarintsReader {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  next(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw new ColumnFormatError("it ends inside a number");
      value += (byte & 127) * scale;
      if (!Number.isSafeInteger(value)) throw new ColumnFormatError("a number is too large");
      if (byte < 128) return value;
      if (scale > 2 ** 49) throw new ColumnFormatError("a number is too long");
    }
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.bytes.length) throw new ColumnFormatError("it ends inside its header");
    const taken = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  end(): void {
    if (this.#at !== this.bytes.length) throw new ColumnFormatError(`${this.bytes.length - this.#at} bytes too many`);
  }
}
