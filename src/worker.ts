/**
 * What workers do: receive, call, return. Each export is one task; arguments are
 * plain data and shared or transferred buffers.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { Piscina } from "piscina";
import { addToCensus, type Census, type CensusPlan, newCensus } from "./archive/census.js";
import { Mbtiles, type MbtilesKeys } from "./archive/mbtiles.js";
import { Archive } from "./archive/reader.js";
import { tileName } from "./archive/tile-id.js";
import type { KernelName } from "./config/options.js";
import { type IdOrder, idOrder, idReader } from "./fields/ids.js";
import { columnData, readSlice, wkbColumn } from "./fields/read-slice.js";
import type { Slice } from "./fields/slice.js";
import type {
  AlbersConstants,
  Burned,
  Counted,
  FeatureText,
  KernelGrid,
  PixelRule,
  SwapPlan,
  Swapped,
  TextColumn,
  WkbColumn,
} from "./kernel/kernel.js";
import { loadKernel } from "./kernel/load.js";
import { type Boxes, boxesOf } from "./lookup/boxes.js";
import { PipelineError } from "./pipeline/errors.js";
import { type BandType, pixelArray } from "./raster/pixels.js";
import { type PropertyChoice, propertyTexts } from "./tiles/properties.js";

/** Places of a degree in features: 0.1 m, a sixth of a tile unit at zoom 14. */
const DECIMALS = 6;

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
}

/** Read a slice of fields and burn it. */
export async function burnSlice(task: SliceColumns & BurnTarget): Promise<BurnedSlice> {
  const { column, ids } = await readGeometry(task);
  const burned = (await loadKernel(task.kernel)).burn(column, task.grid, task.albers, task.slice.firstRow, task.rule);
  return moved({ burned, ids }, Object.values(burned));
}

export interface GeometrySlice {
  readonly column: WkbColumn;
  readonly ids: IdOrder;
}

/** Read a slice of fields, for the main thread to reproject. */
export async function readGeometry(task: SliceColumns): Promise<GeometrySlice> {
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  return { column: wkbColumn(columnData(table, task.geometryColumn)), ids: idOrder(columnData(table, task.idColumn)) };
}

/** Burn a column that is in the raster's CRS already. */
export async function burnColumn(
  task: BurnTarget & { readonly column: WkbColumn; readonly firstRow: number },
): Promise<Burned> {
  const burned = (await loadKernel(task.kernel)).burn(task.column, task.grid, task.albers, task.firstRow, task.rule);
  return moved(burned, Object.values(burned));
}

/** Read a slice of fields for the lookup index. */
export async function boxSlice({ path, slice, idColumn, geometryColumn }: SliceColumns): Promise<Boxes> {
  const table = await readSlice(path, slice, [idColumn, geometryColumn]);
  const boxes = boxesOf(wkbColumn(columnData(table, geometryColumn)), idReader(columnData(table, idColumn)));
  return moved(boxes, [boxes.box, boxes.idHash]);
}

export interface CountTask {
  readonly kernel: KernelName;
  readonly type: BandType;
  /** Shared; `stride × height` pixels of the window from its start. */
  readonly pixels: SharedArrayBuffer;
  readonly stride: number;
  readonly height: number;
  /** Shared; segments of the zone index. */
  readonly words: SharedArrayBuffer;
  readonly wordCount: number;
  readonly layout: Uint32Array;
  readonly skip: Float64Array;
  readonly clip: boolean;
  /** Every field's histogram is wanted, not its majority alone. */
  readonly histograms: boolean;
  /** Weights of the window's rows, where pixels do not count alike. */
  readonly rowWeights: Float64Array | undefined;
}

/** Count the fields of one window. */
export async function countWindow(task: CountTask): Promise<Partial<Counted>> {
  const pixels = pixelArray(task.type, task.pixels, task.stride * task.height);
  const words = new Uint32Array(task.words, 0, task.wordCount);
  const { stride, layout, skip, clip, histograms, rowWeights } = task;
  const kernel = await loadKernel(task.kernel);
  if (rowWeights !== undefined) {
    const partial = kernel.countWeighted(pixels, stride, words, layout, skip, clip, rowWeights);
    return moved({ partial }, Object.values(partial));
  }
  const counted = kernel.count(pixels, stride, words, layout, skip, clip, histograms);
  return moved(counted, [...Object.values(counted.complete), ...Object.values(counted.partial)]);
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
