import { type FileHandle, open } from "node:fs/promises";
import { type RecordBatch, RecordBatchStreamWriter, Schema } from "apache-arrow";
import {
  Compression,
  Encoding,
  transformParquetStream,
  type RecordBatch as WasmBatch,
  Table as WasmTable,
  type WriterProperties,
  WriterPropertiesBuilder,
} from "parquet-wasm";
import { CREATED_BY } from "./created-by.js";
import { emptyBatch, toRowGroups } from "./row-groups.js";

export interface ParquetOptions {
  /** Rows of every row group but the last. One group is held in memory at a time, raw and encoded. */
  readonly rowGroupRows: number;
  /** Default zstd (level 1). */
  readonly compression?: "zstd" | "snappy" | "none";
  /** Columns of few different values, to be dictionary encoded; the others are plain. Columns of lists always are. */
  readonly dictionary?: readonly string[];
  /** Integer columns that rise from row to row (ids), to be written as differences. */
  readonly delta?: readonly string[];
  /** Several metadata keys are allowed; their order, and so the file's bytes, differ from run to run. */
  readonly anyMetadataOrder?: boolean;
  /** Default CREATED_BY. */
  readonly createdBy?: string;
}

export interface ParquetSize {
  readonly rows: number;
  readonly rowGroups: number;
  readonly bytes: number;
}

const MAGIC = "PAR1";
const CODECS = { zstd: Compression.ZSTD, snappy: Compression.SNAPPY, none: Compression.UNCOMPRESSED } as const;

/**
 * Write record batches to a parquet file, as they come.
 *
 * The bytes depend on rows, schema and options alone, not on how the rows are cut
 * into batches. The schema's metadata become the file's key-value metadata (`geo`
 * of GeoParquet); one key at most, as the encoder puts several in no fixed order. Memory holds one row group. A file of no rows is a valid file.
 *
 * Nothing is synced to disk: that is the caller's act, like the rename.
 *
 * @param path     made new, or overwritten; after an error it holds a part of a file.
 * @param batches  columns as in `schema`: integers, floats, booleans, strings, binary, lists of these.
 * @throws whatever `batches` throws, or the file system (ENOSPC keeps its code).
 */
export async function writeParquet(
  path: string,
  schema: Schema,
  batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>,
  options: ParquetOptions,
): Promise<ParquetSize> {
  if (schema.metadata.size > 1 && options.anyMetadataOrder !== true) {
    throw new Error(`At most one metadata key is possible, not ${[...schema.metadata.keys()].join(", ")}`);
  }
  const bare = new Schema(schema.fields);
  const source = new RowGroupSource(bare, toRowGroups(bare, batches, options.rowGroupRows));
  const file = await open(path, "w");
  try {
    const bytes = await encode(source, writerProperties(schema, options), file);
    return { rows: source.rows, rowGroups: source.rowGroups, bytes };
  } catch (error) {
    throw source.error ?? error;
  } finally {
    await source.close();
    await file.close();
  }
}

/** Row groups on their way into the encoder. */
class RowGroupSource {
  rows = 0;
  rowGroups = 0;
  /** The encoder takes a source's error for its end and says no word of it, so it is kept here. */
  error: unknown;
  done = false;

  constructor(
    private readonly schema: Schema,
    private readonly groups: AsyncGenerator<RecordBatch>,
  ) {}

  stream(): ReadableStream<WasmBatch> {
    return new ReadableStream(
      {
        pull: async (controller) => {
          try {
            const next = await this.groups.next();
            if (!next.done) {
              this.rows += next.value.numRows;
              this.rowGroups++;
              controller.enqueue(toWasm(next.value));
              return;
            }
            // The encoder learns the schema from the first batch.
            if (this.rowGroups === 0 && !this.done) controller.enqueue(toWasm(emptyBatch(this.schema)));
            else controller.close();
            this.done = true;
          } catch (error) {
            this.error = error;
            controller.error(error);
          }
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Let the producer of the batches end, also when writing failed. */
  async close(): Promise<void> {
    await this.groups.return(undefined);
  }
}

async function encode(source: RowGroupSource, properties: WriterProperties, file: FileHandle): Promise<number> {
  const encoded: ReadableStream<Uint8Array> = await transformParquetStream(source.stream(), properties);
  let bytes = 0;
  let last = "";
  for await (const chunk of encoded) {
    for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
    bytes += chunk.length;
    last = (last + Buffer.from(chunk.subarray(-MAGIC.length)).toString("latin1")).slice(-MAGIC.length);
  }
  if (!source.done || last !== MAGIC) {
    throw new Error(`The parquet encoder stopped after ${source.rows} rows, without a footer`);
  }
  return bytes;
}

function toWasm(batch: RecordBatch): WasmBatch {
  const table = WasmTable.fromIPCStream(RecordBatchStreamWriter.writeAll([batch]).toUint8Array(true));
  try {
    const wasm = table.recordBatch(0);
    if (wasm === undefined) throw new Error("A batch was lost on its way into the parquet encoder");
    return wasm;
  } finally {
    // The batch holds the memory now; an unfreed table would hold every batch's until the end.
    table.free();
  }
}

function writerProperties(schema: Schema, options: ParquetOptions): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(CODECS[options.compression ?? "zstd"])
    .setMaxRowGroupSize(options.rowGroupRows)
    .setKeyValueMetadata(schema.metadata)
    .setCreatedBy(options.createdBy ?? CREATED_BY);
  for (const { name } of schema.fields) {
    builder = builder.setColumnDictionaryEnabled(name, options.dictionary?.includes(name) ?? false);
  }
  for (const name of options.delta ?? []) builder = builder.setColumnEncoding(name, Encoding.DELTA_BINARY_PACKED);
  return builder.build();
}
