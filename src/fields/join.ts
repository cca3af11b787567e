import { type Data, DataType, type Decimal, Precision, Type } from "apache-arrow";
import type { Options } from "../config/options.js";
import { nativeKernel } from "../kernel/native.js";
import { isUnsupported, type WholeColumn } from "../kernel/parquet.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import type { ParquetShape } from "../table/parquet-file.js";
import type { FieldId } from "./field-id.js";
import { hasKernelIds } from "./field-plan.js";
import type { FieldsFile } from "./fields-file.js";
import { widened } from "./half-floats.js";
import { IdTable } from "./id-table.js";
import { decimalDigits, idReader, idTypeOf } from "./ids.js";
import { streamColumns } from "./stream-column.js";
import { isUnsigned, wholeColumns } from "./whole-columns.js";

/** A table with a row per field. */
export type IdRows = ParquetShape & Pick<FieldsFile, "idColumn" | "idType">;

/** A value per row of the fields, taken from another table by field id. */
export interface Joined {
  /** Shared; NaN where the table has no such id or no value. */
  readonly values: Float32Array | Float64Array;
  /** Fields that the table does not know. */
  readonly missing: Unmatched;
  /** Rows of the table that no field takes. */
  readonly extra: Unmatched;
}

export interface Unmatched {
  readonly rows: number;
  /** The first few, for the report. */
  readonly ids: readonly (FieldId | null)[];
}

const FIRST_IDS = 10;

/**
 * Take one numeric column of `table` for every field.
 *
 * Both files are read in step while their ids agree row by row, as they do when they come
 * of one source; where they part, the rest goes through a table of ids (28 bytes a row).
 *
 * @param make  the array to fill, over shared memory: workers read it in place.
 * @throws {PipelineError} input: ids of different types, a column that is not numeric, a damaged file.
 */
export async function joinColumn(
  fields: IdRows,
  table: ParquetShape,
  idColumn: string,
  valueColumn: string,
  make: "float32" | "float64",
  { batch }: Pick<Options, "batch">,
  ctx: Context,
): Promise<Joined> {
  const bytes = make === "float32" ? 4 : 8;
  const shared = new SharedArrayBuffer(fields.rows * bytes);
  const values = make === "float32" ? new Float32Array(shared) : new Float64Array(shared);
  values.fill(Number.NaN);
  checkIdTypes(fields, table, idColumn);
  try {
    if (
      fields.rows === table.rows &&
      (fillByKernel(fields, table, idColumn, valueColumn, values, ctx) ??
        (await fillInStep(fields, table, idColumn, valueColumn, values, batch, ctx)))
    ) {
      return { values, missing: { rows: 0, ids: [] }, extra: { rows: 0, ids: [] } };
    }
    return { values, ...(await fillById(fields, table, idColumn, valueColumn, values.fill(Number.NaN), batch, ctx)) };
  } catch (cause) {
    throw asPipelineError(cause, "input", "Tables cannot be joined", {
      fields: fields.path,
      table: table.path,
      column: valueColumn,
    });
  }
}

/** Integers of any width agree with each other, and so do strings; one with the other never. */
function checkIdTypes(fields: IdRows, table: ParquetShape, idColumn: string): void {
  const received = table.columns.get(idColumn);
  const ids = received && idTypeOf(received);
  if (ids !== undefined && isInteger(ids) === isInteger(fields.idType)) return;
  throw new PipelineError("input", "Id type differs from that of the fields", {
    path: table.path,
    column: idColumn,
    expected: String(fields.idType),
    received: String(received),
  });
}

function isInteger(type: DataType): boolean {
  return type.typeId === Type.Int;
}

/** As below, without Arrow; undefined for files and columns that the kernel does not read. */
function fillByKernel(
  fields: IdRows,
  table: ParquetShape,
  idColumn: string,
  valueColumn: string,
  values: Float32Array | Float64Array,
  ctx: Context,
): boolean | undefined {
  const type = table.columns.get(valueColumn);
  if (type === undefined || isUnsigned(type) || !(isInteger(type) || isDouble(type))) return undefined;
  if (![fields.columns.get(fields.idColumn), table.columns.get(idColumn)].every(hasKernelIds)) return undefined;
  // Of 64 bits, the kernel looks at the bits alone.
  if (isUnsigned(fields.idType) !== isUnsigned(table.columns.get(idColumn))) return undefined;
  try {
    const [left] = wholeColumns(fields, [fields.idColumn]);
    const [ids, numbers] = wholeColumns(table, [idColumn, valueColumn]);
    const all = [left, ids, numbers] as [WholeColumn, WholeColumn, WholeColumn];
    return nativeKernel().joinInStep(...all, values);
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    ctx.log.debug(`read through parquet-wasm: ${(cause as Error).message}`, { path: table.path });
    return undefined;
  }
}

function isDouble(type: DataType): boolean {
  return DataType.isFloat(type) && type.precision === Precision.DOUBLE;
}

/** False as soon as an id differs. */
async function fillInStep(
  fields: IdRows,
  table: ParquetShape,
  idColumn: string,
  valueColumn: string,
  values: Float32Array | Float64Array,
  batch: number,
  ctx: Context,
): Promise<boolean> {
  const left = rowsOf(streamColumns(fields, [fields.idColumn], batch), fields.idColumn);
  const right = rowsOf(streamColumns(table, [idColumn, valueColumn], batch), idColumn);
  let row = 0;
  try {
    let [a, b] = [await left.next(), await right.next()];
    while (!a.done && !b.done) {
      ctx.signal.throwIfAborted();
      const [p, q] = [a.value, b.value];
      const n = Math.min(p.left, q.left);
      for (let i = 0; i < n; i++) {
        if (p.id(p.at + i) !== q.id(q.at + i)) return false;
        values[row + i] = q.value(q.at + i);
      }
      row += n;
      p.at += n;
      q.at += n;
      p.left -= n;
      q.left -= n;
      if (p.left === 0) a = await left.next();
      if (q.left === 0) b = await right.next();
    }
    return true;
  } finally {
    await left.return(undefined);
    await right.return(undefined);
  }
}

interface Rows {
  at: number;
  left: number;
  readonly id: (row: number) => FieldId | null;
  readonly value: (row: number) => number;
}

async function* rowsOf(source: AsyncIterable<{ rows: number; data: Data[] }>, idColumn: string): AsyncGenerator<Rows> {
  for await (const { rows, data } of source) {
    const [ids, numbers] = data;
    const value = numbers ? numberReader(numbers) : () => Number.NaN;
    yield { at: 0, left: rows, id: idReader(ids as Data, idColumn), value };
  }
}

async function fillById(
  fields: IdRows,
  table: ParquetShape,
  idColumn: string,
  valueColumn: string,
  values: Float32Array | Float64Array,
  batch: number,
  ctx: Context,
): Promise<Pick<Joined, "missing" | "extra">> {
  ctx.log.warn("row order differs; joined by id", { table: table.path });
  const ids = new IdTable(table.rows);
  const numbers = new Float64Array(table.rows);
  const used = new Uint8Array(table.rows);
  /** Rows whose id stood in an earlier row, each followed by that row. */
  const repeats: number[] = [];
  for await (const { firstRow, rows, data } of streamColumns(table, [idColumn, valueColumn], batch)) {
    const [id, value] = [idReader(data[0] as Data, idColumn), numberReader(data[1] as Data)];
    for (let i = 0; i < rows; i++) {
      const [key, row] = [id(i), firstRow + i];
      numbers[row] = value(i);
      if (key === null) continue;
      const first = ids.add(key, row);
      if (first !== row) repeats.push(row, first);
    }
  }
  const missing = { rows: 0, ids: [] as (FieldId | null)[] };
  for await (const { firstRow, rows, data } of streamColumns(fields, [fields.idColumn], batch)) {
    const id = idReader(data[0] as Data, fields.idColumn);
    for (let i = 0; i < rows; i++) {
      const key = id(i);
      const row = key === null ? -1 : ids.rowOf(key);
      if (row >= 0) {
        values[firstRow + i] = numbers[row] as number;
        used[row] = 1;
      } else {
        missing.rows++;
        if (missing.ids.length < FIRST_IDS) missing.ids.push(key);
      }
    }
  }
  // A repeated row is not extra where a field has its id.
  for (let k = 0; k < repeats.length; k += 2) used[repeats[k] as number] = used[repeats[k + 1] as number] as number;
  const extra = { rows: used.reduce((sum, u) => sum + 1 - u, 0), ids: [] as (FieldId | null)[] };
  if (extra.rows > 0) {
    for await (const { firstRow, rows, data } of streamColumns(table, [idColumn], batch)) {
      const id = idReader(data[0] as Data);
      for (let i = 0; i < rows && extra.ids.length < FIRST_IDS; i++) {
        if (used[firstRow + i] === 0) extra.ids.push(id(i));
      }
      if (extra.ids.length >= FIRST_IDS) break;
    }
  }
  return { missing, extra };
}

/**
 * Numbers of a column; NaN where null.
 *
 * @throws {PipelineError} input, when the column does not hold numbers.
 */
export function numberReader(column: Data): (row: number) => number {
  const data = widened(column);
  if (data.typeId === Type.Decimal) {
    const [digits, one] = [decimalDigits(data), 10 ** (data.type as Decimal).scale];
    return (row) => (data.getValid(row) ? Number(digits(row)) / one : Number.NaN);
  }
  if (data.typeId !== Type.Int && data.typeId !== Type.Float) {
    throw new PipelineError("input", "Column must hold numbers", { received: String(data.type) });
  }
  const numbers = data.values as Float64Array | BigInt64Array;
  if (data.nullCount === 0) return (row) => Number(numbers[row]);
  const bits = data.nullBitmap;
  const from = data.offset & 7;
  return (row) => (((bits[(from + row) >> 3] as number) >> ((from + row) & 7)) & 1 ? Number(numbers[row]) : Number.NaN);
}
