import type { DataType } from "apache-arrow";
import { PipelineError } from "../pipeline/errors.js";
import { addColumns, canAdd } from "../table/add-columns.js";
import { openParquet, type ParquetShape } from "../table/parquet-file.js";
import { widened, widenedType } from "./half-floats.js";
import { streamColumns } from "./stream-column.js";

/** Column names of `--include`, with commas between. */
export function includedNames(include: string | undefined): string[] {
  return include === undefined ? [] : include.split(",").map((name) => name.trim());
}

/** @throws {PipelineError} input: a column that is not there, or of no type that can be carried along. */
export function checkIncluded(fields: ParquetShape, names: readonly string[]): void {
  for (const name of names) {
    const type = fields.columns.get(name);
    if (type === undefined) {
      throw new PipelineError("input", "--include: the fields have no such column", {
        path: fields.path,
        expected: name,
        received: [...fields.columns.keys()].join(" "),
      });
    }
    if (canAdd(type)) continue;
    throw new PipelineError("input", "--include supports only columns of numbers and text", {
      path: fields.path,
      column: name,
      received: String(type),
    });
  }
}

/**
 * Carry columns of the fields into a table that has a row for each of them, in their order.
 *
 * @throws {PipelineError} as checkIncluded; usage, where the table has a column of that name already.
 */
export async function includeColumns(
  table: string,
  fields: ParquetShape,
  names: readonly string[],
  batch: number,
  signal: AbortSignal,
): Promise<void> {
  if (names.length === 0) return;
  checkIncluded(fields, names);
  const { columns } = await openParquet(table);
  const taken = names.find((name, i) => columns.has(name) || names.indexOf(name) < i);
  if (taken !== undefined) {
    throw new PipelineError("usage", "--include: the table already has a column of this name", { column: taken });
  }
  async function* rows() {
    for await (const { data } of streamColumns(fields, names, batch)) {
      signal.throwIfAborted();
      yield data.map((column) => widened(column));
    }
  }
  const added = names.map((name) => ({
    name,
    type: widenedType(fields.columns.get(name) as DataType),
  }));
  await addColumns(table, added, rows());
}
