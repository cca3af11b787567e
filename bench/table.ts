import { columnData, readSlice } from "../dist/fields/read-slice.js";
import { planSlices } from "../dist/fields/slice.js";
import { openParquet } from "../dist/table/parquet-file.js";

const BATCH = 65_536;

/** One row of a zonal table. */
export interface Row {
  /** Undefined where the field has none. */
  readonly code: number | undefined;
  readonly pixels: number;
  readonly valid: number;
  readonly second: number | undefined;
  readonly secondPixels: number;
}

/** Some rows of a zonal table; `rows` ascend. */
export async function readRows(path: string, rows: readonly number[]): Promise<Row[]> {
  const names = ["crop_code", "crop_pixels", "valid_pixels", "second_code", "second_pixels"];
  const found: Row[] = [];
  let at = 0;
  for (const slice of planSlices(await openParquet(path), BATCH)) {
    const end = slice.firstRow + slice.rows;
    if (at >= rows.length || (rows[at] as number) >= end) continue;
    const table = await readSlice(path, slice, names);
    const columns = names.map((name) => columnData(table, name));
    for (; at < rows.length && (rows[at] as number) < end; at++) {
      const i = (rows[at] as number) - slice.firstRow;
      const [code, pixels, valid, second, secondPixels] = columns.map((column) =>
        column.getValid(i) ? (column.values as ArrayLike<number>)[i] : undefined,
      );
      found.push({ code, pixels: pixels ?? 0, valid: valid ?? 0, second, secondPixels: secondPixels ?? 0 });
    }
  }
  return found;
}
