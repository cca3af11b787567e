// DuckDB: a reader and writer of parquet that the project did not write.
import { DuckDBInstance } from "@duckdb/node-api";

/** Rows of a query, as objects; integers beyond 53 bits as bigints. */
export async function query(sql) {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const result = await connection.runAndReadAll(sql);
    return result.getRowObjectsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * Write a parquet file of fields: rows of {id, wkb}, where wkb is a Buffer or null.
 * There is no geo metadata; `idType` is DuckDB's type of field_id.
 */
export async function writeFields(path, rows, { idType = "BIGINT", idName = "field_id", rowGroup = 2048 } = {}) {
  const values = rows.map(
    ({ id, wkb }) => `(${sqlText(id)}::${idType}, ${wkb === null ? "NULL" : `unhex('${wkb.toString("hex")}')`})`,
  );
  const source = rows.length === 0 ? `select 1::${idType} a, ''::blob b where false` : `values ${values.join(",")}`;
  await query(
    `copy (select a as ${idName}, b as geometry from (${source}) t(a, b)) to '${path}' (format parquet, row_group_size ${rowGroup})`,
  );
}

function sqlText(id) {
  return typeof id === "string" ? `'${id.replaceAll("'", "''")}'` : String(id);
}
