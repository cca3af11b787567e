import type { WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import { type ColumnPart, type IdColumn, type IdOrder, isUnsupported, type PagedSlice } from "../kernel/parquet.js";
import type { Slice } from "./slice.js";

/** A slice whose pages are known: it is read by the kernel, and any number of slices cost no more than one. */
export interface FieldSlice extends Slice {
  readonly pages?: { readonly ids: ColumnPart; readonly geometry: ColumnPart };
}

/** What a worker reads of a slice. */
export interface SliceColumns {
  readonly path: string;
  readonly slice: FieldSlice;
  readonly idColumn: string;
  readonly geometryColumn: string;
}

/** Ids and polygons of a slice. */
export interface SliceOfFields {
  readonly column: WkbColumn;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
  /** Why the kernel could not read the file by itself, where it tried. */
  readonly unsupported?: string | undefined;
}

/**
 * Read ids and polygons of a slice: by the kernel, else by way of parquet-wasm and Arrow. Every stage reads fields here.
 *
 * @throws {Error} naming column and page, where the file is damaged; naming the column, at a number that is no id.
 */
export async function readFields(task: SliceColumns): Promise<SliceOfFields> {
  const { result, unsupported } = readPaged(task, (pages) => nativeKernel().readPages(pages));
  return result ?? { ...(await readByRows(task)), unsupported };
}
readFields.module = import.meta.url;

/** Anything the kernel does with a slice's pages; `unsupported` says why, where another reader must. */
export function readPaged<T>(
  { path, slice, idColumn, geometryColumn }: SliceColumns,
  read: (pages: PagedSlice) => T,
): { result?: T; unsupported?: string } {
  if (slice.pages === undefined) return {};
  try {
    return { result: read({ path, idColumn, geometryColumn, ...slice.pages }) };
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    return { unsupported: (error as Error).message };
  }
}

/** The way that knows all encodings, compressions and nested columns. */
export async function readByRows({ path, slice, idColumn, geometryColumn }: SliceColumns): Promise<SliceOfFields> {
  // Parquet-wasm and Arrow: most of what a worker that has them costs, and needed for few files.
  const { idColumn: columnOf, idData, idOrder } = await import("./ids.js");
  const { columnData, readSlice } = await import("./read-slice.js");
  const { geometryData } = await import("./geoarrow.js");
  const table = await readSlice(path, slice, [idColumn, geometryColumn]);
  const ids = idData(columnData(table, idColumn), idColumn);
  const column = geometryData(columnData(table, geometryColumn), geometryColumn);
  return { column, ids: idOrder(ids), idColumn: columnOf(ids) };
}
