import {
  type Data,
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Type,
  Uint32,
  Utf8,
} from "apache-arrow";
import type { FieldsFile } from "../fields/fields-file.js";
import { columnData, readSlice } from "../fields/read-slice.js";
import { planSlices } from "../fields/slice.js";
import { FIELD_STATUS, type Pixels, STATUS_OK, STATUS_OUTSIDE } from "../kernel/kernel.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import type { BandType } from "../raster/pixels.js";
import { writeParquet } from "../table/parquet-writer.js";
import type { Answers } from "./answers.js";

/** Rows of a row group; a reader of one field's row decodes about a megabyte. */
const ROW_GROUP_ROWS = 122_880;
/**
 * Why a field has no crop.
 *
 * @param status   its FIELD_STATUS code.
 * @param covered  pixels of the raster under it.
 */
export function nullReason(status: number, covered: number): string {
  if (status !== STATUS_OK) return FIELD_STATUS[status] as string;
  // The index may know pixels that this raster does not have.
  return covered === 0 ? (FIELD_STATUS[STATUS_OUTSIDE] as string) : "only background or nodata";
}

/**
 * Columns of zonal_us_{year}.parquet, one row per field in input order.
 *
 * crop_code and second_code are null where there is none; rule says which rule
 * answered (`centre`: pixels whose centre lies inside), null_reason why none did.
 */
export function zonalSchema(fields: FieldsFile, answers: Answers): Schema {
  const code = codeType(answers.type);
  return new Schema([
    new Field("field_id", fields.idType, true),
    new Field("crop_code", code, true),
    new Field("crop_pixels", new Uint32(), false),
    new Field("valid_pixels", new Uint32(), false),
    new Field("crop_share", new Float32(), true),
    new Field("second_code", code, true),
    new Field("second_pixels", new Uint32(), false),
    new Field("rule", new Utf8(), true),
    new Field("null_reason", new Utf8(), true),
  ]);
}

/** Arrow type of a class: 32 bits for every integer band, so that all years of a region have one type. */
function codeType(band: BandType): Int32 | Uint32 | Float64 {
  if (band === "Float32" || band === "Float64") return new Float64();
  return band === "UInt32" ? new Uint32() : new Int32();
}

/**
 * Write the zonal table. Ids are read from the fields again rather than kept: 29 million
 * strings would not fit.
 *
 * @param status  FIELD_STATUS code per row.
 */
export async function writeZonalTable(
  path: string,
  fields: FieldsFile,
  answers: Answers,
  status: Uint8Array,
  batch: number,
  ctx: Context,
): Promise<void> {
  const schema = zonalSchema(fields, answers);
  const task = ctx.progress.start("rows written", fields.rows);
  async function* batches(): AsyncGenerator<RecordBatch> {
    for (const slice of planSlices(fields, batch)) {
      ctx.signal.throwIfAborted();
      const from = slice.firstRow;
      const table = await readSlice(fields.path, slice, [fields.idColumn]).catch((cause: unknown) => {
        throw asPipelineError(cause, "input", "Field ids cannot be read", {
          path: fields.path,
          rows: `${from}..${from + slice.rows}`,
        });
      });
      const ids = columnData(table, fields.idColumn);
      yield zonalBatch(schema, ids, answers, status, from, from + slice.rows);
      task.update(from + slice.rows);
    }
  }
  try {
    await writeParquet(path, schema, batches(), {
      rowGroupRows: ROW_GROUP_ROWS,
      dictionary: schema.fields.map(({ name }) => name).filter((name) => name !== "field_id"),
      // Integers that rise from row to row; strings would only grow.
      delta: fields.idType.typeId === Type.Int ? ["field_id"] : [],
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
      rule.add("centre");
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
  const children: Data[] = [
    ids,
    column(type, ofType(code), hasCode),
    column(new Uint32(), pixels.subarray(from, to)),
    column(new Uint32(), valid.subarray(from, to)),
    column(new Float32(), share, hasCode),
    column(type, ofType(second), hasSecond),
    column(new Uint32(), secondPixels.subarray(from, to)),
    rule.finish(),
    reason.finish(),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
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

/** A nullable string column of few different values. */
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
