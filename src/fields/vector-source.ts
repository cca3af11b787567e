import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join, parse, resolve, sep } from "node:path";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import { clearScratch, endScratch, openScratch } from "../pipeline/output.js";
import type { ParquetPart } from "../table/concat-parquet.js";
import { ID_NAMES } from "./fields-file.js";
import { beginning, openVector, type VectorOptions } from "./vector-layer.js";

const PARQUET_MAGIC = "PAR1";

/** One slice of the pipeline's; a field has about half a kilobyte, so a group has about 8 MiB. */
const ROW_GROUP_ROWS = 16_384;

/** How the folders of a partitioned set name a row without a value. */
const NO_VALUE = "__HIVE_DEFAULT_PARTITION__";

/**
 * Whether fields are read where they lie: a parquet file, by its first bytes and not its name.
 *
 * @throws {PipelineError} usage, for a layer of a parquet file.
 */
export function isReadInPlace(path: string, options: Pick<VectorOptions, "layer">): boolean {
  if (beginning(path, PARQUET_MAGIC.length) !== PARQUET_MAGIC) return false;
  if (options.layer !== undefined) throw new PipelineError("usage", "--layer is for other sources than parquet");
  return true;
}

/**
 * Do something with a parquet of the fields in `path`: that file itself, or, where it is none, a copy of them made in
 * scratch beside `target` and removed afterwards. To be called by who holds the lock of `target`.
 *
 * @throws {PipelineError} usage, for a layer of a parquet file; input, as importFields.
 */
export async function withFieldsParquet<T>(
  path: string,
  options: VectorOptions,
  target: string,
  ctx: Context,
  use: (parquet: string) => Promise<T>,
): Promise<T> {
  const beside = `${target}.fields`;
  // What a killed run left.
  clearScratch(beside);
  if (isReadInPlace(path, options)) return use(path);
  const scratch = openScratch(beside);
  try {
    const files = new InputFiles(...filesOf(path));
    // Errors name this file, so its name tells of the source.
    const out = join(scratch.path, `${basename(path)}.parquet`);
    await importFields(path, options, out, ctx);
    files.requireUnchanged();
    return await use(out);
  } finally {
    endScratch(scratch, false, ctx);
  }
}

/**
 * Copy fields into one parquet file: the parquet files in a folder or in a list with commas between them, one behind
 * the other; else as importVector.
 *
 * @throws {PipelineError} input: as importVector and concatParquet.
 */
export async function importFields(path: string, options: VectorOptions, out: string, ctx: Context): Promise<void> {
  const parts = parquetParts(path);
  if (parts.length === 0) {
    await importVector(path, options, out, ctx);
    return;
  }
  if (options.layer !== undefined) throw new PipelineError("usage", "--layer is for other sources than parquet");
  const { concatParquet } = await import("../table/concat-parquet.js");
  const rows = await concatParquet(parts, out, ctx.signal);
  ctx.log.info(`${rows} fields of ${parts.length} files put together`, { path });
}

/** The parquet files of a folder or list, in the order of their names; none where `path` is something else. */
function parquetParts(path: string): ParquetPart[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder) {
    return (readdirSync(path, { recursive: true }) as string[])
      .filter((name) => /\.(parquet|parq|pq|geoparquet)$/i.test(name) && !/(^|\/)[._]/.test(name))
      .sort()
      .map((name) => ({ path: join(path, name), partition: partitionOf(name) }));
  }
  const listed = path.split(",").map((part) => resolve(part));
  const isList = listed.length > 1 && listed.every((part) => beginning(part, PARQUET_MAGIC.length) === PARQUET_MAGIC);
  return isList ? listed.map((part) => ({ path: part, partition: new Map() })) : [];
}

/** `{state: "IA"}` of `state=IA/part-0.parquet`. */
function partitionOf(name: string): Map<string, string | null> {
  const pairs = dirname(name)
    .split(sep)
    .flatMap((folder): [string, string | null][] => {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(folder) ?? [];
      if (key === undefined || value === undefined) return [];
      return [[decodeURIComponent(key), value === NO_VALUE ? null : decodeURIComponent(value)]];
    });
  return new Map(pairs);
}

/** The files of a source: those of a folder or list, or those of its name (.shp, .dbf, .shx ...). */
export function filesOf(path: string): string[] {
  const parts = parquetParts(path);
  if (parts.length > 0) return parts.map((part) => part.path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.isDirectory()) return readdirSync(path).map((name) => join(path, name));
  const { name, base } = parse(path);
  const isOfIt = (other: string) => other === base || (parse(other).name === name && SIDE_FILES.test(other));
  return readdirSync(dirname(path))
    .filter(isOfIt)
    .map((other) => join(dirname(path), other));
}

/** Of shapefiles and MapInfo tables. */
const SIDE_FILES = /\.(shp|shx|dbf|prj|cpg|qpj|dat|map|id|ind|tab|mif|mid)$/i;

/**
 * Copy a layer of polygons into a GeoParquet that holds ids and WKB, feature by feature; with `attributes`, its other
 * columns too.
 *
 * Any format that GDAL reads will do, zipped too. Rows are features in the source's order, none left out; the
 * id is `--id-column`, else one of the usual names, else the feature id. The same source gives the same bytes.
 *
 * @param path  a file or a folder (.gdb), or a path of GDAL's own beginning with /vsi.
 * @param out   made new, or overwritten; after an error it holds a part of a file.
 * @returns `out`.
 * @throws {PipelineError} input: no such file, layer or id column, an unreadable feature.
 */
export async function importVector(path: string, options: VectorOptions, out: string, ctx: Context): Promise<string> {
  // Only other sources than parquet need them, and they take long to load.
  const { vectorBatches, vectorSchema } = await import("./vector-features.js");
  const { writeParquet } = await import("../table/parquet-writer.js");
  const source = openVector(path, options);
  const { dataset, layer, id } = source;
  try {
    if (id.isFeatureNumber && options.idColumn === undefined) {
      const columns = layer.fields.map(({ name }) => name).join(" ");
      ctx.log.warn(`no column of ids (${ID_NAMES.join(", ")}): the features' numbers are the ids`, { path, columns });
    }
    const began = performance.now();
    const schema = vectorSchema(source);
    const { rows } = await writeParquet(out, schema, vectorBatches(source, schema, out, ctx), {
      rowGroupRows: ROW_GROUP_ROWS,
    });
    const rate = Math.round((1000 * rows) / (performance.now() - began));
    ctx.log.info(`${rows} features read (${rate} a second)`, { path, layer: layer.name, id: id.name });
    return out;
  } finally {
    dataset.close();
  }
}
