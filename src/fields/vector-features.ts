import { rmSync } from "node:fs";
import {
  Binary,
  type Data,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import gdal from "gdal-async";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { FLOAT64_END, wholeNumber } from "./ids.js";
import { toProjjson } from "./projjson.js";
import { openDataset, quoted, type VectorLayer } from "./vector-layer.js";

/** Features of a batch; the main thread reads them in one go. */
const BATCH_ROWS = 4096;

/** GDAL's CE_Failure; below it are warnings, after which the feature is whole. */
const FAILURE = 3;

/** ISO WKB types from here on have Z or M; so have the old ones with the highest bit. */
const FIRST_TYPE_WITH_Z = 1001;

type Value = string | number | bigint | null;

/** Columns of an imported layer: id, WKB and attributes, with the CRS in the `geo` metadata. */
export function vectorSchema({ layer, id, attributes }: VectorLayer): Schema {
  const geometry = layer.geomColumn || "geometry";
  const column = { encoding: "WKB", geometry_types: [], crs: toProjjson(layer.srs) };
  const geo = { version: "1.0.0", primary_column: geometry, columns: { [geometry]: column } };
  const types = { string: new Utf8(), integer: new Int32(), integer64: new Int64(), real: new Float64() };
  const idType = id.type === "real" ? types.integer64 : types[id.type];
  const columns = [new Field(id.name, idType, true), new Field(geometry, new Binary(), true)];
  const others = attributes.map(({ name, type }) => new Field(name, types[type], true));
  return new Schema([...columns, ...others], new Map([["geo", JSON.stringify(geo)]]));
}

/**
 * A layer's features in their order, as columns of `schema`.
 *
 * Geometries come in two dimensions, arcs as line segments (GDAL's 4 degrees), null ones as null.
 *
 * @param scratch  where a copy of a layer with arcs may be made; removed at the end.
 * @throws {PipelineError} input, naming the feature, when GDAL cannot read on.
 */
export async function* vectorBatches(
  source: VectorLayer,
  schema: Schema,
  scratch: string,
  ctx: Context,
): AsyncGenerator<RecordBatch> {
  const { dataset, layer, id, attributes } = source;
  const errors = new GdalErrors(source);
  const select = [id, ...attributes].map((column, i) => `${column.sql} AS C${i}`).join(", ");
  const sql = `SELECT ${select} FROM ${quoted(layer.name)}`;
  const selected = errors.check(() => dataset.executeSQL(sql, undefined, "OGRSQL"));
  const arcs = new LinearCopy(source, scratch);
  const total = layer.features.count(false);
  const task = ctx.progress.start("features read", total < 0 ? undefined : total);
  try {
    let feature = errors.check(() => selected.features.first() as gdal.Feature | null);
    while (feature !== null) {
      const [ids, wkbs]: [Value[], (Uint8Array | null)[]] = [[], []];
      const others: Value[][] = attributes.map(() => []);
      for (; feature !== null && ids.length < BATCH_ROWS; feature = errors.check(() => selected.features.next())) {
        const value = feature.fields.get(0) as string | number | null;
        ids.push(value === null ? null : idOf(source, value, errors.rows));
        for (const [i, { type }] of attributes.entries()) {
          const other = feature.fields.get(i + 1) as string | number | null;
          others[i]?.push(other !== null && type === "integer64" ? BigInt(other) : other);
        }
        const wkb = wkbOf(feature);
        wkbs.push(wkb === undefined ? await arcs.wkbOf(feature.fid) : wkb);
        errors.rows++;
      }
      task.update(errors.rows);
      yield toBatch(schema, ids, wkbs, others);
      // Let signals and progress have the thread.
      await new Promise((resolve) => setImmediate(resolve));
      ctx.signal.throwIfAborted();
    }
  } finally {
    task.end();
    arcs.remove();
  }
  for (const [warning, count] of errors.warnings) ctx.log.warn(`GDAL: ${warning}`, { path: source.path, count });
}

/** Formats that hold 64-bit integers as such; from text, GDAL reads a larger number as the largest. */
const BINARY_INTEGERS = ["GPKG", "SQLite", "OpenFileGDB", "FileGDB", "FlatGeobuf", "Parquet", "Arrow"];
const INT64_LIMITS = [2n ** 63n - 1n, -(2n ** 63n)];

/** @throws {PipelineError} input, naming feature and column, at a number that is not whole, or is too large. */
function idOf({ id, path, layer, dataset }: VectorLayer, value: string | number, feature: number): Value {
  try {
    if (id.type === "real") return wholeNumber(value as number, FLOAT64_END, id.name);
    if (id.type !== "integer64") return value;
    const number = BigInt(value);
    if (!INT64_LIMITS.includes(number) || BINARY_INTEGERS.includes(dataset.driver.description)) return number;
    throw new Error(`column ${id.name}: GDAL reads every number beyond ${number} as ${number}; write the ids as text`);
  } catch (cause) {
    throw asPipelineError(cause, "input", "Id column must hold whole numbers or text", {
      path,
      layer: layer.name,
      feature,
    });
  }
}

/** Undefined for a geometry that the bindings have no class for: those with arcs, TINs. */
function wkbOf(feature: gdal.Feature): Uint8Array | null | undefined {
  let geometry: gdal.Geometry | null;
  try {
    geometry = feature.getGeometry();
  } catch (error) {
    if (/unsupported geometry type/.test((error as Error).message)) return undefined;
    throw error;
  }
  if (geometry === null) return null;
  if (geometry.wkbType >= FIRST_TYPE_WITH_Z) geometry.flattenTo2D();
  return geometry.toWKB(gdal.wkbNDR);
}

/** A copy of a layer with arcs made straight, from when the first one is met. */
class LinearCopy {
  #layer: gdal.Layer | undefined;
  #dataset: gdal.Dataset | undefined;
  readonly #path: string;

  constructor(
    private readonly source: VectorLayer,
    scratch: string,
  ) {
    this.#path = `${scratch}.linear.gpkg`;
  }

  async wkbOf(fid: number): Promise<Uint8Array | null> {
    this.#layer ??= await this.#make();
    const wkb = wkbOf(this.#layer.features.get(fid));
    if (wkb !== undefined) return wkb;
    const { path, layer } = this.source;
    throw new PipelineError("input", "Unsupported geometry type", {
      path,
      layer: layer.name,
      feature: fid,
    });
  }

  async #make(): Promise<gdal.Layer> {
    const { path, source, layer } = this.source;
    // A second handle: copying would move the place at which the first one reads.
    const original = openDataset(path, source);
    try {
      const linear = ["-nlt", "CONVERT_TO_LINEAR", "-dim", "XY", "-preserve_fid"];
      const plain = ["-f", "GPKG", "-lco", "SPATIAL_INDEX=NO", "-dialect", "OGRSQL", "-nln", "linear"];
      const select = ["-sql", `SELECT FID FROM ${quoted(layer.name)}`];
      const copy = await gdal.vectorTranslateAsync(this.#path, original, [...plain, ...linear, ...select]);
      this.#dataset = copy;
      return copy.layers.get(0);
    } catch (cause) {
      throw asPipelineError(cause, "input", "Arcs cannot be made straight", { path, layer: layer.name });
    } finally {
      original.close();
    }
  }

  remove(): void {
    this.#dataset?.close();
    rmSync(this.#path, { force: true });
  }
}

/** GDAL ends a layer early, or gives a feature without its geometry, and only leaves a note of it. */
class GdalErrors {
  rows = 0;
  readonly warnings = new Map<string, number>();

  constructor(private readonly source: VectorLayer) {
    gdal.lastError = null;
  }

  check<T>(read: () => T): T {
    let [value, failure]: [T | undefined, unknown] = [undefined, undefined];
    try {
      value = read();
    } catch (error) {
      failure = error;
    }
    const note = gdal.lastError as { readonly message: string; readonly level: number } | null;
    if (note !== null) {
      gdal.lastError = null;
      if (note.level >= FAILURE) failure ??= new Error(note.message);
      else this.warnings.set(note.message, (this.warnings.get(note.message) ?? 0) + 1);
    }
    if (failure === undefined) return value as T;
    const where = { path: this.source.path, layer: this.source.layer.name, feature: this.rows };
    throw new PipelineError("input", "Vector source cannot be read further", where, { cause: failure });
  }
}

function toBatch(
  schema: Schema,
  ids: readonly Value[],
  wkbs: readonly (Uint8Array | null)[],
  others: readonly (readonly Value[])[],
): RecordBatch {
  const length = ids.length;
  const [idField, geometryField, ...fields] = schema.fields as [Field, Field, ...Field[]];
  const offsets = new Int32Array(length + 1);
  const valid = new Uint8Array(Math.ceil(length / 8));
  let nullCount = 0;
  wkbs.forEach((wkb, i) => {
    offsets[i + 1] = (offsets[i] as number) + (wkb?.length ?? 0);
    if (wkb === null) nullCount++;
    else valid[i >> 3] = (valid[i >> 3] as number) | (1 << (i & 7));
  });
  const data = new Uint8Array(offsets[length] as number);
  wkbs.forEach((wkb, i) => {
    if (wkb !== null) data.set(wkb, offsets[i]);
  });
  const dataOf = (values: readonly Value[], { type }: Field) => vectorFromArray([...values], type).data[0] as Data;
  const geometry = makeData({
    type: geometryField.type as Binary,
    length,
    nullCount,
    ...(nullCount > 0 && { nullBitmap: valid }),
    valueOffsets: offsets,
    data,
  });
  const children = [dataOf(ids, idField), geometry, ...fields.map((field, i) => dataOf(others[i] as Value[], field))];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}
