import { columnIds } from "../fields/field-id.js";
import { readByRows, readFields, readPaged, type SliceColumns, type SliceOfFields } from "../fields/reader.js";
import type { Slice } from "../fields/slice.js";
import type { TextColumn, WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import type {
  BucketChunks,
  CellPlan,
  ShapeCounts,
  SpilledSlice,
  TilePlan,
  TilerZooms,
  ZoomTiles,
} from "../kernel/tiler.js";
import { idValues } from "./id-values.js";
import { type SharedSpill, SpillFile } from "./spill-file.js";

export interface SpillTask extends SliceColumns {
  readonly zooms: TilerZooms;
  readonly withIds: boolean;
  readonly file: SharedSpill;
}

/** A slice's records in the scratch file; arrays have one element per bucket. */
export interface SpilledChunks extends Omit<SpilledSlice, "content" | "ends"> {
  readonly offsets: Float64Array;
  readonly bytes: Uint32Array;
  /** Why the kernel could not read the file, if it tried. */
  readonly unsupported?: string | undefined;
}

/** Read a slice in longitude and latitude, and append its fields to their buckets. */
export async function spillSlice(task: SpillTask): Promise<SpilledChunks> {
  const { slice, zooms, withIds, file } = task;
  const { result, unsupported } = readPaged(task, (pages) =>
    nativeKernel().spillPages(pages, slice.firstRow, zooms, withIds),
  );
  if (result !== undefined) return written(result, file);
  const columns = columnsOf(await readByRows(task), task);
  return { ...spillColumn({ ...columns, firstRow: slice.firstRow, zooms, file }), unsupported };
}
spillSlice.module = import.meta.url;

/** A slice's geometry, and its ids as vector tiles store them. */
export interface FieldColumns {
  readonly column: WkbColumn;
  readonly ids: TextColumn | null;
}

/** Read a slice for the main thread to reproject. */
export async function readColumns(task: SliceColumns & { readonly withIds: boolean }): Promise<FieldColumns> {
  return columnsOf(await readFields(task), task);
}
readColumns.module = import.meta.url;

function columnsOf({ column, idColumn }: SliceOfFields, { slice, withIds }: { slice: Slice; withIds: boolean }) {
  return { column, ids: withIds ? idValues(slice.rows, columnIds(idColumn)) : null };
}

/** Append fields in longitude and latitude to their buckets. */
export function spillColumn(
  task: FieldColumns & { readonly firstRow: number; readonly zooms: TilerZooms; readonly file: SharedSpill },
): SpilledChunks {
  const { column, ids, firstRow, zooms, file } = task;
  return written(nativeKernel().spillColumn(column, ids, firstRow, zooms), file);
}
spillColumn.module = import.meta.url;

function written({ content, ends, ...spilled }: SpilledSlice, file: SharedSpill): SpilledChunks {
  const start = content.length > 0 ? SpillFile.from(file).append(content) : 0;
  return {
    ...spilled,
    offsets: Float64Array.from(ends, (_, i) => start + (ends[i - 1] ?? 0)),
    bytes: Uint32Array.from(ends, (end, i) => end - (ends[i - 1] ?? 0)),
  };
}

export interface BucketTask {
  readonly path: string;
  readonly chunks: BucketChunks;
  readonly tile: number;
  readonly plan: TilePlan;
  /** By zoom, from the archive's lowest. */
  readonly files: readonly SharedSpill[];
  readonly summaries: SharedSpill;
}

/** Tiles of one zoom in that zoom's scratch file. */
export interface StoredZoom {
  readonly zoom: number;
  readonly offset: number;
  readonly tileIds: Float64Array;
  readonly sizes: Uint32Array;
  /** CRC-32 of each stored tile. */
  readonly crcs: Uint32Array;
  readonly polygons: number;
  readonly points: number;
  readonly largest: number;
}

/** A piece of a scratch file. */
export interface Piece {
  readonly offset: number;
  readonly bytes: number;
}

export interface BucketResult {
  readonly zooms: readonly StoredZoom[];
  readonly summary: Piece;
  readonly shapes: ShapeCounts;
}

/** Make a bucket's tiles and append them to the scratch file of each zoom. */
export function tileBucket(task: BucketTask): BucketResult {
  const { zooms, summary, shapes } = nativeKernel().tileBucket(task.path, task.chunks, task.tile, task.plan);
  return {
    shapes,
    summary: storedSummary(summary, task.summaries),
    zooms: zooms.map((zoom) => storedZoom(zoom, task.files[zoom.zoom - task.plan.minZoom] as SharedSpill)),
  };
}
tileBucket.module = import.meta.url;

export interface CellsTask {
  readonly tile: number;
  readonly plan: CellPlan;
  /** Summaries of the four tiles under it; undefined for a missing one. */
  readonly children: readonly (Piece | undefined)[];
  readonly file: SharedSpill;
  readonly summaries: SharedSpill;
}

/** Make a tile of cells from the four under it. */
export function mergeCells({ tile, plan, children, file, summaries }: CellsTask): { zoom: StoredZoom; summary: Piece } {
  const source = SpillFile.from(summaries);
  const bytes = children.map((piece) => (piece === undefined ? new Uint8Array() : source.read(piece)));
  const { tiles, summary } = nativeKernel().mergeCells(tile, bytes, plan);
  return { zoom: storedZoom(tiles, file), summary: storedSummary(summary, summaries) };
}
mergeCells.module = import.meta.url;

function storedZoom({ content, ...zoom }: ZoomTiles, file: SharedSpill): StoredZoom {
  return { ...zoom, offset: content.length > 0 ? SpillFile.from(file).append(content) : 0 };
}

function storedSummary(summary: Uint8Array, file: SharedSpill): Piece {
  return { offset: summary.length > 0 ? SpillFile.from(file).append(summary) : 0, bytes: summary.length };
}
