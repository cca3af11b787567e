import {
  type Data,
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Type,
  Uint32,
  Utf8,
} from "apache-arrow";
import type { FieldsFile } from "../fields/fields-file.js";
import { idData } from "../fields/ids.js";
import { columnData, readSlice } from "../fields/read-slice.js";
import { planSlices } from "../fields/slice.js";
import type { Pixels } from "../kernel/raster.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import type { BandType } from "../raster/pixels.js";
import { ID_GROUP_ROWS } from "../zones/format.js";
import { answeringRule, nullReason } from "../zones/pixel-rule.js";
import type { Answers } from "./answers.js";
import { castColumn, outputField } from "./columns.js";
import type { Histograms } from "./histograms.js";
import { amountName, columnNames, type ZonalRule } from "./rule.js";

/**
 * Columns of zonal_us_{year}.parquet, one row per field in input order.
 *
 * crop_code and second_code are null if there is none; rule is the pixel rule that
 * gave the answer (see PIXEL_RULES; `touched` for a small field), null_reason why none did;
 * class_codes and class_pixels are the histogram, classes ascending. Statistics are float64, null if nothing was counted.
 */
export function zonalSchema(fields: FieldsFile, answers: Answers, rule: ZonalRule): Schema {
  const code = codeType(answers.type);
  const amount = amountType(answers);
  const columns = [
    new Field("field_id", fields.idType, true),
    new Field("crop_code", code, true),
    new Field(amountName("crop_pixels", rule), amount, false),
    new Field(amountName("valid_pixels", rule), amount, false),
    new Field("crop_share", new Float32(), true),
    new Field("second_code", code, true),
    new Field(amountName("second_pixels", rule), amount, false),
    new Field("rule", new Utf8(), true),
    new Field("null_reason", new Utf8(), true),
    new Field("class_codes", new List(new Field("item", code, false)), false),
    new Field(amountName("class_pixels", rule), new List(new Field("item", amount, false)), false),
    ...rule.stats.map(({ name }) => new Field(name, new Float64(), true)),
  ];
  const named = new Map(columns.map((field) => [field.name, field]));
  const fieldOf = (name: string) => named.get(name) as Field;
  if (rule.columns === undefined) return new Schema(columnNames(rule).map(fieldOf));
  return new Schema(rule.columns.map((column) => outputField(fieldOf(column.source), column)));
}

/** Arrow type of pixel counts or weights. */
function amountType({ pixels }: Answers): Uint32 | Float64 {
  return pixels instanceof Float64Array ? new Float64() : new Uint32();
}

/** Arrow type of a class: 32 bits for every integer band, so that all years of a region have one type. */
function codeType(band: BandType): Int32 | Uint32 | Float64 {
  if (band === "Float32" || band === "Float64") return new Float64();
  return band === "UInt32" ? new Uint32() : new Int32();
}

/**
 * The zonal table as record batches, in input order. Ids are read from the fields again,
 * because 29 million strings would not fit in memory.
 *
 * @param status  FIELD_STATUS code per row.
 * @throws {PipelineError} input, naming file and rows, if the fields cannot be read again.
 */
export async function* zonalBatches(
  schema: Schema,
  fields: FieldsFile,
  answers: Answers,
  status: Uint8Array,
  rule: ZonalRule,
  batch: number,
  signal: AbortSignal,
): AsyncGenerator<RecordBatch> {
  for (const slice of planSlices(fields, batch)) {
    signal.throwIfAborted();
    const from = slice.firstRow;
    const table = await readSlice(fields.path, slice, [fields.idColumn]).catch((cause: unknown) => {
      throw asPipelineError(cause, "input", "Field ids cannot be read", {
        path: fields.path,
        rows: `${from}..${from + slice.rows}`,
      });
    });
    const ids = idData(columnData(table, fields.idColumn), fields.idColumn);
    yield zonalBatch(schema, ids, answers, status, rule, from, from + slice.rows);
  }
}

/** Write the zonal table with list columns to a parquet file. write-table.ts writes tables without lists. */
export async function writeZonalTable(
  path: string,
  fields: FieldsFile,
  answers: Answers,
  status: Uint8Array,
  rule: ZonalRule,
  batch: number,
  ctx: Context,
): Promise<void> {
  const { writeParquet } = await import("../table/parquet-writer.js");
  const schema = zonalSchema(fields, answers, rule);
  const idName = rule.columns?.find(({ source }) => source === "field_id")?.name ?? "field_id";
  const task = ctx.progress.start("rows written", fields.rows);
  async function* watched(): AsyncGenerator<RecordBatch> {
    let rows = 0;
    for await (const part of zonalBatches(schema, fields, answers, status, rule, batch, ctx.signal)) {
      yield part;
      rows += part.numRows;
      task.update(rows);
    }
  }
  try {
    await writeParquet(path, schema, watched(), {
      rowGroupRows: ID_GROUP_ROWS,
      dictionary: schema.fields.map(({ name }) => name).filter((name) => name !== idName),
      // For ascending integers; strings would only grow.
      delta: fields.idType.typeId === Type.Int ? [idName] : [],
    });
  } finally {
    task.end();
  }
}

function zonalBatch(
  schema: Schema,
  ids: Data,
  answers: Answers,
  status: Uint8Array,
  zonalRule: ZonalRule,
  from: number,
  to: number,
): RecordBatch {
  const { code, pixels, valid, covered, second, secondPixels } = answers;
  const rows = to - from;
  const share = new Float32Array(rows);
  const [hasCode, hasSecond] = [new Bitmap(rows), new Bitmap(rows)];
  const [rule, reason] = [new TextBuilder(rows), new TextBuilder(rows)];
  for (let i = 0; i < rows; i++) {
    const row = from + i;
    const n = pixels[row] as number;
    if (n > 0) {
      hasCode.set(i);
      share[i] = n / (valid[row] as number);
      rule.add(answeringRule(zonalRule.pixels, status[row] as number));
      reason.add(null);
    } else {
      rule.add(null);
      reason.add(nullReason(status[row] as number, covered[row] as number));
    }
    if ((secondPixels[row] as number) > 0) hasSecond.set(i);
  }
  const ofType = (codes: Pixels) => {
    const part = codes.subarray(from, to);
    if (codeType(answers.type) instanceof Float64) return Float64Array.from(part);
    return answers.type === "UInt32" ? part : Int32Array.from(part);
  };
  const column = (type: DataType, data: ArrayLike<number>, bitmap?: Bitmap) =>
    makeData({
      type,
      length: rows,
      data,
      nullCount: bitmap ? rows - bitmap.count : 0,
      ...(bitmap && { nullBitmap: bitmap.bytes }),
    } as never) as Data;
  const type = codeType(answers.type);
  const amount = amountType(answers);
  const all: Record<string, Data> = {
    field_id: ids,
    crop_code: column(type, ofType(code), hasCode),
    [amountName("crop_pixels", zonalRule)]: column(amount, pixels.subarray(from, to)),
    [amountName("valid_pixels", zonalRule)]: column(amount, valid.subarray(from, to)),
    crop_share: column(new Float32(), share, hasCode),
    second_code: column(type, ofType(second), hasSecond),
    [amountName("second_pixels", zonalRule)]: column(amount, secondPixels.subarray(from, to)),
    rule: rule.finish(),
    null_reason: reason.finish(),
    ...statisticColumns(answers, from, to),
    ...(answers.histograms && {
      class_codes: histogramColumn(answers.histograms, "code", type, from, to),
      [amountName("class_pixels", zonalRule)]: histogramColumn(answers.histograms, "count", amount, from, to),
    }),
  };
  const children =
    zonalRule.columns?.map((output) => castColumn(all[output.source] as Data, output, from)) ??
    columnNames(zonalRule).map((name) => all[name] as Data);
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}

/** A batch's statistics, by name. */
function statisticColumns({ stats }: Answers, from: number, to: number): Record<string, Data> {
  const length = to - from;
  return Object.fromEntries(
    stats.map(({ name, values }) => {
      const data = values.slice(from, to);
      const there = new Bitmap(length);
      for (let i = 0; i < length; i++) if (!Number.isNaN(data[i])) there.set(i);
      const nullCount = length - there.count;
      return [name, makeData({ type: new Float64(), length, nullCount, nullBitmap: there.bytes, data }) as Data];
    }),
  );
}

/** A batch's histograms as a column of lists: of classes, or of their counts. */
function histogramColumn(histograms: Histograms, part: "code" | "count", type: DataType, from: number, to: number) {
  const rows = Array.from({ length: to - from }, (_, i) => histograms.get(from + i)[part]);
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((values, i) => {
    offsets[i + 1] = (offsets[i] as number) + values.length;
  });
  const length = offsets[rows.length] as number;
  const all = new (type.ArrayType as new (n: number) => Float64Array)(length);
  rows.forEach((values, i) => {
    all.set(values, offsets[i]);
  });
  return makeData({
    type: new List(new Field("item", type, false)),
    length: rows.length,
    nullCount: 0,
    valueOffsets: offsets,
    child: makeData({ type, length, nullCount: 0, data: all } as never) as Data,
  }) as Data;
}

class Bitmap {
  readonly bytes: Uint8Array;
  count = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(Math.ceil(length / 8));
  }

  set(i: number): void {
    this.bytes[i >> 3] = (this.bytes[i >> 3] as number) | (1 << (i & 7));
    this.count++;
  }
}

/** A nullable string column with few distinct values. */
class TextBuilder {
  readonly #offsets: Int32Array;
  readonly #valid: Bitmap;
  readonly #pieces: Buffer[] = [];
  readonly #encoded = new Map<string, Buffer>();
  #row = 0;

  constructor(rows: number) {
    this.#offsets = new Int32Array(rows + 1);
    this.#valid = new Bitmap(rows);
  }

  add(text: string | null): void {
    let length = 0;
    if (text !== null) {
      let bytes = this.#encoded.get(text);
      if (bytes === undefined) {
        bytes = Buffer.from(text);
        this.#encoded.set(text, bytes);
      }
      this.#pieces.push(bytes);
      this.#valid.set(this.#row);
      length = bytes.length;
    }
    this.#offsets[this.#row + 1] = (this.#offsets[this.#row] as number) + length;
    this.#row++;
  }

  finish(): Data<Utf8> {
    const length = this.#row;
    const nullCount = length - this.#valid.count;
    return makeData({
      type: new Utf8(),
      length,
      nullCount,
      nullBitmap: this.#valid.bytes,
      valueOffsets: this.#offsets,
      data: Buffer.concat(this.#pieces),
    });
  }
}
