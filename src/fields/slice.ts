import type { ParquetShape } from "../table/parquet-file.js";

/** Rows that one task reads: a piece of one row group. */
export interface Slice {
  readonly rowGroup: number;
  /** First row within the row group. */
  readonly offset: number;
  readonly rows: number;
  /** First row within the file. */
  readonly firstRow: number;
}

/**
 * A row group is read in at most this many pieces, for each piece fetches the group's
 * whole column chunk: groups of a million rows would be read sixty times over.
 */
const MAX_PIECES = 8;

/** Cut a file into slices of about `batch` rows that never cross a row group. */
export function planSlices(shape: Pick<ParquetShape, "rowGroups">, batch: number): Slice[] {
  const slices: Slice[] = [];
  let groupStart = 0;
  shape.rowGroups.forEach((groupRows, rowGroup) => {
    const pieces = Math.min(MAX_PIECES, Math.ceil(groupRows / batch));
    const step = Math.ceil(groupRows / Math.max(1, pieces));
    for (let offset = 0; offset < groupRows; offset += step) {
      slices.push({ rowGroup, offset, rows: Math.min(step, groupRows - offset), firstRow: groupStart + offset });
    }
    groupStart += groupRows;
  });
  return slices;
}
