// Parquet of fields as different writers leave it: DuckDB's and parquet-rs' (parquet-wasm).
import { writeFileSync } from "node:fs";
import { Binary, Int32, Int64, Table, tableToIPC, Uint32, Uint64, Utf8, vectorFromArray } from "apache-arrow";
import {
  Compression,
  Encoding,
  Table as WasmTable,
  WriterPropertiesBuilder,
  WriterVersion,
  writeParquet,
} from "parquet-wasm";
import { query } from "./duck.mjs";

export const ID_TYPES = { int64: Int64, int32: Int32, uint64: Uint64, uint32: Uint32, utf8: Utf8 };

/** Rows of {id, wkb}, either null, by parquet-rs. */
export function writeByRust(path, rows, { idType = "int64", codec = "SNAPPY", encodings = {}, v2, ...other } = {}) {
  const table = new Table({
    field_id: vectorFromArray(
      rows.map(({ id }) => id),
      new ID_TYPES[idType](),
    ),
    geometry: vectorFromArray(
      rows.map(({ wkb }) => wkb),
      new Binary(),
    ),
  });
  let builder = new WriterPropertiesBuilder()
    .setCompression(Compression[codec])
    .setWriterVersion(v2 ? WriterVersion.V2 : WriterVersion.V1)
    .setDictionaryEnabled(other.dictionary ?? false)
    .setDataPageSizeLimit(other.pageBytes ?? 2 ** 20)
    .setMaxRowGroupSize(other.rowGroup ?? 2 ** 20)
    .setWriteBatchSize(64);
  for (const [column, encoding] of Object.entries(encodings)) {
    builder = builder.setColumnEncoding(column, Encoding[encoding]);
  }
  writeFileSync(path, writeParquet(WasmTable.fromIPCStream(tableToIPC(table, "stream")), builder.build()));
}

/** The same rows, which lie in the parquet file `from`, by DuckDB; `options` as in its COPY. */
export async function writeByDuck(from, path, options, idType = "BIGINT") {
  await query(
    `copy (select field_id::${idType} as field_id, geometry from read_parquet('${from}')) to '${path}' (format parquet, ${options})`,
  );
}
