import { type FileHandle, open } from "node:fs/promises";
import { DataType, type Schema } from "apache-arrow";
import type { FieldsFile } from "../fields/fields-file.js";
import { FIELD_STATUS, STATUS_OUTSIDE } from "../kernel/geometry.js";
import { nativeKernel } from "../kernel/native.js";
import {
  TABLE_SOURCES,
  TABLE_TYPES,
  type TableArrays,
  type TableSource,
  type TableType,
  type TableWords,
} from "../kernel/zonal.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { CREATED_BY } from "../table/created-by.js";
import { MAGIC, type PlacedGroup, parquetFooter } from "../table/footer.js";
import { answeringRule, hasPixels, ONLY_BACKGROUND } from "../zones/pixel-rule.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import type { Answers } from "./answers.js";
import { amountName, columnNames, type ZonalRule } from "./rule.js";
import type { RowGroup } from "./tasks.js";
import { encodeRowGroup } from "./tasks.js";
import { zonalSchema } from "./zonal-table.js";

/** Row groups in work beyond one per worker. */
const AHEAD = 2;

/** Summary of a table. */
export interface TableFacts {
  /** Rows with a class. */
  readonly answered: number;
  /** Rows without one, by reason. */
  readonly unanswered: Readonly<Record<string, number>>;
  /** Sum of all valid pixels, or weights. */
  readonly valid: number;
}

/**
 * Write the zonal table: each worker encodes a row group, with ids from the zone index;
 * this thread writes the row groups in order, and the footer. The bytes depend only on the answers.
 *
 * Nothing is synced to disk.
 *
 * @param zones   whole, or a part of the rows: then the table has these.
 * @param status  FIELD_STATUS code per row of the table, in shared memory.
 * @throws {PipelineError} usage, naming column, row and value, if a number does not fit the requested type.
 */
export async function writeTable(
  path: string,
  fields: FieldsFile,
  zones: ZoneReader,
  answers: Answers,
  status: Uint8Array,
  rule: ZonalRule,
  pool: Pool,
  ctx: Context,
): Promise<TableFacts> {
  const schema = zonalSchema(fields, answers, rule);
  const columns = tableColumns(schema, rule);
  const idPlace = columns.findIndex(({ source }) => source === undefined);
  const words = tableWords(rule);
  const shared = {
    arrays: tableArrays(answers, status),
    columns: Uint8Array.from(columns.flatMap(({ source, type }) => columnCode(source, type))),
    words,
    index: { path: zones.path, fd: zones.fd },
    idPlace,
  };
  let next = 0;
  const groups = zones.ids.map((ids) => {
    const from = next;
    next += ids.rows;
    return { ...shared, ids, from, to: next };
  });
  const encode = async (group: (typeof groups)[number]): Promise<RowGroup> => {
    ctx.signal.throwIfAborted();
    return pool.run(encodeRowGroup, group).catch((cause: unknown) => {
      const rows = `${group.from}..${group.to}`;
      throw asPipelineError(cause, "failed", "Rows cannot be encoded", { index: zones.path, rows });
    });
  };
  const task = ctx.progress.start("rows written", answers.rows);
  const reasons = new Uint32Array(words.reasons.length);
  let [answered, valid, rows] = [0, 0, 0];
  const file = await open(path, "w");
  try {
    const out = new TableFile(file);
    await out.append(MAGIC);
    for await (const group of mapOrdered(groups, pool.threads + AHEAD, encode)) {
      if (group.misfit !== null) throw misfit(group.misfit, columns);
      rows += (await out.appendGroup(group, (groups[out.groups.length] as { ids: { rows: number } }).ids.rows)).rows;
      answered += group.answered;
      valid += group.valid;
      group.reasons.forEach((count, i) => {
        reasons[i] = (reasons[i] as number) + count;
      });
      task.update(rows);
    }
    await out.append(parquetFooter(schema, out.groups, CREATED_BY));
  } finally {
    task.end();
    await file.close();
  }
  return { answered, valid, unanswered: reasonCounts(words, reasons) };
}

/** The same summary for answers that are written by other code. */
export async function tableFacts(answers: Answers, status: Uint8Array, rule: ZonalRule): Promise<TableFacts> {
  const words = tableWords(rule);
  const arrays = tableArrays(answers, status);
  const { answered, valid, reasons } = nativeKernel().encodeRows(arrays, 0, answers.rows, new Uint8Array(0), words);
  return { answered, valid, unanswered: reasonCounts(words, reasons) };
}

/** A parquet file being written. */
class TableFile {
  readonly groups: PlacedGroup[] = [];
  #offset = 0;

  constructor(private readonly file: FileHandle) {}

  async appendGroup({ bytes, columns, lengths }: RowGroup, rows: number): Promise<PlacedGroup> {
    let offset = this.#offset;
    const placed = columns.map((column, i) => {
      const length = lengths[i] as number;
      const chunk = { ...column, offset, bytes: length };
      offset += length;
      return chunk;
    });
    await this.append(bytes);
    const group = { rows, columns: placed };
    this.groups.push(group);
    return group;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.file.write(bytes, at, bytes.length - at, this.#offset + at)).bytesWritten;
    }
    this.#offset += bytes.length;
  }
}

interface TableColumn {
  /** Name from `--columns`. */
  readonly name: string;
  /** Undefined: the ids. */
  readonly source: TableSource | undefined;
  readonly type: TableType;
}

/** The source of each column of the schema. */
function tableColumns(schema: Schema, rule: ZonalRule): TableColumn[] {
  const amount = (name: string) => amountName(name, rule);
  const sources: Readonly<Record<string, TableSource>> = {
    crop_code: "code",
    [amount("crop_pixels")]: "pixels",
    [amount("valid_pixels")]: "valid",
    crop_share: "share",
    second_code: "second",
    [amount("second_pixels")]: "secondPixels",
    rule: "rule",
    null_reason: "reason",
  };
  const names = rule.columns?.map(({ source }) => source) ?? columnNames(rule);
  return names.map((name, i) => ({ name, source: sources[name], type: tableType(schema.fields[i]?.type as DataType) }));
}

function tableType(type: DataType): TableType {
  if (DataType.isInt(type)) return `${type.isSigned ? "" : "u"}int${type.bitWidth}` as TableType;
  if (DataType.isFloat(type)) return type.ArrayType === Float32Array ? "float32" : "float64";
  return "text";
}

function columnCode(source: TableSource | undefined, type: TableType): number[] {
  return source === undefined ? [] : [TABLE_SOURCES.indexOf(source), TABLE_TYPES.indexOf(type)];
}

function tableArrays(answers: Answers, status: Uint8Array): TableArrays {
  const { code, second, pixels, valid, covered, secondPixels } = answers;
  return { code, second, pixels, valid, covered, secondPixels, status };
}

function tableWords(rule: ZonalRule): TableWords {
  return {
    rules: FIELD_STATUS.map((_, status) => answeringRule(rule.pixels, status)),
    reasons: [...FIELD_STATUS, ONLY_BACKGROUND],
    hasPixels: Uint8Array.from(FIELD_STATUS, (_, status) => (hasPixels(status) ? 1 : 0)),
    outside: STATUS_OUTSIDE,
  };
}

function reasonCounts({ reasons }: TableWords, counts: Uint32Array): Record<string, number> {
  return Object.fromEntries(
    reasons.map((reason, i) => [reason, counts[i] as number] as const).filter(([, n]) => n > 0),
  );
}

function misfit(
  { column, row, value }: NonNullable<RowGroup["misfit"]>,
  columns: readonly TableColumn[],
): PipelineError {
  const { name, type } = columns.filter(({ source }) => source !== undefined)[column] as TableColumn;
  return new PipelineError("usage", "--columns: a value does not fit the type", { column: name, type, value, row });
}
