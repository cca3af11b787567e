import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { ROOT_AREA_BYTES } from "../archive/header.js";
import { columnIds } from "../fields/field-id.js";
import { readFields, type SliceColumns } from "../fields/reader.js";
import type { FeatureText, TextColumn, WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import type { IncludedColumns } from "../kernel/tiler.js";
import type { AttributePlan, RecordPlan, TilesKernel, YearTiles } from "../kernel/tiles.js";
import { transfer } from "../parallel/transfer.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { BatchOffsets, type SharedOffsets } from "./batch-offsets.js";
import type { Spans } from "./contents.js";
import type { PropertyChoice } from "./properties.js";

/** Decimal places of degrees in features: 0.1 m, 1/6 of a tile unit at zoom 14. */
const DECIMALS = 6;

export interface FeatureTask extends SliceColumns {
  /** Shared; hectares by row of the file, NaN if unknown. */
  readonly area: SharedArrayBuffer;
  /** Shared; CDL codes as doubles by row of the file, NaN if there is none; undefined without a year. */
  readonly crop: SharedArrayBuffer | undefined;
  /** Columns of `--include`; values are JSON. */
  readonly included: IncludedColumns | undefined;
  readonly choice: PropertyChoice;
}

/** A slice's geometry and the properties of its features. */
export interface FeatureSource {
  readonly column: WkbColumn;
  readonly properties: TextColumn;
}

/** Read a slice for the feature stream. */
export async function readFeatures(task: FeatureTask): Promise<FeatureSource> {
  const { includedMembers, propertyTexts } = await import("./properties.js");
  const { rows, firstRow } = task.slice;
  const { column, idColumn } = await readFields(task);
  const area = new Float32Array(task.area, firstRow * 4, rows);
  const crop = task.crop && new Float64Array(task.crop, firstRow * 8, rows);
  const properties = propertyTexts(
    rows,
    columnIds(idColumn),
    (row) => area[row] as number,
    (row) => crop?.[row] ?? Number.NaN,
    task.choice,
    task.included && includedMembers(task.included, firstRow),
  );
  return { column, properties };
}
readFeatures.module = import.meta.url;

/** Features of a column in longitude and latitude, as GeoJSON lines. */
export async function writeFeatures(task: FeatureSource & { readonly firstRow: number }): Promise<FeatureText> {
  const features = nativeKernel().geojson(task.column, task.firstRow, task.properties, DECIMALS);
  return transfer(features, [features.text, features.status]);
}
writeFeatures.module = import.meta.url;

/** Read a slice in longitude and latitude and write its features. */
export async function featureSlice(task: FeatureTask): Promise<FeatureText> {
  return writeFeatures({ ...(await readFeatures(task)), firstRow: task.slice.firstRow });
}
featureSlice.module = import.meta.url;

export interface PrecompressTask extends Spans {
  /** An archive of gzip tiles. */
  readonly path: string;
  readonly tileIds: Float64Array;
  readonly plan: RecordPlan;
}

/** Make the records of a range of an archive's tiles. */
export async function precompressTiles({ path, spans, ends, tileIds, plan }: PrecompressTask) {
  const stored = readSpans(path, spans, ends.at(-1) ?? 0);
  try {
    const made = nativeKernel().precompress(stored, ends, plan);
    return transfer(made, [made.content, made.ends]);
  } catch (cause) {
    throw await unreadable(cause, tileIds);
  }
}
precompressTiles.module = import.meta.url;

export interface BaseTilesTask extends Spans {
  /** The file of the records. */
  readonly path: string;
  readonly tileIds: Float64Array;
  readonly plan: Parameters<TilesKernel["baseTiles"]>[2];
}

/** The base tiles of a range of records, as gzip. */
export async function readBaseTiles({ path, spans, ends, tileIds, plan }: BaseTilesTask) {
  const records = readSpans(path, spans, ends.at(-1) ?? 0);
  try {
    const made = nativeKernel().baseTiles(records, ends, plan);
    return transfer(made, [made.content, made.ends]);
  } catch (cause) {
    throw await unreadable(cause, tileIds);
  }
}
readBaseTiles.module = import.meta.url;

export interface YearTilesTask extends Spans {
  /** The file of the records. */
  readonly path: string;
  readonly markFrom: number;
  readonly plan: AttributePlan;
  /** Archives to write. */
  readonly outputs: readonly string[];
  readonly offsets: SharedOffsets;
  readonly batch: number;
}

export interface WrittenTiles extends Omit<YearTiles, "complete"> {
  /** By output, the data that could not be written yet. */
  readonly late?: readonly Uint8Array[] | undefined;
  /** The first unreadable tile, by its position in the range; nothing is written then. */
  readonly damaged?: { readonly tile: number; readonly reason: string } | undefined;
}

/** Add the years' attributes to a range of tiles, and write the tiles at their offsets in the archives. */
export async function writeYearTiles(task: YearTilesTask): Promise<WrittenTiles> {
  const { path, spans, ends, markFrom, plan, outputs, batch } = task;
  const records = readSpans(path, spans, ends.at(-1) ?? 0);
  let made: YearTiles;
  let buffers: Uint8Array[];
  let capacity = 2 * records.length + MIN_BUFFER_BYTES;
  try {
    do {
      buffers = outputs.map((_, o) => outputBuffer(o, capacity));
      made = nativeKernel().writeYears(records, ends, markFrom, plan, buffers);
      capacity *= 2;
    } while (!made.complete);
  } catch (cause) {
    const { tile, message: reason } = cause as { tile?: number; message: string };
    if (tile === undefined) throw cause;
    return { ends: [], rewritten: 0, cpu: new Float64Array(4), damaged: { tile, reason } };
  }
  const contents = made.ends.map((tileEnds, o) => (buffers[o] as Uint8Array).subarray(0, tileEnds.at(-1) ?? 0));
  const result = { ends: made.ends, rewritten: made.rewritten, cpu: made.cpu };
  const at = BatchOffsets.from(task.offsets).take(
    batch,
    contents.map(({ length }) => length),
  );
  // The others know their offsets now and continue during the write.
  if (at === undefined) return { ...result, late: contents.map((content) => content.slice()) };
  for (const [o, content] of contents.entries()) {
    writeAt(outputs[o] as string, content, ROOT_AREA_BYTES + (at[o] as number));
  }
  return result;
}
writeYearTiles.module = import.meta.url;

async function unreadable(cause: unknown, tileIds: Float64Array): Promise<unknown> {
  const { tile } = cause as { tile?: number };
  if (tile === undefined) return cause;
  const { tileName } = await import("../archive/tile-id.js");
  const where = { tile: tileName(tileIds[tile] as number), reason: (cause as Error).message };
  return new PipelineError("input", "Tile cannot be read", where);
}

function writeAt(path: string, bytes: Uint8Array, position: number): void {
  try {
    const fd = openSync(path, "r+");
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(fd, bytes, done, bytes.length - done, position + done);
      }
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw asPipelineError(cause, "failed", "Cannot write archive", { path });
  }
}

/** Tiles may exceed their records by this many bytes in total. */
const MIN_BUFFER_BYTES = 2 ** 16;

/** Kept by each thread, by output, like the buffer below. */
const outputBuffers: Uint8Array[] = [];

function outputBuffer(output: number, length: number): Uint8Array {
  const known = outputBuffers[output];
  if (known !== undefined && known.length >= length) return known;
  const buffer = new Uint8Array(length + (length >> 2));
  outputBuffers[output] = buffer;
  return buffer;
}

/** Kept by each thread, because a new one per task would keep the garbage collector busy. */
let spanBuffer = new Uint8Array();

/** @returns a view that is valid until the next call. */
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
