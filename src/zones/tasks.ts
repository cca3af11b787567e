import { deserialize, serialize } from "node:v8";
import { crc32 } from "node:zlib";
import { readByRows, readPaged, type SliceColumns } from "../fields/reader.js";
import type { AlbersConstants, WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import type { IdColumn, IdOrder } from "../kernel/parquet.js";
import type { Burned, KernelGrid, PixelRule } from "../kernel/zonal.js";
import { transfer } from "../parallel/transfer.js";
import { shareRuns, wordsIn } from "./run-buffers.js";
import { type ChunkRuns, type SegmentRange, writeSegments } from "./segments.js";
import { readStoredSlice, type StoredSlice } from "./zone-part.js";

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
    return transfer({ burned, ids, idColumn }, [...ownArrays(burned), ...Object.values(idColumn)]);
  }
  const { column, ...ids } = await readByRows(task);
  return { burned: burnColumn({ ...task, column, firstRow: slice.firstRow }), ...ids, ...paged };
}
burnSlice.module = import.meta.url;

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

/** A burned slice as the bytes that a part of an index keeps, and their CRC-32. */
export function packSlice({ burned, ids, idColumn }: BurnedSlice): { packed: Uint8Array; crc: number } {
  const packed = new Uint8Array(serialize({ burned, ids, idColumn }));
  return transfer({ packed, crc: crc32(packed) }, [packed]);
}
packSlice.module = import.meta.url;

/** The burned slice that a part keeps. */
export function unpackSlice({ stored, buffer }: { stored: StoredSlice; buffer: SharedArrayBuffer }): BurnedSlice {
  const { burned, ids, idColumn } = deserialize(readStoredSlice(stored)) as BurnedSlice;
  return { burned: shareRuns(burned, buffer), ids, idColumn };
}
unpackSlice.module = import.meta.url;
