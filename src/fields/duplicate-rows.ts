import { DataType } from "apache-arrow";
import type { ColumnPart, RepeatedIds } from "../kernel/parquet.js";
import type { Pool } from "../parallel/pool.js";
import { asPipelineError } from "../pipeline/errors.js";
import { type FieldId, hash64 } from "./field-id.js";
import type { FieldsFile } from "./fields-file.js";
import { idReader } from "./ids.js";
import { columnData, readSlice } from "./read-slice.js";
import { idsOfRows } from "./row-ids.js";
import { planSlices } from "./slice.js";
import { findRepeatedIds } from "./tasks.js";

/** Ids that a worker holds against each other at a time at most, 8 bytes each ... */
const PARTITION_ROWS = 2 ** 20;
/** ... and as many at least, for each worker reads all ids. */
const MIN_ROWS = 2 ** 15;

/**
 * Rows whose id stood in an earlier row, and rows without an id, ascending.
 *
 * Only needed when ids do not simply rise.
 *
 * @param chunks  the id column, where the kernel reads it: then workers do, each a part of the ids. Without, the
 *                main thread does, in 16 bytes a row.
 */
export async function duplicateRows(
  fields: FieldsFile,
  chunks: readonly ColumnPart[] | undefined,
  batch: number,
  pool: Pool,
): Promise<Uint32Array> {
  if (chunks === undefined) return duplicatesByArrow(fields, batch);
  const shared = Math.min(pool.threads, Math.ceil(fields.rows / MIN_ROWS));
  const partitions = Math.max(shared, Math.ceil(fields.rows / PARTITION_ROWS));
  const tasks = Array.from({ length: partitions }, (_, partition) =>
    pool.run(findRepeatedIds, { path: fields.path, name: fields.idColumn, parts: chunks, partition, partitions }),
  );
  try {
    const found = (await Promise.all(tasks)).flatMap((ids) => ids ?? []);
    if (found.length < partitions) return await duplicatesByArrow(fields, batch);
    const repeated = await Promise.all(found.map((ids) => confirmed(fields, ids, batch)));
    return Uint32Array.from([...repeated.flat(), ...found.flatMap(({ nulls }) => [...nulls])]).sort();
  } catch (cause) {
    throw asPipelineError(cause, "input", "Ids cannot be read", { path: fields.path });
  } finally {
    await Promise.allSettled(tasks);
  }
}

/** Without strings that only share a hash. */
async function confirmed(fields: FieldsFile, { rows, first }: RepeatedIds, batch: number): Promise<number[]> {
  if (rows.length === 0 || !isText(fields)) return [...rows];
  const unique = [...new Set([...first, ...rows])].sort((a, b) => a - b);
  const ids = await idsOfRows(fields, unique, batch);
  const idOf = new Map(unique.map((row, i) => [row, ids[i] as FieldId]));
  const seen = new Map<number, Set<FieldId>>();
  return [...rows].filter((row, i) => {
    const before = first[i] as number;
    const ids = seen.get(before) ?? new Set([idOf.get(before) as FieldId]);
    seen.set(before, ids);
    const id = idOf.get(row) as FieldId;
    return ids.has(id) || !ids.add(id);
  });
}

function isText({ idType }: FieldsFile): boolean {
  return DataType.isUtf8(idType) || DataType.isLargeUtf8(idType);
}

async function duplicatesByArrow(fields: FieldsFile, batch: number): Promise<Uint32Array> {
  const hashes = new BigUint64Array(fields.rows);
  let nulls = 0;
  for (const slice of planSlices(fields, batch)) {
    const data = columnData(await readSlice(fields.path, slice, [fields.idColumn]), fields.idColumn);
    const id = idReader(data, fields.idColumn);
    for (let i = 0; i < slice.rows; i++) {
      const value = id(i);
      if (value === null) nulls++;
      hashes[slice.firstRow + i] = hash64(value ?? 0n);
    }
  }
  const sorted = hashes.slice().sort();
  const repeated = new Set<bigint>();
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1]) repeated.add(sorted[i] as bigint);
  }
  if (repeated.size === 0 && nulls === 0) return new Uint32Array(0);
  // Hashes only say where to look: two different ids may share one.
  const seen = new Set<FieldId>();
  const rows: number[] = [];
  for (const slice of planSlices(fields, batch)) {
    const data = columnData(await readSlice(fields.path, slice, [fields.idColumn]), fields.idColumn);
    const id = idReader(data, fields.idColumn);
    for (let i = 0; i < slice.rows; i++) {
      const row = slice.firstRow + i;
      const value = id(i);
      if (value === null) rows.push(row);
      else if (repeated.has(hashes[row] as bigint)) {
        if (seen.has(value)) rows.push(row);
        seen.add(value);
      }
    }
  }
  return Uint32Array.from(rows);
}
