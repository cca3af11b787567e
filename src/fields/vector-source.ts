import { basename, join } from "node:path";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import { clearScratch, endScratch, openScratch } from "../pipeline/output.js";
import { ID_NAMES } from "./fields-file.js";
import { filesOf, isReadInPlace, parquetParts } from "./source-files.js";
import { openVector, type VectorOptions } from "./vector-layer.js";

/** One slice of the pipeline's; a field has about half a kilobyte, so a group has about 8 MiB. */
const ROW_GROUP_ROWS = 16_384;

/**
 * Call `use` with a parquet file of the fields in `path`: that file, or, for other formats, a copy made in
 * scratch next to `target` and removed afterwards. The caller holds the lock of `target`.
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
  if (options.layer !== undefined) throw new PipelineError("usage", "--layer does not apply to parquet files");
  const { concatParquet } = await import("../table/concat-parquet.js");
  const rows = await concatParquet(parts, out, ctx.signal);
  ctx.log.info(`${rows} fields of ${parts.length} files put together`, { path });
}

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
