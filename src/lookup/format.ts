/**
 * The lookup index: which field lies at a point, and which row an id stands in.
 *
 *     "FLDLOOK1"
 *     boxes        a flatbush of float32 boxes, one per row, in the fields' own CRS; 8-byte aligned
 *     ids          u64[rows] ascending: 32 bits of the id's hash << 32 | row
 *     header       JSON, see LookupHeader
 *     trailer      header's offset u64, length u32, crc u32, "FLDLOOK1"
 *
 * Little-endian throughout. Boxes are rounded outward, so none is lost; whether a point lies in
 * the field is decided on the polygon itself, which stays in the fields' file. A row without
 * geometry has a box that nothing meets. 29 bytes a field.
 */
export const MAGIC = Buffer.from("FLDLOOK1", "latin1");
export const VERSION = 2;
export const TRAILER_BYTES = 24;
/** Where the boxes begin: behind the magic, which is as long as flatbush wants to be aligned. */
export const BOXES_OFFSET = MAGIC.length;

export interface LookupHeader {
  readonly version: number;
  /** See lookupFingerprint. */
  readonly fields: string;
  readonly rows: number;
  /** Rows that have no polygon to lie in. */
  readonly withoutPolygon: number;
  /** Bounds of all boxes, in the fields' CRS: west, south, east, north; null without boxes. */
  readonly extent: readonly [number, number, number, number] | null;
  readonly boxesBytes: number;
  readonly boxesCrc: number;
  readonly idsOffset: number;
  readonly idsCrc: number;
}
