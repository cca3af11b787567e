import type { Data } from "apache-arrow";
import type { ParquetShape } from "../table/parquet-file.js";
import { columnData, readSlice } from "./read-slice.js";
import { planSlices } from "./slice.js";

/** Some columns of a parquet file, slice by slice in row order. */
export async function* streamColumns(
  shape: ParquetShape,
  columns: readonly string[],
  batch: number,
): AsyncGenerator<{ firstRow: number; rows: number; data: Data[] }> {
  for (const slice of planSlices(shape, batch)) {
    const table = await readSlice(shape.path, slice, columns);
    yield { firstRow: slice.firstRow, rows: slice.rows, data: columns.map((name) => columnData(table, name)) };
  }
}
