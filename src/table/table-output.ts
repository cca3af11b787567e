import { openAsBlob } from "node:fs";
import { open } from "node:fs/promises";
import { extname } from "node:path";
import {
  type RecordBatch,
  RecordBatchFileReader,
  RecordBatchFileWriter,
  Schema,
  type Table,
  tableFromIPC,
} from "apache-arrow";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { type OriginOf, unknownOrigin } from "../pipeline/output-origin.js";
import { CREATED_BY } from "./created-by.js";
import { type CsvValue, CsvWriter } from "./csv.js";
import { openParquet } from "./parquet-file.js";
import { parquetOrigin } from "./parquet-origin.js";

/** Formats that a table is written in, by the extension of its file. */
const TABLE_EXTENSIONS = [".parquet", ".csv", ".arrow"] as const;
export type TableExtension = (typeof TABLE_EXTENSIONS)[number];

/** Rows that are decoded at a time. */
const PIECE_ROWS = 65_536;
/** Key of the metadata that tells an Arrow file's writer. */
const WRITER_KEY = "created_by";

/** @throws {PipelineError} usage, for any other extension. */
export function tableExtension(path: string): TableExtension {
  const extension = extname(path).toLowerCase();
  if (TABLE_EXTENSIONS.includes(extension as TableExtension)) return extension as TableExtension;
  throw new PipelineError("usage", "--out must end in .parquet, .csv or .arrow", { received: path });
}

/** Who made a table. CSV cannot say. */
export function tableOrigin(extension: TableExtension): OriginOf {
  if (extension === ".parquet") return parquetOrigin;
  return extension === ".arrow" ? arrowOrigin : unknownOrigin;
}

/**
 * Write a parquet table's rows, in their order, as CSV (lists as JSON) or as an Arrow IPC file.
 *
 * @param parquet  written by this program.
 * @throws {PipelineError} input, when it cannot be read; the system's own error when `out` cannot be written.
 */
export async function convertTable(
  parquet: string,
  out: string,
  extension: TableExtension,
  ctx: Context,
): Promise<void> {
  if (extension === ".csv") await writeCsv(parquet, out, ctx);
  else await writeArrow(parquet, out, ctx);
}

async function writeCsv(parquet: string, out: string, ctx: Context): Promise<void> {
  const { columns } = await openParquet(parquet);
  const csv = await CsvWriter.open(out, [...columns.keys()]);
  try {
    for await (const table of pieces(parquet, ctx)) {
      const vectors = table.schema.fields.map((_, i) => table.getChildAt(i));
      for (let row = 0; row < table.numRows; row++) {
        await csv.write(vectors.map((vector) => csvValue(vector?.get(row))));
      }
    }
  } finally {
    await csv.close();
  }
}

function csvValue(value: unknown): CsvValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "object") return JSON.stringify([...(value as Iterable<unknown>)]);
  return value as CsvValue;
}

async function writeArrow(parquet: string, out: string, ctx: Context): Promise<void> {
  const file = await open(out, "w");
  try {
    const writer = new RecordBatchFileWriter();
    async function* batches(): AsyncGenerator<RecordBatch> {
      for await (const { schema, batches } of pieces(parquet, ctx)) {
        const named = new Schema(schema.fields, new Map([[WRITER_KEY, CREATED_BY]]));
        for (const batch of batches) yield new (batch.constructor as typeof RecordBatch)(named, batch.data);
      }
    }
    // The writer's output is asked for while it is fed: no more than a batch waits.
    const fed = writer.writeAll(batches());
    for await (const chunk of writer) await file.appendFile(chunk);
    await fed;
  } finally {
    await file.close();
  }
}

async function* pieces(parquet: string, ctx: Context): AsyncGenerator<Table> {
  const { ParquetFile } = await import("parquet-wasm");
  const { rowGroups } = await openParquet(parquet);
  const file = await ParquetFile.fromFile(await openAsBlob(parquet));
  try {
    // A table without rows still has its schema.
    if (rowGroups.length === 0) yield tableFromIPC((await file.read({})).intoIPCStream());
    for (const [group, rows] of rowGroups.entries()) {
      for (let offset = 0; offset < rows; offset += PIECE_ROWS) {
        ctx.signal.throwIfAborted();
        const limit = Math.min(PIECE_ROWS, rows - offset);
        const table = await file.read({ rowGroups: [group], offset, limit, batchSize: limit });
        yield tableFromIPC(table.intoIPCStream());
      }
    }
  } finally {
    file.free();
  }
}

async function arrowOrigin(path: string) {
  try {
    const reader = await RecordBatchFileReader.from(await open(path, "r"));
    try {
      await reader.open();
      return reader.schema.metadata.get(WRITER_KEY) === CREATED_BY ? "ours" : "other";
    } finally {
      await reader.cancel();
    }
  } catch {
    return "unreadable";
  }
}
