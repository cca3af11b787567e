import type { AlbersConstants, Burned, IdColumn, KernelGrid, PixelRule, WkbColumn } from "./kernel.js";

/** A column's chunks, one a row group, as the footer has them; see native/parquet/parquet_file.h. */
export interface ColumnChunks {
  /** Parquet's physical type. */
  readonly type: number;
  readonly optional: boolean;
  readonly offset: Float64Array;
  readonly bytes: Float64Array;
  readonly values: Float64Array;
  readonly codec: Float64Array;
  readonly indexOffset: Float64Array;
  readonly indexBytes: Float64Array;
}

/** One of them. */
export interface ColumnChunk {
  readonly offset: number;
  readonly bytes: number;
  readonly values: number;
  readonly indexOffset: number;
  readonly indexBytes: number;
}

/** Data pages of a chunk; both arrays have one more element, for the end. */
export interface PageIndex {
  readonly offset: Float64Array;
  readonly firstRow: Float64Array;
}

/** Some rows of a chunk: the pages that hold them, and the dictionary where it lies apart. */
export interface ColumnPart {
  readonly dictionaryOffset: number;
  readonly dictionaryBytes: number;
  readonly offset: number;
  readonly bytes: number;
  /** Rows of these pages before those that are wanted. */
  readonly skip: number;
  readonly rows: number;
  /** Rows of the whole chunk. */
  readonly chunkValues: number;
  readonly type: number;
  readonly codec: number;
  readonly optional: boolean;
  readonly unsigned: boolean;
}

/** A column of a file, all of its chunks in order. */
export interface WholeColumn {
  readonly path: string;
  readonly name: string;
  readonly parts: readonly ColumnPart[];
}

/** Ids and geometries of consecutive fields. */
export interface PagedSlice {
  readonly path: string;
  readonly idColumn: string;
  readonly ids: ColumnPart;
  readonly geometryColumn: string;
  readonly geometry: ColumnPart;
}

/** The first and last id of a batch, and whether each is greater than the one before; strings by their bytes. */
export interface IdOrder {
  readonly first: bigint | string;
  readonly last: bigint | string;
  readonly rising: boolean;
}

export interface PagedIds {
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
}

/** Rows whose id stood before, each with the first row that had it (or a string of the same hash); and null ids. */
export interface RepeatedIds {
  readonly rows: Uint32Array;
  readonly first: Uint32Array;
  readonly nulls: Uint32Array;
}

/**
 * What the native kernel reads of parquet by itself. A file of a kind that it does not know (nested, encrypted,
 * a rare encoding or compression) is an Error with code `PARQUET_UNSUPPORTED`; a damaged one is an Error that
 * names column and page.
 */
export interface PageKernel {
  parquetColumns(path: string, names: readonly string[]): ColumnChunks[];
  /** By the offset index, where there is one; else from page to page. */
  parquetPages(path: string, name: string, chunk: ColumnChunk): PageIndex;
  /**
   * Kernel.burn, straight from the pages: nothing is copied between file and polygon.
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
   * Of the ids of one partition; each id belongs to one.
   *
   * @param parts  all chunks of the column, whole, in order.
   */
  repeatedIds(
    path: string,
    name: string,
    parts: readonly ColumnPart[],
    partition: number,
    partitions: number,
  ): RepeatedIds;
  /**
   * Whether the ids of two tables agree row by row; then `out` has the numbers, NaN where a row has none.
   *
   * @param numbers  whole ones, of the table that has `ids`.
   */
  joinInStep(leftIds: WholeColumn, ids: WholeColumn, numbers: WholeColumn, out: Float64Array): boolean;
  readPages(slice: PagedSlice): PagedIds & { readonly column: WkbColumn };
}

export function isUnsupported(error: unknown): boolean {
  return (error as { code?: unknown }).code === "PARQUET_UNSUPPORTED";
}
