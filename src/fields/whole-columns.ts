import { DataType, type Int } from "apache-arrow";
import { nativeKernel } from "../kernel/native.js";
import type { WholeColumn } from "../kernel/parquet.js";
import type { ParquetShape } from "../table/parquet-file.js";
import { wholeChunk } from "./field-plan.js";

/**
 * Columns for the kernel to read, a part a row group.
 *
 * @throws {Error} with code PARQUET_UNSUPPORTED, where the kernel does not read one of them.
 */
export function wholeColumns({ path, columns, rowGroups }: ParquetShape, names: readonly string[]): WholeColumn[] {
  return nativeKernel()
    .parquetColumns(path, names)
    .map((chunks, i) => {
      const name = names[i] as string;
      const column = { chunks, unsigned: isUnsigned(columns.get(name)) };
      return { path, name, parts: rowGroups.map((_, rowGroup) => wholeChunk(column, rowGroup)) };
    });
}

/** Integers without a sign. */
export function isUnsigned(type: DataType | undefined): boolean {
  return type !== undefined && DataType.isInt(type) && !(type as Int).isSigned;
}
