import { PipelineError } from "../pipeline/errors.js";

export const HEADER_BYTES = 127;
/** Header and root directory lie within the first 16 KiB, so that a map needs one request for both. */
export const ROOT_AREA_BYTES = 16_384;
const MAGIC = "PMTiles";
const VERSION = 3;

export const COMPRESSION = { unknown: 0, none: 1, gzip: 2, brotli: 3, zstd: 4 } as const;
export const TILE_TYPE = { unknown: 0, mvt: 1, png: 2, jpeg: 3, webp: 4, avif: 5 } as const;

/** A part of the file, in bytes from its start. */
export interface Section {
  readonly offset: number;
  readonly length: number;
}

export interface Bounds {
  /** Degrees. */
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** The fixed 127 bytes at the start of a PMTiles v3 archive. */
export interface Header {
  readonly root: Section;
  readonly metadata: Section;
  readonly leaves: Section;
  readonly tiles: Section;
  /** Tiles that have an answer, entries of all directories, different contents; 0 = unknown. */
  readonly addressedTiles: number;
  readonly tileEntries: number;
  readonly tileContents: number;
  /** Contents lie in tile id order. */
  readonly clustered: boolean;
  /** Compression of directories and metadata; a value of COMPRESSION. */
  readonly internalCompression: number;
  readonly tileCompression: number;
  /** A value of TILE_TYPE. */
  readonly tileType: number;
  readonly minZoom: number;
  readonly maxZoom: number;
  readonly bounds: Bounds;
  readonly center: { readonly zoom: number; readonly lng: number; readonly lat: number };
}

/**
 * @param bytes  the file's first 127 bytes or more.
 * @throws {PipelineError} input, when these are not PMTiles v3.
 */
export function parseHeader(bytes: Uint8Array): Header {
  const magic = Buffer.from(bytes.subarray(0, 7)).toString("latin1");
  if (bytes.length < HEADER_BYTES || magic !== MAGIC) {
    throw new PipelineError("input", "Not a PMTiles archive", {
      expected: `${HEADER_BYTES} bytes beginning with ${MAGIC}`,
      received: bytes.length < HEADER_BYTES ? `${bytes.length} bytes` : JSON.stringify(magic),
    });
  }
  if (bytes[7] !== VERSION) {
    throw new PipelineError("input", "Unknown PMTiles version", { expected: VERSION, received: bytes[7] });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const count = (at: number) => Number(view.getBigUint64(at, true));
  const section = (at: number): Section => ({ offset: count(at), length: count(at + 8) });
  const degrees = (at: number) => view.getInt32(at, true) / 1e7;
  return {
    root: section(8),
    metadata: section(24),
    leaves: section(40),
    tiles: section(56),
    addressedTiles: count(72),
    tileEntries: count(80),
    tileContents: count(88),
    clustered: view.getUint8(96) === 1,
    internalCompression: view.getUint8(97),
    tileCompression: view.getUint8(98),
    tileType: view.getUint8(99),
    minZoom: view.getUint8(100),
    maxZoom: view.getUint8(101),
    bounds: { west: degrees(102), south: degrees(106), east: degrees(110), north: degrees(114) },
    center: { zoom: view.getUint8(118), lng: degrees(119), lat: degrees(123) },
  };
}

/** Where the file must end for all sections to be whole. */
export function endOfSections({ root, metadata, leaves, tiles }: Header): number {
  return Math.max(...[root, metadata, leaves, tiles].map(({ offset, length }) => offset + length));
}

export function serializeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(Buffer.from(MAGIC, "latin1"));
  bytes[7] = VERSION;
  const view = new DataView(bytes.buffer);
  const { root, metadata, leaves, tiles } = header;
  [root, metadata, leaves, tiles].forEach(({ offset, length }, i) => {
    view.setBigUint64(8 + 16 * i, BigInt(offset), true);
    view.setBigUint64(16 + 16 * i, BigInt(length), true);
  });
  [header.addressedTiles, header.tileEntries, header.tileContents].forEach((count, i) => {
    view.setBigUint64(72 + 8 * i, BigInt(count), true);
  });
  view.setUint8(96, header.clustered ? 1 : 0);
  view.setUint8(97, header.internalCompression);
  view.setUint8(98, header.tileCompression);
  view.setUint8(99, header.tileType);
  view.setUint8(100, header.minZoom);
  view.setUint8(101, header.maxZoom);
  const { bounds, center } = header;
  [bounds.west, bounds.south, bounds.east, bounds.north].forEach((value, i) => {
    view.setInt32(102 + 4 * i, Math.round(value * 1e7), true);
  });
  view.setUint8(118, center.zoom);
  view.setInt32(119, Math.round(center.lng * 1e7), true);
  view.setInt32(123, Math.round(center.lat * 1e7), true);
  return bytes;
}
