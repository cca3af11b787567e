/**
 * The zone index: which pixels belong to which field, on one raster grid.
 *
 *     "FLDZONE1"
 *     segments     of one chunk each: field u32[entries], shape u32[entries], run u32[runs]
 *     ids          of ID_GROUP_ROWS rows each, among the segments: the pages of a parquet column
 *     status       u8[rows], a FIELD_STATUS code per field
 *     duplicates   u32[n], rows whose id stood in an earlier row
 *     directory    24 bytes a segment: chunk u32, entries u32, runs u32, crc u32, offset u64
 *     header       JSON, see ZoneHeader
 *     trailer      header's offset u64, length u32, crc u32, "FLDZONE1"
 *
 * Little-endian throughout. `shape` is runs << 16 | entries that the field has in all
 * chunks; `run` is row << 22 | column << 11 | length − 1 within its chunk of 512 × 2048
 * pixels. In an index by coverage a run with bit 31 set is of pixels that are covered in part
 * and is followed by their shares, as many float32 as it is long; shares count as runs. A chunk may have several segments.
 *
 * Ids stand as the zonal table has them, a row group each, so that a year copies them: a data
 * page of optional values, not compressed, DELTA_BINARY_PACKED or (strings) DELTA_BYTE_ARRAY.
 *
 * CRCs are CRC-32 as in zlib.
 */
import type { Grid } from "../raster/grid.js";

export const MAGIC = Buffer.from("FLDZONE1", "latin1");
export const VERSION = 3;
export const DIRECTORY_ENTRY_BYTES = 24;
export const TRAILER_BYTES = 24;
/** Rows of a row group of the zonal table; a reader of one field's row decodes half a megabyte. */
export const ID_GROUP_ROWS = 122_880;

export interface ZoneHeader {
  readonly version: number;
  /** Fingerprint of the field set and of the options that decide its pixels on a given grid. */
  readonly fields: string;
  readonly rows: number;
  readonly grid: Grid;
  readonly chunkRows: number;
  readonly chunkCols: number;
  readonly runs: number;
  /** Bounds of all vertices in the raster's pixels; null when no geometry could be read. */
  readonly extent: readonly [number, number, number, number] | null;
  readonly status: Section;
  readonly duplicates: Section;
  readonly ids: readonly IdGroup[];
  readonly directory: Section;
}

export interface Section {
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

/** Where the ids of a row group lie, and what a reader of the table may know without them; as EncodedChunk. */
export interface IdGroup extends Section {
  readonly rows: number;
  readonly encoding: number;
  readonly nulls: number;
  /** Base64; empty where no row has an id. */
  readonly min: string;
  readonly max: string;
}
