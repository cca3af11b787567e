import type { WkbColumn } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import {
  type ColumnChunk,
  type ColumnPart,
  isUnsupported,
  type PageIndex,
  type RepeatedIds,
} from "../kernel/parquet.js";
import { readFields, type SliceColumns } from "./reader.js";
import { Polygons, readWkb, STATUS } from "./wkb.js";

/** Data pages of one column chunk. */
export function findPages(task: { path: string; name: string; chunk: ColumnChunk }): PageIndex {
  return nativeKernel().parquetPages(task.path, task.name, task.chunk);
}
findPages.module = import.meta.url;

/** Repeated ids of one partition; undefined where the kernel does not read the column. */
export function findRepeatedIds(task: {
  path: string;
  name: string;
  parts: readonly ColumnPart[];
  partition: number;
  partitions: number;
}): RepeatedIds | undefined {
  try {
    return nativeKernel().repeatedIds(task.path, task.name, task.parts, task.partition, task.partitions);
  } catch (error) {
    // Said here, for an error loses its code on the way to another thread.
    if (isUnsupported(error)) return undefined;
    throw error;
  }
}
findRepeatedIds.module = import.meta.url;

/** Fields that stand for all. */
const SAMPLE = 200;

/** The first vertex of some fields of a slice that can be read: x and y in turn. */
export async function sampleVertices(task: SliceColumns): Promise<Float64Array> {
  const { column } = await readFields(task);
  const rows = column.offsets.length - 1;
  const polygons = new Polygons();
  const vertices: number[] = [];
  for (let row = 0; row < rows; row += Math.ceil(rows / SAMPLE)) {
    const wkb = column.values.subarray(column.offsets[row], column.offsets[row + 1]);
    if (readWkb(wkb, polygons) === STATUS.ok) vertices.push(polygons.x.data[0] as number, polygons.y.data[0] as number);
  }
  return Float64Array.from(vertices);
}
sampleVertices.module = import.meta.url;

/** Square meters of a slice's polygons, or of a column's, in degrees; NaN for what is no polygon. */
export async function areasOf(
  task: (SliceColumns | { readonly column: WkbColumn }) & {
    readonly semiMajor: number;
    readonly inverseFlattening: number;
  },
): Promise<Float64Array> {
  const { column } = "column" in task ? task : await readFields(task);
  return nativeKernel().areas(column, task.semiMajor, task.inverseFlattening);
}
areasOf.module = import.meta.url;
