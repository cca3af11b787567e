/**
 * What workers do: receive, call, return. Each export is one task; arguments are
 * plain data and shared or transferred buffers. A task loads what it needs: of many workers
 * each would load all of it.
 */
import { statSync } from "node:fs";
import { Piscina } from "piscina";
import type { Census, CensusPlan } from "./archive/census.js";
import type { Archive } from "./archive/reader.js";
import type { KernelName } from "./config/options.js";
import type { IdOrder } from "./fields/ids.js";
import type { Slice } from "./fields/slice.js";
import type {
  AlbersConstants,
  Burned,
  EncodedChunk,
  EncodedRows,
  FeatureText,
  IdColumn,
  KernelGrid,
  PixelRule,
  TableArrays,
  TableWords,
  TextColumn,
  WkbColumn,
} from "./kernel/kernel.js";
import { loadKernel } from "./kernel/load.js";
import type { LaneResult, LaneTask } from "./zonal/scan-lane.js";
import type { IdGroup } from "./zones/format.js";

/** Places of a degree in features: 0.1 m, a sixth of a tile unit at zoom 14. */
const DECIMALS = 6;

/** Load the kernel, and nothing else. */
export async function wake(kernel: KernelName): Promise<void> {
  await loadKernel(kernel);
}

export interface SliceColumns {
  readonly path: string;
  readonly slice: Slice;
  readonly idColumn: string;
  readonly geometryColumn: string;
}

export interface BurnTarget {
  readonly kernel: KernelName;
  readonly grid: KernelGrid;
  readonly albers: AlbersConstants | null;
  readonly rule: PixelRule;
}

export interface BurnedSlice {
  readonly burned: Burned;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
}

/** Read a slice of fields and burn it. */
export async function burnSlice(task: SliceColumns & BurnTarget): Promise<BurnedSlice> {
  const { column, ...ids } = await readGeometry(task);
  const burned = (await loadKernel(task.kernel)).burn(column, task.grid, task.albers, task.slice.firstRow, task.rule);
  return moved({ burned, ...ids }, [...Object.values(burned), ...Object.values(ids.idColumn)]);
}

export interface GeometrySlice {
  readonly column: WkbColumn;
  readonly ids: IdOrder;
  readonly idColumn: IdColumn;
}

/** Read a slice of fields, for the main thread to reproject. */
export async function readGeometry(task: SliceColumns): Promise<GeometrySlice> {
  const { columnData, readSlice, wkbColumn } = await import("./fields/read-slice.js");
  const { idColumn, idOrder } = await import("./fields/ids.js");
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  const ids = columnData(table, task.idColumn);
  return { column: wkbColumn(columnData(table, task.geometryColumn)), ids: idOrder(ids), idColumn: idColumn(ids) };
}

/** Burn a column that is in the raster's CRS already. */
export async function burnColumn(
  task: BurnTarget & { readonly column: WkbColumn; readonly firstRow: number },
): Promise<Burned> {
  const burned = (await loadKernel(task.kernel)).burn(task.column, task.grid, task.albers, task.firstRow, task.rule);
  return moved(burned, Object.values(burned));
}

/** Count the windows of a scan until there are no more. */
export async function scanLane(task: LaneTask): Promise<LaneResult> {
  const { runLane } = await import("./zonal/scan-lane.js");
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
  const { readIds } = await import("./zones/zone-reader.js");
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
  return moved({ ...facts, bytes, columns: chunks.map(({ bytes: _, ...rest }) => rest), lengths }, [bytes]);
}

export interface FeatureTask extends SliceColumns {
  readonly kernel: KernelName;
  /** Shared; hectares by row of the file, NaN where unknown. */
  readonly area: SharedArrayBuffer;
  /** Shared; CDL codes as doubles by row of the file, NaN where there is none. */
  readonly crop: SharedArrayBuffer;
}

/** A slice's geometry and the properties of its features. */
export interface FeatureSource {
  readonly column: WkbColumn;
  readonly properties: TextColumn;
}

/** Read a slice for the feature stream. */
export async function readFeatures(task: FeatureTask): Promise<FeatureSource> {
  const { columnData, readSlice, wkbColumn } = await import("./fields/read-slice.js");
  const { idReader } = await import("./fields/ids.js");
  const { propertyTexts } = await import("./tiles/properties.js");
  const { rows, firstRow } = task.slice;
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  const area = new Float32Array(task.area, firstRow * 4, rows);
  const crop = new Float64Array(task.crop, firstRow * 8, rows);
  const id = idReader(columnData(table, task.idColumn));
  const properties = propertyTexts(
    rows,
    id,
    (row) => area[row] as number,
    (row) => crop[row] as number,
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
  const { ino, mtimeNs } = statSync(path, { bigint: true });
  const version = `${path} ${ino} ${mtimeNs}`;
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
