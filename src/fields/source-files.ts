import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { dirname, join, parse, resolve, sep } from "node:path";
import { PipelineError } from "../pipeline/errors.js";
import type { ParquetPart } from "../table/concat-parquet.js";

const PARQUET_MAGIC = "PAR1";

/** How the folders of a partitioned set name a row without a value. */
const NO_VALUE = "__HIVE_DEFAULT_PARTITION__";

/**
 * Whether fields are read where they lie: a parquet file, by its first bytes and not its name.
 *
 * @throws {PipelineError} usage, for a layer of a parquet file.
 */
export function isReadInPlace(path: string, options: { readonly layer?: string | undefined }): boolean {
  if (beginning(path, PARQUET_MAGIC.length) !== PARQUET_MAGIC) return false;
  if (options.layer !== undefined) throw new PipelineError("usage", "--layer does not apply to parquet files");
  return true;
}

/** The parquet files of a folder or list, in the order of their names; none where `path` is something else. */
export function parquetParts(path: string): ParquetPart[] {
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

/** Parts of shapefiles and MapInfo tables. */
const SIDE_FILES = /\.(shp|shx|dbf|prj|cpg|qpj|dat|map|id|ind|tab|mif|mid)$/i;

/** The first bytes of a file as text; empty for what is no file. */
export function beginning(path: string, length: number): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return "";
  const fd = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.toString("latin1", 0, readSync(fd, bytes, 0, length, 0));
  } finally {
    closeSync(fd);
  }
}
