import { isMainThread } from "node:worker_threads";
import { type Data, type Table, Type, tableFromIPC, type Vector } from "apache-arrow";
import type { ParquetFile } from "parquet-wasm";
import type { WkbColumn } from "../kernel/geometry.js";
import { fileState, ParquetDecoder } from "../table/parquet-decoder.js";
import { openAsPlainParquet } from "../table/read-footer.js";
import type { Slice } from "./slice.js";

/** The last file opened in this worker, which reads one file slice by slice. */
let open: { readonly path: string; readonly state: string; readonly file: ParquetFile } | undefined;

/**
 * Read columns of one slice of a parquet file, as one record batch.
 *
 * @throws when the file is damaged; the message names neither file nor row, which the caller knows.
 */
export async function readSlice(path: string, slice: Slice, columns: readonly string[]): Promise<Table> {
  if (isMainThread) {
    const { rowGroup, offset, rows } = slice;
    return new ParquetDecoder(path).read({ rowGroups: [rowGroup], offset, limit: rows, columns });
  }
  const state = fileState(path);
  if (open?.path !== path || open.state !== state) {
    open?.file.free();
    open = undefined;
    // Not everyone who knows of this reads a slice, and it takes long to load.
    const { ParquetFile } = await import("parquet-wasm");
    open = { path, state, file: await ParquetFile.fromFile(await openAsPlainParquet(path)) };
  }
  const table = await open.file.read({
    rowGroups: [slice.rowGroup],
    offset: slice.offset,
    limit: slice.rows,
    columns: [...columns],
    batchSize: slice.rows,
  });
  const read = tableFromIPC(table.intoIPCStream());
  if (read.numRows !== slice.rows) throw new Error(`${slice.rows} rows were expected, ${read.numRows} came`);
  return read;
}

/** A column's single chunk. */
export function columnData(table: Table, name: string): Data {
  const vector = table.getChild(name) as Vector | null;
  if (vector === null) throw new Error(`Column ${name} is missing`);
  if (vector.data.length !== 1) throw new Error(`Column ${name} came in ${vector.data.length} pieces`);
  return vector.data[0] as Data;
}

/** A binary column as the kernel takes it; LargeBinary's 64-bit offsets are narrowed. */
export function wkbColumn(data: Data): WkbColumn {
  const { values, nullCount } = data;
  const raw = data.valueOffsets as Int32Array | BigInt64Array;
  const offsets =
    data.typeId === Type.LargeBinary
      ? Int32Array.from(raw.subarray(0, data.length + 1) as BigInt64Array, Number)
      : (raw.subarray(0, data.length + 1) as Int32Array);
  const column = { values: values as Uint8Array, offsets };
  return nullCount > 0 ? { ...column, validity: data.nullBitmap, validityOffset: data.offset & 7 } : column;
}
