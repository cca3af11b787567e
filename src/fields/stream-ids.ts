import type { Data } from "apache-arrow";
import { nativeKernel } from "../kernel/native.js";
import { isUnsupported } from "../kernel/parquet.js";
import { columnIds, type FieldId } from "./field-id.js";
import { hasKernelIds } from "./field-plan.js";
import type { FieldsFile } from "./fields-file.js";
import { idReader } from "./ids.js";
import { streamColumns } from "./stream-column.js";
import { wholeColumns } from "./whole-columns.js";

/** Ids of rows that follow one another. */
export interface StreamedIds {
  readonly firstRow: number;
  readonly rows: number;
  /** By row from the first; null where it has none. */
  readonly id: (row: number) => FieldId | null;
}

/**
 * A file's ids in row order: by the kernel, a row group at a time; what it does not read, by way of parquet-wasm and
 * Arrow.
 *
 * @throws {Error} naming column and page, where the file is damaged.
 */
export async function* streamIds(fields: FieldsFile, batch: number): AsyncGenerator<StreamedIds> {
  let done = 0;
  if (hasKernelIds(fields.columns.get(fields.idColumn))) {
    try {
      for (const part of wholeColumns(fields, [fields.idColumn])[0]?.parts ?? []) {
        const id = columnIds(nativeKernel().readIds(fields.path, fields.idColumn, part).idColumn);
        yield { firstRow: done, rows: part.rows, id };
        done += part.rows;
      }
      return;
    } catch (cause) {
      if (!isUnsupported(cause)) throw cause;
    }
  }
  for await (const { firstRow, rows, data } of streamColumns(fields, [fields.idColumn], batch)) {
    if (firstRow >= done) yield { firstRow, rows, id: idReader(data[0] as Data, fields.idColumn) };
  }
}
