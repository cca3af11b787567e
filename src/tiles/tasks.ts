import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { ROOT_AREA_BYTES } from "../archive/header.js";
import { columnIds } from "../fields/field-id.js";
import { readFields, type SliceColumns } from "../fields/reader.js";
import type { FeatureText, TextColumn, WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import type { SwapPlan, Swapped } from "../kernel/tiles.js";
import { roomFor, type TemplateFillPlan, type TemplateMakerPlan, type TilesKernel } from "../kernel/tiles.js";
import { moved } from "../parallel/moved.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import type { Spans } from "./contents.js";
import { Places } from "./places.js";
import type { PropertyChoice } from "./properties.js";

/** Places of a degree in features: 0.1 m, a sixth of a tile unit at zoom 14. */
const DECIMALS = 6;

export interface FeatureTask extends SliceColumns {
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
  const { propertyTexts } = await import("./properties.js");
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
  );
  return { column, properties };
}
readFeatures.module = import.meta.url;

/** Features of a column in longitude and latitude, as GeoJSON lines. */
export async function writeFeatures(task: FeatureSource & { readonly firstRow: number }): Promise<FeatureText> {
  const features = nativeKernel().geojson(task.column, task.firstRow, task.properties, DECIMALS);
  return moved(features, [features.text, features.status]);
}
writeFeatures.module = import.meta.url;

/** Read a slice in longitude and latitude and write its features. */
export async function featureSlice(task: FeatureTask): Promise<FeatureText> {
  return writeFeatures({ ...(await readFeatures(task)), firstRow: task.slice.firstRow });
}
featureSlice.module = import.meta.url;

export interface SwapTask {
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
  try {
    const swapped = nativeKernel().swap(stored, ends, compressed, markFrom, plan);
    return moved(
      swapped,
      swapped.outputs.flatMap(({ content, ends: tileEnds }) => [content, tileEnds]),
    );
  } catch (cause) {
    throw await unreadable(cause, task.tileIds);
  }
}
swapTiles.module = import.meta.url;

export interface MakeTask extends Spans {
  /** The base archive. */
  readonly path: string;
  readonly tileIds: Float64Array;
  readonly plan: TemplateMakerPlan;
}

/** Make the template's records of a range of an archive's tiles. */
export async function makeTemplates({ path, spans, ends, tileIds, plan }: MakeTask) {
  const stored = readSpans(path, spans, ends.at(-1) ?? 0);
  try {
    const made = nativeKernel().makeTemplate(stored, ends, plan);
    return moved(made, [made.records, made.ends]);
  } catch (cause) {
    throw await unreadable(cause, tileIds);
  }
}
makeTemplates.module = import.meta.url;

export interface FillTask {
  readonly template: string;
  /** Where in the template the records lie, and their ends from there. */
  readonly at: number;
  readonly ends: Uint32Array;
  readonly markFrom: number;
  /** The base archive; where its contents lie, as Spans. */
  readonly base: string;
  readonly spans: Float64Array;
  readonly contentEnds: Uint32Array;
  readonly tileIds: Float64Array;
  readonly fill: TemplateFillPlan;
  readonly swap: SwapPlan;
  /** Archives to write. */
  readonly outputs: readonly string[];
  readonly places: Pick<Places, "shared" | "stretches" | "outputs">;
  readonly stretch: number;
}

export interface FilledTiles {
  /** By output. */
  readonly ends: readonly Uint32Array[];
  /** What could not be written yet. */
  readonly late?: readonly Uint8Array[] | undefined;
  readonly damaged?: { readonly tile: number; readonly reason: string };
  readonly fillCpu: number;
  readonly swapCpu: Float64Array;
  readonly misfits: number;
}

/** Fill a range of a template, and write it where it belongs in the archives. */
export async function fillTiles(task: FillTask): Promise<FilledTiles> {
  const { outputs, ends, places, stretch } = task;
  const records = readSpans(task.template, Float64Array.of(task.at, ends.at(-1) ?? 0), ends.at(-1) ?? 0);
  const kernel = nativeKernel();
  const rooms = outputs.map((_, o) => fillRoom(o, roomFor(records.length, ends.length)));
  let filled: ReturnType<TilesKernel["fillTemplate"]>;
  try {
    filled = kernel.fillTemplate(records, ends, task.markFrom, task.fill, rooms);
  } catch (cause) {
    const { tile, message: reason } = cause as { tile?: number; message: string };
    if (tile === undefined) throw cause;
    return { ends: [], damaged: { tile, reason }, fillCpu: 0, swapCpu: new Float64Array(3), misfits: 0 };
  }
  const swapCpu = new Float64Array(3);
  let misfits = 0;
  const tiles: { content: Uint8Array; ends: Uint32Array }[] = [];
  for (const [o, tileEnds] of filled.ends.entries()) {
    const content = (rooms[o] as Uint8Array).subarray(0, tileEnds.at(-1) ?? 0);
    const missing = [...tileEnds.keys()].filter((i) => tileEnds[i] === (tileEnds[i - 1] ?? 0));
    misfits += missing.length;
    tiles.push(
      missing.length === 0
        ? { content, ends: tileEnds }
        : await completed(task, o, content, tileEnds, missing, swapCpu),
    );
  }
  const result = { ends: tiles.map((one) => one.ends), fillCpu: filled.cpu, swapCpu, misfits };
  const at = Places.from(places).take(
    stretch,
    tiles.map(({ content }) => content.length),
  );
  // What others wait for is known: now it may be written while they go on.
  if (at === undefined) return { ...result, late: tiles.map(({ content }) => content.slice()) };
  for (const [o, { content }] of tiles.entries())
    writeAt(outputs[o] as string, content, ROOT_AREA_BYTES + (at[o] as number));
  return result;
}
fillTiles.module = import.meta.url;

/** An output with the tiles that its template cannot give. */
async function completed(
  task: FillTask,
  output: number,
  content: Uint8Array,
  ends: Uint32Array,
  missing: readonly number[],
  cpu: Float64Array,
) {
  const stored = readSpans(task.base, task.spans, task.contentEnds.at(-1) ?? 0);
  const parts = missing.map((i) => stored.subarray(task.contentEnds[i - 1] ?? 0, task.contentEnds[i]));
  let end = 0;
  const partEnds = Uint32Array.from(parts, ({ length }) => (end += length));
  const marked = missing.findIndex((i) => i >= task.markFrom);
  const plan = { ...task.swap, outputs: task.swap.outputs.slice(output, output + 1) };
  try {
    const swapped = nativeKernel().swap(
      new Uint8Array(Buffer.concat(parts)),
      partEnds,
      true,
      marked < 0 ? missing.length : marked,
      plan,
    );
    for (const i of [0, 1, 2]) cpu[i] = (cpu[i] as number) + (swapped.cpu[i] as number);
    const [made] = swapped.outputs as [Swapped["outputs"][0]];
    return merged({ content, ends }, made, missing);
  } catch (cause) {
    throw await unreadable(
      cause,
      Float64Array.from(missing, (i) => task.tileIds[i] as number),
    );
  }
}

/** Put tiles in the empty places of others. */
function merged(tiles: Swapped["outputs"][0], others: Swapped["outputs"][0], places: readonly number[]) {
  const pieces: Uint8Array[] = [];
  const ends = new Uint32Array(tiles.ends.length);
  let [taken, from, added] = [0, 0, 0];
  for (const [k, place] of places.entries()) {
    const before = tiles.ends[place] as number;
    ends.set(
      tiles.ends.subarray(from, place).map((end) => end + added),
      from,
    );
    const other = others.content.subarray(others.ends[k - 1] ?? 0, others.ends[k]);
    pieces.push(tiles.content.subarray(taken, before), other);
    added += other.length;
    ends[place] = before + added;
    [taken, from] = [before, place + 1];
  }
  ends.set(
    tiles.ends.subarray(from).map((end) => end + added),
    from,
  );
  return { content: new Uint8Array(Buffer.concat([...pieces, tiles.content.subarray(taken)])), ends };
}

async function unreadable(cause: unknown, tileIds: Float64Array): Promise<unknown> {
  const { tile } = cause as { tile?: number };
  if (tile === undefined) return cause;
  const { tileName } = await import("../archive/tile-id.js");
  return new PipelineError("input", "Tile cannot be read", { tile: tileName(tileIds[tile] as number) }, { cause });
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

/** Kept by each thread, by output; as the buffer below. */
const fillRooms: Uint8Array[] = [];

function fillRoom(output: number, length: number): Uint8Array {
  const known = fillRooms[output];
  if (known !== undefined && known.length >= length) return known;
  const room = new Uint8Array(length + (length >> 2));
  fillRooms[output] = room;
  return room;
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
