import type { SliceColumns } from "../fields/field-slice.js";
import type { AlbersConstants, WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import type { IdColumn } from "../kernel/parquet.js";
import { type IdOrder, isUnsupported, type PagedSlice } from "../kernel/parquet.js";
import type { Burned, KernelGrid, PixelRule } from "../kernel/zonal.js";
import { moved } from "../parallel/moved.js";
import { shareRuns, wordsIn } from "./run-buffers.js";
import { type ChunkRuns, type SegmentRange, writeSegments } from "./segments.js";

export interface BurnTarget {
  readonly grid: KernelGrid;
  readonly albers: AlbersConstants | null;
  readonly rule: PixelRule;
  /** For the runs; where it is too small they come in a larger one. */
  readonly buffer: SharedArrayBuffer;
}

export interface BurnedSlice {
  readonly burned: Burned;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
  /** Why the kernel could not read the file by itself, where it tried. */
  readonly unsupported?: string | undefined;
}

/** Read a slice of fields and burn it. */
export async function burnSlice(task: SliceColumns & BurnTarget): Promise<BurnedSlice> {
  const { grid, albers, rule, buffer, slice } = task;
  const paged = readPaged(task, (pages) =>
    nativeKernel().burnPages(pages, grid, albers, slice.firstRow, rule, (words) => wordsIn(buffer, words)),
  );
  if (paged.result !== undefined) {
    const { ids, idColumn, ...burned } = paged.result;
    return moved({ burned, ids, idColumn }, [...ownArrays(burned), ...Object.values(idColumn)]);
  }
  const { column, ...ids } = await readByArrow(task);
  return { burned: burnColumn({ ...task, column, firstRow: slice.firstRow }), ...ids, ...paged };
}
burnSlice.module = import.meta.url;

export interface GeometrySlice {
  readonly column: WkbColumn;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
  readonly unsupported?: string | undefined;
}

/** Read a slice of fields, for the main thread to reproject. */
export async function readGeometry(task: SliceColumns): Promise<GeometrySlice> {
  const { result, unsupported } = readPaged(task, (pages) => nativeKernel().readPages(pages));
  return result ?? { ...(await readByArrow(task)), unsupported };
}
readGeometry.module = import.meta.url;

async function readByArrow(task: SliceColumns): Promise<GeometrySlice> {
  // Parquet-wasm and Arrow: most of what a worker that has them costs, and needed for few files.
  const { idColumn, idData, idOrder } = await import("../fields/ids.js");
  const { columnData, readSlice, wkbColumn } = await import("../fields/read-slice.js");
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  const ids = idData(columnData(table, task.idColumn), task.idColumn);
  return { column: wkbColumn(columnData(table, task.geometryColumn)), ids: idOrder(ids), idColumn: idColumn(ids) };
}

/** By the kernel, where the slice's pages are known and of a kind that it reads. */
function readPaged<T>(
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

/** Burn a column that is in the raster's CRS already. */
export function burnColumn(task: BurnTarget & { readonly column: WkbColumn; readonly firstRow: number }): Burned {
  const { column, grid, albers, firstRow, rule, buffer } = task;
  return shareRuns(nativeKernel().burn(column, grid, albers, firstRow, rule), buffer);
}
burnColumn.module = import.meta.url;

/** Arrays of a batch that are not in shared memory. */
function ownArrays({ status, extent, chunks, entryEnd, runEnd }: Burned): ArrayBufferView[] {
  return [status, extent, chunks, entryEnd, runEnd];
}

/** Write a range of a zone index's segments. */
export function storeSegments(task: { path: string; range: SegmentRange; batches: readonly ChunkRuns[] }): Uint32Array {
  return writeSegments(task.path, task.range, task.batches);
}
storeSegments.module = import.meta.url;
