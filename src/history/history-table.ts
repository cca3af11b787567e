import { type Data, type DataType, makeData, RecordBatch, type Schema, Struct, Type } from "apache-arrow";
import { idReader } from "../fields/ids.js";
import { cropName } from "../legend/cdl-legend.js";
import { CsvWriter } from "../table/csv.js";
import { type ParquetOptions, writeParquet } from "../table/parquet-writer.js";
import { cropColumn, HEADER_KEY, type HistoryHeader, historySchema, shareColumn } from "./format.js";
import type { MergedRows, YearRows } from "./merge.js";

/** Rows of a row group: a reader of one field decodes them all, some 30 columns of a byte or two. */
const ROW_GROUP_ROWS = 16_384;

/** Merged rows and their hectares, NaN where unknown. */
export interface HistoryRows extends MergedRows {
  readonly areas: Float32Array;
}

/**
 * Write history_{region}.parquet as the rows come.
 *
 * @param present  years of the rows' columns, in their order; all others of the header are null.
 */
export async function writeHistory(
  path: string,
  idType: DataType,
  header: HistoryHeader,
  present: readonly number[],
  batches: AsyncIterable<HistoryRows>,
): Promise<void> {
  const schema = historySchema(idType, header.years);
  schema.metadata.set(HEADER_KEY, JSON.stringify(header));
  async function* recordBatches(): AsyncGenerator<RecordBatch> {
    for await (const rows of batches) yield toBatch(schema, rows, header.years, present);
  }
  const options: ParquetOptions = {
    rowGroupRows: ROW_GROUP_ROWS,
    dictionary: [...header.years.map(cropColumn), ...header.years.map(shareColumn)],
    delta: idType.typeId === Type.Int ? ["field_id"] : [],
  };
  await writeParquet(path, schema, recordBatches(), options);
}

function toBatch(schema: Schema, all: HistoryRows, years: readonly number[], present: readonly number[]): RecordBatch {
  const { ids, rows, areas } = all;
  const byYear = years.map((year) => all.years[present.indexOf(year)] ?? emptyYear(rows));
  const column = (i: number, data: Uint8Array | Uint16Array | Float32Array, valid: Uint8Array, nullCount: number) => {
    const type = (schema.fields[i] as (typeof schema.fields)[number]).type;
    return makeData({ type, length: rows, data, nullBitmap: valid, nullCount } as never) as Data;
  };
  const known = new Uint8Array(Math.ceil(rows / 8));
  let unknown = 0;
  for (let i = 0; i < rows; i++) {
    if (Number.isNaN(areas[i])) unknown++;
    else known[i >> 3] = (known[i >> 3] as number) | (1 << (i & 7));
  }
  const children = [
    ids,
    column(1, areas, known, unknown),
    ...byYear.map(({ codes, valid, nulls }, i) => column(2 + i, codes, valid, nulls)),
    ...byYear.map(({ shares, valid, nulls }, i) => column(2 + years.length + i, shares, valid, nulls)),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}

function emptyYear(rows: number): Omit<YearRows, "classes"> {
  return {
    codes: new Uint16Array(rows),
    shares: new Uint8Array(rows),
    valid: new Uint8Array(Math.ceil(rows / 8)),
    nulls: rows,
  };
}

/** Also write the rows as CSV on their way: id, area, then code, name and share of every year. */
export async function* alsoAsCsv(
  path: string,
  years: readonly number[],
  present: readonly number[],
  batches: AsyncIterable<HistoryRows>,
): AsyncGenerator<HistoryRows> {
  const perYear = years.flatMap((year) => [cropColumn(year), `name_${year}`, shareColumn(year)]);
  const csv = await CsvWriter.open(path, ["field_id", "area_ha", ...perYear]);
  try {
    for await (const batch of batches) {
      const id = idReader(batch.ids);
      const columns = years.map((year) => batch.years[present.indexOf(year)]);
      for (let row = 0; row < batch.rows; row++) {
        const crops = columns.flatMap((column) => {
          if (column === undefined || (column.classes[row] as number) < 0) return [null, null, null];
          const code = column.codes[row] as number;
          return [code, cropName(code), column.shares[row] as number];
        });
        const area = batch.areas[row] as number;
        await csv.write([id(row), Number.isNaN(area) ? null : Math.round(area * 1e4) / 1e4, ...crops]);
      }
      yield batch;
    }
  } finally {
    await csv.close();
  }
}
