/** A column of WKB geometries as Arrow holds it; row i is `values[offsets[i] .. offsets[i + 1])`. */
export interface WkbColumn {
  readonly values: Uint8Array;
  /** n + 1 ascending offsets into `values`. */
  readonly offsets: Int32Array;
  /** Bit `validityOffset + i` is 0 where row i is null; absent when no row is. */
  readonly validity?: Uint8Array;
  readonly validityOffset?: number;
}

/** North-up raster grid: x = c + col · a, y = f + row · e, in the raster's CRS; size in pixels. */
export interface KernelGrid {
  readonly a: number;
  readonly c: number;
  readonly e: number;
  readonly f: number;
  readonly width: number;
  readonly height: number;
}

/** Constants of an Albers equal-area projection from degrees; see albers.ts. */
export interface AlbersConstants {
  readonly lon0: number;
  readonly a: number;
  readonly e2: number;
  readonly n: number;
  readonly c: number;
  readonly rho0: number;
  readonly x0: number;
  readonly y0: number;
}

/** Rows and columns of a chunk, the unit of the zone index; a run is packed as 9 + 11 + 11 bits. */
export const CHUNK_ROWS = 512;
export const CHUNK_COLS = 2048;

/** A run with this bit is followed by the covered share of each of its pixels, as the bits of a float32. */
export const WEIGHTED_RUN = 2 ** 31;
/** Shares are multiples of 1 / this, so that any order adds up alike. */
export const SHARE_UNITS = 2 ** 24;

/** What came of reading and burning a geometry; index = code. Same order as native/geometry/wkb.h. */
export const FIELD_STATUS = [
  "ok",
  "null geometry",
  "empty geometry",
  "truncated WKB",
  "not a polygon",
  "coordinates not finite",
  "ring of fewer than four vertices",
  "outside the raster",
  "no pixel centre inside",
  "small: touched pixels",
  "no pixel touched or covered",
] as const;

export const STATUS_OK = 0;
/** Codes from 1 to here are dirty data. */
export const LAST_DIRTY_STATUS = 6;
export const STATUS_OUTSIDE = 7;
/** No pixel centre inside, and answered by the pixels that it touches. */
export const STATUS_SMALL = 9;

/**
 * Which pixels belong to a field: those whose centre lies inside; also all that an edge
 * passes through; by centre and, for a field without any, by touch; or all that it covers
 * some of, weighted by the covered share. See native/zonal/burn.h.
 */
export const PIXEL_RULES = ["centre", "touched", "small-touched", "coverage"] as const;
export type PixelRule = (typeof PIXEL_RULES)[number];

/**
 * Pixel runs of a batch of fields, ordered by chunk, then field.
 *
 * A chunk's number is chunk row × chunks across + chunk column. Chunk k of this
 * batch owns entries `entryEnd[k - 1] .. entryEnd[k])` and runs likewise.
 */
export interface Burned {
  /** One FIELD_STATUS code per row. */
  readonly status: Uint8Array;
  /** Of all vertices, in pixels of the raster: min column, min row, max column, max row; ±∞ when there are none. */
  readonly extent: Float64Array;
  /** Chunk numbers, ascending. */
  readonly chunks: Uint32Array;
  readonly entryEnd: Uint32Array;
  readonly runEnd: Uint32Array;
  /** Row of the field set, per entry. */
  readonly field: Uint32Array;
  /** Runs << 16 | entries that the field has in all chunks, per entry. */
  readonly shape: Uint32Array;
  /** Row << 22 | column << 11 | length − 1 within the chunk, per run; see WEIGHTED_RUN. */
  readonly run: Uint32Array;
}

export type Pixels =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/**
 * Answers of all fields by row, which count and merge write in place: parallel arrays, shared
 * between threads, as no two chunks answer the same field. Classes mean nothing where
 * there are no pixels of them.
 */
export interface AnswerArrays {
  /** Of the band's type, as is `second`. */
  readonly code: Pixels;
  readonly pixels: Uint32Array;
  /** Pixels of any class that is counted. */
  readonly valid: Uint32Array;
  /** Pixels of the raster under the field, whatever their class. */
  readonly covered: Uint32Array;
  readonly second: Pixels;
  readonly secondPixels: Uint32Array;
}

/** Histograms of fields that several chunks share, classes ascending: entry i owns pairs `end[i - 1] .. end[i])`. */
export interface PartialCounts {
  readonly field: Uint32Array;
  /** How many such histograms the field has in all. */
  readonly parts: Uint32Array;
  readonly covered: Uint32Array | Float64Array;
  readonly end: Uint32Array;
  readonly code: Float64Array;
  readonly pixels: Uint32Array | Float64Array;
}

/** Ids of rows that follow one another. */
export interface IdColumn {
  /** One integer a row, whatever stands where a row has none; or the UTF-8 of all strings. */
  readonly values: IntegerArray | Uint8Array;
  /** Bytes of each row in `values`, 0 where a row has none; absent for integers. */
  readonly lengths?: Uint32Array;
  /** One byte a row, 0 where it has none; absent when every row has one. */
  readonly valid?: Uint8Array;
}

export type IntegerArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A column of a row group as a parquet file holds it. */
export interface EncodedChunk {
  /** The dictionary page, if any, and the one data page. */
  readonly bytes: Uint8Array;
  /** Of the dictionary page and its header; 0 without one. */
  readonly dictionaryBytes: number;
  /** Of the values, as parquet.thrift numbers them: 0 PLAIN, 5 DELTA_BINARY_PACKED, 7 DELTA_BYTE_ARRAY, 8 RLE_DICTIONARY. */
  readonly encoding: number;
  readonly nulls: number;
  /** As PLAIN has them, strings without length; empty where no row has a value. */
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/** What a column of the zonal table can tell; native/zonal/table.h numbers them. */
export const TABLE_SOURCES = ["code", "pixels", "valid", "share", "second", "secondPixels", "rule", "reason"] as const;
/** As what; `text` for `rule` and `reason`, and for those alone. */
export const TABLE_TYPES = [
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "float32",
  "float64",
  "text",
] as const;
export type TableSource = (typeof TABLE_SOURCES)[number];
export type TableType = (typeof TABLE_TYPES)[number];

/** All that the table is made from; numbers of pixels, or weights. */
export interface TableArrays {
  readonly code: Pixels;
  readonly second: Pixels;
  readonly pixels: Uint32Array | Float64Array;
  readonly valid: Uint32Array | Float64Array;
  readonly covered: Uint32Array | Float64Array;
  readonly secondPixels: Uint32Array | Float64Array;
  /** FIELD_STATUS codes. */
  readonly status: Uint8Array;
}

/** Words of the columns `rule` and `reason`, by status. */
export interface TableWords {
  readonly rules: readonly string[];
  /** One more, the last: the field has pixels, but none that is counted. */
  readonly reasons: readonly string[];
  /** 1 for a status that has pixels. */
  readonly hasPixels: Uint8Array;
  /** The reason when such a field has none on this raster. */
  readonly outside: number;
}

/** Some rows of the table. */
export interface EncodedRows {
  readonly columns: readonly EncodedChunk[];
  /** Rows with a class. */
  readonly answered: number;
  /** Sum of `valid`. */
  readonly valid: number;
  /** Rows without one, by reason. */
  readonly reasons: Uint32Array;
  /** The first number that is not of its column's type: then the columns are of no use. */
  readonly misfit: { readonly column: number; readonly row: number; readonly value: number } | null;
}

/** Newline-delimited features of a batch, and what came of each geometry. */
export interface FeatureText {
  readonly text: Uint8Array;
  readonly status: Uint8Array;
}

/** Property texts of a batch, one a row: `"field_id":7,"crop_code":1`. */
export interface TextColumn {
  readonly values: Uint8Array;
  readonly offsets: Int32Array;
}

/** Attributes that are decided together by a number that each row has. */
export interface SwapColumn {
  readonly keys: readonly string[];
  /** Shared; by row, 0 for none of the attributes, else 1 + an entry of the palette. */
  readonly index: Uint8Array | Uint16Array;
  /** `entries × keys.length` numbers of values. */
  readonly palette: Uint32Array;
}

/** What tiles get: the same for all batches of an archive. */
export interface SwapPlan {
  /** Feature ids are 0 .. rows − 1. */
  readonly rows: number;
  /** Every layer that tiles may have; `seen` is shared, a byte a row, set to 1 for each feature of a marked tile. */
  readonly layers: readonly { readonly name: string; readonly seen: Uint8Array }[];
  /** Values as tiles store them: protobuf messages `Value`. */
  readonly values: TextColumn;
  /** Each gives every tile anew, with these columns. */
  readonly outputs: readonly (readonly SwapColumn[])[];
  /** Of gzip, 1 to 9. */
  readonly level: number;
}

export interface Swapped {
  /** In the plan's order; tile i is `content[ends[i - 1] .. ends[i])`. */
  readonly outputs: readonly { readonly content: Uint8Array; readonly ends: Uint32Array }[];
  /** Seconds of CPU: decompressing, rewriting, compressing. */
  readonly cpu: Float64Array;
}

/**
 * The inner loops, on batches: typed arrays in, typed arrays out, nothing kept
 * between calls. Two implementations with equal bytes out: C++ and TypeScript.
 */
export interface Kernel {
  /**
   * Read, project and rasterise a batch of polygons. By the default rule a pixel belongs to
   * a field when its centre lies inside, as GDAL has it to the last rounding.
   *
   * @param albers    projection to apply first; null when coordinates are the raster's own.
   * @param firstRow  row number of the batch's first field.
   * @see native/zonal/burn.cc
   */
  burn(column: WkbColumn, grid: KernelGrid, albers: AlbersConstants | null, firstRow: number, rule?: PixelRule): Burned;

  /**
   * Count classes along runs and find each field's majority.
   *
   * Fields that lie wholly in a chunk are answered; the histograms of others come back, to be merged.
   *
   * @param pixels  window of the raster, row-major; its type is the band's.
   * @param stride  the window's width, pixels.
   * @param words   chunk segments of the zone index.
   * @param layout  seven numbers a segment: offsets of field, shape and run in `words`,
   *                entries, runs, and the chunk's row and column in the window, negative
   *                (in two's complement) where the window begins inside the chunk.
   * @param skip    classes that are not counted.
   * @param clip    cut runs at the window's edges instead of taking them for a mistake.
   * @param answers written; null: every field's histogram comes back, and none is answered.
   * @throws {TypeError} when a run leaves the window or a field has no row: the index is of another grid.
   * @see native/zonal/count.cc, native/zonal/tally.cc
   */
  count(
    pixels: Pixels,
    stride: number,
    words: Uint32Array,
    layout: Uint32Array,
    skip: Float64Array,
    clip: boolean,
    answers: AnswerArrays | null,
  ): PartialCounts;

  /**
   * Add up histograms that chunks share in, and answer the fields of which all parts are there.
   *
   * @param lists  of count; in any order.
   * @param last   no more will come: answer the others too.
   * @returns those of fields that wait for parts, as they were.
   * @see native/zonal/count.cc
   */
  merge(lists: readonly PartialCounts[], answers: AnswerArrays, last: boolean): PartialCounts;

  /**
   * Add up weights of pixels instead of pixels: every field's histogram. A pixel weighs what
   * its row does times the share of it that is covered, rounded to a whole number.
   *
   * @param rowWeights  one per row of the window.
   * @throws as count.
   * @see native/zonal/count_weighted.cc
   */
  countWeighted(
    pixels: Pixels,
    stride: number,
    words: Uint32Array,
    layout: Uint32Array,
    skip: Float64Array,
    clip: boolean,
    rowWeights: Float64Array,
  ): PartialCounts;

  /**
   * Ids as a parquet column of optional values: integers as differences, strings by what
   * differs from the one before.
   *
   * @see native/parquet/encode.h
   */
  encodeIds(ids: IdColumn): EncodedChunk;

  /**
   * Rows `from .. to` of the zonal table but for the ids, as parquet columns: by a dictionary where
   * that is shorter. Classes, shares and texts are optional, numbers of pixels are not.
   *
   * @param columns  two numbers each: places in TABLE_SOURCES and TABLE_TYPES.
   * @see native/zonal/table.h
   */
  encodeRows(answers: TableArrays, from: number, to: number, columns: Uint8Array, words: TableWords): EncodedRows;

  /**
   * A polygon and a point inside it for every readable geometry, as GeoJSON lines.
   *
   * @param firstId     feature id of the first row; ids count up by row, also over unreadable ones.
   * @param decimals    places of a degree to keep.
   * @see native/geometry/geojson.cc
   */
  geojson(column: WkbColumn, firstId: number, properties: TextColumn, decimals: number): FeatureText;

  /** What compresses tiles: `libdeflate 1.14`, `zlib 1.3`. */
  readonly gzipLibrary: string;

  /**
   * Give the features of a batch of tiles more attributes. Everything else is copied byte for
   * byte, unknown fields and odd orders included.
   *
   * @param stored      contents one after the other; tile i is `stored[ends[i - 1] .. ends[i])`.
   * @param compressed  they are gzip, and so are the answers; else plain.
   * @param markFrom    tiles from this one on are marked in the layers' `seen`.
   * @throws {RangeError} with the number of the tile as `tile`: it is corrupt, has an unknown layer, an attribute
   *   by one of the keys, a feature without an id or with one that is no row.
   * @see native/tiles/swap.cc
   */
  swap(stored: Uint8Array, ends: Uint32Array, compressed: boolean, markFrom: number, plan: SwapPlan): Swapped;
}
