/**
 * What workers do: receive, call, return. Each export is one task; arguments are
 * plain data and shared or transferred buffers.
 *
 * A worker loads at its start what burning and counting need; other tasks load theirs when they are asked for, as
 * there may be 128 workers.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { Piscina } from "piscina";
import type { Census, CensusPlan } from "./archive/census.js";
import type { Mbtiles, MbtilesKeys } from "./archive/mbtiles.js";
import type { Archive } from "./archive/reader.js";
import type { KernelName } from "./config/options.js";
import type { FieldSlice } from "./fields/field-slice.js";
import type {
  AlbersConstants,
  Burned,
  EncodedChunk,
  EncodedRows,
  FeatureText,
  IdColumn,
  KernelGrid,
  PixelRule,
  SwapPlan,
  Swapped,
  TableArrays,
  TableWords,
  TextColumn,
  WkbColumn,
} from "./kernel/kernel.js";
import { loadKernel } from "./kernel/load.js";
import { nativeKernel } from "./kernel/native.js";
import {
  type ColumnChunk,
  type ColumnPart,
  type IdOrder,
  isUnsupported,
  type PagedSlice,
  type PageIndex,
  type RepeatedIds,
} from "./kernel/pages.js";
import type { Boxes } from "./lookup/boxes.js";
import { PipelineError } from "./pipeline/errors.js";
import type { PropertyChoice } from "./tiles/properties.js";
import { type LaneResult, type LaneTask, runLane } from "./zonal/scan-lane.js";
import type { IdGroup } from "./zones/format.js";
import { shareRuns, wordsIn } from "./zones/run-buffers.js";
import { type ChunkRuns, type SegmentRange, writeSegments } from "./zones/segments.js";
import { readIds } from "./zones/zone-reader.js";

/** Places of a degree in features: 0.1 m, a sixth of a tile unit at zoom 14. */
const DECIMALS = 6;

/** Parquet-wasm and Arrow are most of what a worker that has them costs. */
async function arrow(): Promise<typeof import("./fields/ids.js") & typeof import("./fields/read-slice.js")> {
  return { ...(await import("./fields/ids.js")), ...(await import("./fields/read-slice.js")) };
}

/** Load the kernel, and nothing else. */
export async function wake(kernel: KernelName): Promise<void> {
  await loadKernel(kernel);
}

export interface SliceColumns {
  readonly path: string;
  readonly slice: FieldSlice;
  readonly idColumn: string;
  readonly geometryColumn: string;
}

/** Data pages of one column chunk. */
export function findPages(task: { path: string; name: string; chunk: ColumnChunk }): PageIndex {
  return nativeKernel().parquetPages(task.path, task.name, task.chunk);
}

/** Repeated ids of one partition; undefined where the kernel does not read the column. */
export function findRepeatedIds(task: {
  path: string;
  name: string;
  parts: readonly ColumnPart[];
  partition: number;
  partitions: number;
}): RepeatedIds | undefined {
  try {
    return nativeKernel().repeatedIds(task.path, task.name, task.parts, task.partition, task.partitions);
  } catch (error) {
    // Said here, for an error loses its code on the way to another thread.
    if (isUnsupported(error)) return undefined;
    throw error;
  }
}

export interface BurnTarget {
  readonly kernel: KernelName;
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
  return { burned: await burnColumn({ ...task, column, firstRow: slice.firstRow }), ...ids, ...paged };
}

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

async function readByArrow(task: SliceColumns): Promise<GeometrySlice> {
  const { columnData, idColumn, idOrder, readSlice, wkbColumn } = await arrow();
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  const ids = columnData(table, task.idColumn);
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
export async function burnColumn(
  task: BurnTarget & { readonly column: WkbColumn; readonly firstRow: number },
): Promise<Burned> {
  const { column, grid, albers, firstRow, rule, buffer } = task;
  return shareRuns((await loadKernel(task.kernel)).burn(column, grid, albers, firstRow, rule), buffer);
}

/** Read a slice of fields for the lookup index. */
export async function boxSlice({ path, slice, idColumn, geometryColumn }: SliceColumns): Promise<Boxes> {
  const { columnData, idReader, readSlice, wkbColumn } = await arrow();
  const { boxesOf } = await import("./lookup/boxes.js");
  const table = await readSlice(path, slice, [idColumn, geometryColumn]);
  const boxes = boxesOf(wkbColumn(columnData(table, geometryColumn)), idReader(columnData(table, idColumn)));
  return moved(boxes, [boxes.box, boxes.idHash]);
}

/** Arrays of a batch that are not in shared memory. */
function ownArrays({ status, extent, chunks, entryEnd, runEnd }: Burned): ArrayBufferView[] {
  return [status, extent, chunks, entryEnd, runEnd];
}

/** Write a range of a zone index's segments. */
export function storeSegments(task: { path: string; range: SegmentRange; batches: readonly ChunkRuns[] }): Uint32Array {
  return writeSegments(task.path, task.range, task.batches);
}

/** Count the windows of a scan until there are no more. */
export async function scanLane(task: LaneTask): Promise<LaneResult> {
  const result = await runLane(task);
  return "waiting" in result ? moved(result, result.waiting.flat().flatMap(Object.values)) : result;
}

export interface RowsTask {
  readonly kernel: KernelName;
  readonly arrays: TableArrays;
  readonly from: number;
  readonly to: number;
  /** As the kernel's encodeRows takes them, without the ids. */
  readonly columns: Uint8Array;
  readonly words: TableWords;
  /** Where the ids come from: the zone index. */
  readonly index: { readonly path: string; readonly fd: number };
  readonly ids: IdGroup;
  /** Place of the ids among the columns. */
  readonly idPlace: number;
}

/** A row group of the zonal table: its columns' pages one after the other. */
export interface RowGroup extends Omit<EncodedRows, "columns"> {
  readonly bytes: Uint8Array;
  readonly columns: readonly Omit<EncodedChunk, "bytes">[];
  readonly lengths: readonly number[];
}

/** Encode a row group of the zonal table. */
export async function encodeRowGroup(task: RowsTask): Promise<RowGroup> {
  const { arrays, from, to, columns, words, index, ids, idPlace } = task;
  const { columns: encoded, ...facts } = (await loadKernel(task.kernel)).encodeRows(arrays, from, to, columns, words);
  const chunks = encoded.toSpliced(idPlace, 0, readIds(index.path, index.fd, ids));
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0));
  const lengths: number[] = [];
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk.bytes, at);
    lengths.push(chunk.bytes.length);
    at += chunk.bytes.length;
  }
  const described = chunks.map(({ bytes: _bytes, ...rest }) => rest);
  return moved({ ...facts, bytes, columns: described, lengths }, [bytes]);
}

export interface FeatureTask extends SliceColumns {
  readonly kernel: KernelName;
  /** Shared; hectares by row of the file, NaN where unknown. */
  readonly area: SharedArrayBuffer;
  /** Shared; CDL codes as doubles by row of the file, NaN where there is none; undefined without a year. */
  readonly crop: SharedArrayBuffer | undefined;
  readonly choice: PropertyChoice;
}

/** A slice's geometry and the properties of its features. */
export interface FeatureSource {
  readonly column: WkbColumn;
  readonly properties: TextColumn;
}

/** Read a slice for the feature stream. */
export async function readFeatures(task: FeatureTask): Promise<FeatureSource> {
  const { columnData, idReader, readSlice, wkbColumn } = await arrow();
  const { propertyTexts } = await import("./tiles/properties.js");
  const { rows, firstRow } = task.slice;
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  const area = new Float32Array(task.area, firstRow * 4, rows);
  const crop = task.crop && new Float64Array(task.crop, firstRow * 8, rows);
  const id = idReader(columnData(table, task.idColumn));
  const properties = propertyTexts(
    rows,
    id,
    (row) => area[row] as number,
    (row) => crop?.[row] ?? Number.NaN,
    task.choice,
  );
  return { column: wkbColumn(columnData(table, task.geometryColumn)), properties };
}

/** Features of a column in longitude and latitude, as GeoJSON lines. */
export async function writeFeatures(
  task: FeatureSource & { readonly kernel: KernelName; readonly firstRow: number },
): Promise<FeatureText> {
  const features = (await loadKernel(task.kernel)).geojson(task.column, task.firstRow, task.properties, DECIMALS);
  return moved(features, [features.text, features.status]);
}

/** Read a slice in longitude and latitude and write its features. */
export async function featureSlice(task: FeatureTask): Promise<FeatureText> {
  return writeFeatures({ ...(await readFeatures(task)), kernel: task.kernel, firstRow: task.slice.firstRow });
}

export interface CensusTask {
  readonly path: string;
  readonly plan: CensusPlan;
  /** Directory entries [from, to). */
  readonly from: number;
  readonly to: number;
}

/** Open a range of an archive's tiles and count what is in them. */
export async function censusRange({ path, plan, from, to }: CensusTask): Promise<Census> {
  const { addToCensus, newCensus } = await import("./archive/census.js");
  const { Archive } = await import("./archive/reader.js");
  const version = versionOf(path);
  if (archive?.version !== version) {
    archive?.file.close();
    archive = undefined;
    archive = { version, file: new Archive(path) };
  }
  const census = newCensus(plan);
  addToCensus(census, archive.file, plan, from, to);
  return census;
}

/** The archive opened last in this thread: its directories are read once. */
let archive: { readonly version: string; readonly file: Archive } | undefined;

export interface MbtilesTask {
  readonly path: string;
  /** Scratch, for the library's marks. */
  readonly folder: string;
  readonly keys: MbtilesKeys;
}

/** Read some tiles of MBTiles, as gzip. */
export async function mbtilesSlice({ path, folder, keys }: MbtilesTask): Promise<ReturnType<Mbtiles["tiles"]>> {
  const { Mbtiles } = await import("./archive/mbtiles.js");
  const version = `${versionOf(path)} ${versionOf(folder)}`;
  if (mbtiles?.version !== version) {
    mbtiles?.file.close();
    mbtiles = undefined;
    mbtiles = { version, file: new Mbtiles(path, folder, `worker-${threadId}`) };
  }
  const { bytes, lengths } = mbtiles.file.tiles(keys);
  return moved({ bytes, lengths }, [bytes, lengths]);
}

/** The MBTiles opened last in this thread. */
let mbtiles: { readonly version: string; readonly file: Mbtiles } | undefined;

/** Tells a file from one that has replaced it. */
function versionOf(path: string): string {
  const { ino, birthtimeNs, mtimeNs } = statSync(path, { bigint: true });
  return `${path} ${ino} ${statSync(path).isFile() ? mtimeNs : birthtimeNs}`;
}

export interface SwapTask {
  readonly kernel: KernelName;
  /** The base archive. */
  readonly path: string;
  /** Where the contents lie: pairs of offset and length, bytes from the file's start, in the tiles' order. */
  readonly spans: Float64Array;
  readonly tileIds: Float64Array;
  /** Ends of the contents, once the spans are read one behind the other. */
  readonly ends: Uint32Array;
  readonly compressed: boolean;
  readonly markFrom: number;
  readonly plan: SwapPlan;
}

/** Give a range of an archive's tiles their attributes. */
export async function swapTiles(task: SwapTask): Promise<Swapped> {
  const { path, spans, ends, compressed, markFrom, plan } = task;
  const stored = readSpans(path, spans, ends.at(-1) ?? 0);
  const kernel = await loadKernel(task.kernel);
  try {
    const swapped = kernel.swap(stored, ends, compressed, markFrom, plan);
    return moved(
      swapped,
      swapped.outputs.flatMap(({ content, ends: tileEnds }) => [content, tileEnds]),
    );
  } catch (cause) {
    const { tile } = cause as { tile?: number };
    if (tile === undefined) throw cause;
    const { tileName } = await import("./archive/tile-id.js");
    throw new PipelineError(
      "input",
      "Tile cannot be read",
      { tile: tileName(task.tileIds[tile] as number) },
      { cause },
    );
  }
}

/** Kept by each thread: a new one for every task would keep the garbage collector busy. */
let spanBuffer = new Uint8Array();

/** @returns a view that holds until the next call. */
function readSpans(path: string, spans: Float64Array, length: number): Uint8Array {
  if (spanBuffer.length < length) spanBuffer = new Uint8Array(length);
  const bytes = spanBuffer.subarray(0, length);
  const fd = openSync(path, "r");
  try {
    let filled = 0;
    for (let i = 0; i < spans.length; i += 2) {
      const [offset, size] = [spans[i] as number, spans[i + 1] as number];
      for (let done = 0; done < size; ) {
        const n = readSync(fd, bytes, filled, size - done, offset + done);
        if (n === 0) throw new PipelineError("input", "Archive ends inside its tile data", { at: offset + done });
        done += n;
        filled += n;
      }
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** Hand a result over with its buffers moved, not copied. */
function moved<T>(value: T, arrays: readonly ArrayBufferView[]): T {
  const buffers = arrays.map((array) => array.buffer as ArrayBuffer);
  return Piscina.move({
    get [Piscina.transferableSymbol]() {
      return buffers;
    },
    get [Piscina.valueSymbol]() {
      return value;
    },
  } as never) as T;
}
