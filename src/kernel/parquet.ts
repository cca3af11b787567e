import type { WkbColumn } from "./geometry.js";

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
  /** Bytes of the dictionary page and its header; 0 without one. */
  readonly dictionaryBytes: number;
  /** Encoding of the values, as parquet.thrift numbers them: 0 PLAIN, 5 DELTA_BINARY_PACKED, 7 DELTA_BYTE_ARRAY, 8 RLE_DICTIONARY. */
  readonly encoding: number;
  readonly nulls: number;
  /** As PLAIN has them, strings without length; empty where no row has a value. */
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

/**
 * What the kernel reads and writes of parquet. A file of a kind that it does not know (nested, encrypted,
 * a rare encoding or compression) is an Error with code `PARQUET_UNSUPPORTED`; a damaged one is an Error that
 * names column and page.
 */
export interface ParquetKernel {
  parquetColumns(path: string, names: readonly string[]): ColumnChunks[];
  /** By the offset index, where there is one; else from page to page. */
  parquetPages(path: string, name: string, chunk: ColumnChunk): PageIndex;
  /**
   * For the ids of one partition; each id belongs to one.
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
   * @param numbers  integers or doubles, of the table that has `ids`.
   */
  joinInStep(leftIds: WholeColumn, ids: WholeColumn, numbers: WholeColumn, out: Float32Array | Float64Array): boolean;
  /** Ids of some rows alone. */
  readIds(path: string, name: string, part: ColumnPart): PagedIds;
  readPages(slice: PagedSlice): PagedIds & { readonly column: WkbColumn };

  /**
   * Ids as a parquet column of optional values: integers as differences, strings by what
   * differs from the one before.
   *
   * @see native/parquet/encode.h
   */
  encodeIds(ids: IdColumn): EncodedChunk;
}

export function isUnsupported(error: unknown): boolean {
  return (error as { code?: unknown }).code === "PARQUET_UNSUPPORTED";
}
