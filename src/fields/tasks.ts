import { nativeKernel } from "../kernel/native.js";
import {
  type ColumnChunk,
  type ColumnPart,
  isUnsupported,
  type PageIndex,
  type RepeatedIds,
} from "../kernel/parquet.js";

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
