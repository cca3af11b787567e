import { closeSync, openSync, readSync } from "node:fs";
import type { KernelName } from "../config/options.js";
import type { SliceColumns } from "../fields/field-slice.js";
import type { FeatureText, SwapPlan, Swapped, TextColumn, WkbColumn } from "../kernel/kernel.js";
import { loadKernel } from "../kernel/load.js";
import { moved } from "../parallel/moved.js";
import { PipelineError } from "../pipeline/errors.js";
import type { PropertyChoice } from "./properties.js";

/** Places of a degree in features: 0.1 m, a sixth of a tile unit at zoom 14. */
const DECIMALS = 6;

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
  // Parquet-wasm and Arrow, which are most of what a worker that has them costs; a swap does without.
  const { idReader } = await import("../fields/ids.js");
  const { columnData, readSlice, wkbColumn } = await import("../fields/read-slice.js");
  const { propertyTexts } = await import("./properties.js");
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
    const { tileName } = await import("../archive/tile-id.js");
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
