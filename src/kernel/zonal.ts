import type { AlbersConstants, WkbColumn } from "./geometry.js";
import type { EncodedChunk, PagedIds, PagedSlice } from "./parquet.js";
import type { Pixels } from "./raster.js";

/** North-up raster grid: x = c + col · a, y = f + row · e, in the raster's CRS; size in pixels. */
export interface KernelGrid {
  readonly a: number;
  readonly c: number;
  readonly e: number;
  readonly f: number;
  readonly width: number;
  readonly height: number;
}

/** Rows and columns of a chunk, the unit of the zone index; a run is packed as 9 + 11 + 11 bits. */
export const CHUNK_ROWS = 512;
export const CHUNK_COLS = 2048;

/** A run with this bit is followed by the covered share of each of its pixels, as the bits of a float32. */
export const WEIGHTED_RUN = 2 ** 31;
/** Shares are multiples of 1 / this, so that any order adds up alike. */
export const SHARE_UNITS = 2 ** 24;

/**
 * Which pixels belong to a field: those whose center lies inside; also all that an edge
 * passes through; by center and, for a field without any, by touch; or all that it covers
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
  /** Bounds of all vertices, in pixels of the raster: min column, min row, max column, max row; ±∞ without vertices. */
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

/**
 * Answers of all fields by row, which count and merge write in place: parallel arrays, shared
 * between threads, as no two chunks answer the same field. Classes mean nothing where
 * there are no pixels of them.
 */
export interface AnswerArrays {
  /** Same type as the band, like `second`. */
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

/** From polygons to pixels, from pixels to answers, from answers to the table. */
export interface ZonalKernel {
  /**
   * Read, project and rasterise a batch of polygons. By the default rule a pixel belongs to
   * a field when its center lies inside, as GDAL has it to the last rounding.
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
   * @param mask    one byte per pixel of the window, 0 where the pixel is not counted.
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
    mask?: Uint8Array,
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
    mask?: Uint8Array,
  ): PartialCounts;

  /**
   * `burn`, straight from the pages: nothing is copied between file and polygon.
   *
   * @param allocate  gives room for field, shape and run, which lie in it one behind the other; may be shared.
   */
  burnPages(
    slice: PagedSlice,
    grid: KernelGrid,
    albers: AlbersConstants | null,
    firstRow: number,
    rule: PixelRule,
    allocate: (words: number) => Uint32Array,
  ): Burned & PagedIds;

  /**
   * Rows `from .. to` of the zonal table but for the ids, as parquet columns: by a dictionary where
   * that is shorter. Classes, shares and texts are optional, numbers of pixels are not.
   *
   * @param columns  two numbers each: places in TABLE_SOURCES and TABLE_TYPES.
   * @see native/zonal/table.h
   */
  encodeRows(answers: TableArrays, from: number, to: number, columns: Uint8Array, words: TableWords): EncodedRows;
}
