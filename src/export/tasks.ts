import { readFields, type SliceColumns } from "../fields/reader.js";
import { Polygons, readWkb, STATUS, writeWkb } from "../fields/wkb.js";
import type { IdColumn } from "../kernel/parquet.js";
import { transfer } from "../parallel/transfer.js";

/** Polygons of a slice as multipolygons in two dimensions; empty where a row has none that can be read. */
export interface ExportedSlice {
  readonly values: Uint8Array;
  /** n + 1 offsets into `values`. */
  readonly offsets: Uint32Array;
  readonly ids: IdColumn;
}

export async function polygonSlice(task: SliceColumns): Promise<ExportedSlice> {
  const { column, idColumn } = await readFields(task);
  const rows = column.offsets.length - 1;
  const polygons = new Polygons();
  const offsets = new Uint32Array(rows + 1);
  const parts: Uint8Array[] = [];
  for (let row = 0; row < rows; row++) {
    const part = wkbOf(column, row, polygons);
    parts.push(part);
    offsets[row + 1] = (offsets[row] as number) + part.length;
  }
  const values = new Uint8Array(offsets[rows] as number);
  parts.forEach((part, row) => {
    values.set(part, offsets[row]);
  });
  return transfer({ values, offsets, ids: idColumn }, [values, offsets]);
}
polygonSlice.module = import.meta.url;

const NONE = new Uint8Array(0);

type Column = Awaited<ReturnType<typeof readFields>>["column"];

function wkbOf({ values, offsets, validity, validityOffset = 0 }: Column, row: number, polygons: Polygons): Uint8Array {
  const bit = validityOffset + row;
  if (validity !== undefined && (((validity[bit >> 3] as number) >> (bit & 7)) & 1) === 0) return NONE;
  const status = readWkb(values.subarray(offsets[row], offsets[row + 1]), polygons);
  return status === STATUS.ok ? writeWkb(polygons).wkb : NONE;
}
