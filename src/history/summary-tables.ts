import {
  type DataType,
  Field,
  Float64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint8,
  Uint16,
  Uint32,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { cropName } from "../legend/cdl-legend.js";
import { CsvWriter } from "../table/csv.js";
import { writeParquet } from "../table/parquet-writer.js";
import type { TableFiles } from "./format.js";
import { findCycle } from "./rotation.js";
import type { Tally } from "./tally.js";

/** Rotations listed, most frequent first. */
const ROTATIONS_LISTED = 1000;
const ROW_GROUP_ROWS = 65_536;

/** A small table, written as parquet and as CSV. */
export interface SummaryTable {
  readonly columns: readonly { readonly name: string; readonly type: DataType }[];
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}

const column = (name: string, type: DataType) => ({ name, type });
const AMOUNT = [column("fields", new Uint32()), column("area_ha", new Float64())];

/** Fields and hectares of every crop in every year with a table; crops of 0 fields too, so that no year is missing. */
export function cropAreaTable(tally: Tally, years: readonly number[]): SummaryTable {
  return {
    columns: [
      column("year", new Uint16()),
      column("crop_code", new Uint16()),
      column("crop_name", new Utf8()),
      ...AMOUNT,
    ],
    rows: years.flatMap((year) =>
      tally.codes.map((code) => {
        const { fields, hectares } = tally.amount(year, code);
        return [year, code, cropName(code), fields, toCent(hectares)];
      }),
    ),
  };
}

/** What followed upon what, for fields that have a crop in both of two successive years. */
export function transitionTable(tally: Tally): SummaryTable {
  return {
    columns: [
      column("year", new Uint16()),
      column("from_code", new Uint16()),
      column("from_name", new Utf8()),
      column("to_code", new Uint16()),
      column("to_name", new Utf8()),
      ...AMOUNT,
    ],
    rows: [...tally.transitions()].map(({ year, from, to, fields, hectares }) => [
      year,
      from,
      cropName(from),
      to,
      cropName(to),
      fields,
      toCent(hectares),
    ]),
  };
}

/**
 * The most frequent rotations of fields that have a crop in each of the years looked at. A
 * sequence in which nothing comes again is listed as it is, with no cycle.
 *
 * @param codes  crop code by class.
 */
export function rotationTable(tally: Tally, codes: readonly number[]): SummaryTable {
  const found = new Map<string, { codes: readonly number[]; cycle: number | null; fields: number; area: number }>();
  let total = 0;
  for (const { classes, fields, area } of tally.sequences.counted()) {
    const sequence = classes.map((cropClass) => codes[cropClass] as number);
    const cycle = findCycle(sequence);
    const key = `${cycle === undefined ? "once" : "cycle"} ${(cycle ?? sequence).join("-")}`;
    const known = found.get(key);
    total += fields;
    if (known === undefined) found.set(key, { codes: cycle ?? sequence, cycle: cycle?.length ?? null, fields, area });
    else {
      known.fields += fields;
      known.area += area;
    }
  }
  const order = (a: readonly number[], b: readonly number[]): number => {
    const differs = a.findIndex((code, i) => code !== b[i]);
    return differs < 0 ? a.length - b.length : (a[differs] as number) - (b[differs] ?? -1);
  };
  const rows = [...found.values()]
    .sort((a, b) => b.fields - a.fields || order(a.codes, b.codes) || (a.cycle ?? 99) - (b.cycle ?? 99))
    .slice(0, ROTATIONS_LISTED);
  return {
    columns: [
      column("rank", new Uint16()),
      column("rotation", new Utf8()),
      column("codes", new Utf8()),
      column("cycle_years", new Uint8()),
      ...AMOUNT,
      column("share", new Float64()),
    ],
    rows: rows.map(({ codes: sequence, cycle, fields, area }, i) => [
      i + 1,
      sequence.map(cropName).join(" > "),
      sequence.join(">"),
      cycle,
      fields,
      toCent(area),
      Math.round((1e6 * fields) / total) / 1e6,
    ]),
  };
}

/** Write a table under the names of `files`; nothing is synced. */
export async function writeSummary({ columns, rows }: SummaryTable, files: TableFiles): Promise<void> {
  const csv = await CsvWriter.open(
    files.csv,
    columns.map(({ name }) => name),
  );
  try {
    for (const row of rows) await csv.write(row);
  } finally {
    await csv.close();
  }
  const schema = new Schema(columns.map(({ name, type }) => new Field(name, type, true)));
  const children = columns.map(
    ({ type }, i) =>
      vectorFromArray(
        rows.map((row) => row[i] ?? null),
        type,
      ).data[0] ?? makeData({ type, length: 0 } as never),
  );
  const struct = makeData({ type: new Struct(schema.fields), length: rows.length, nullCount: 0, children });
  await writeParquet(files.parquet, schema, rows.length > 0 ? [new RecordBatch(schema, struct)] : [], {
    rowGroupRows: ROW_GROUP_ROWS,
  });
}

/** Hectares to 0.01, as they are shown. */
export function toCent(hectares: number): number {
  return Math.round(100 * hectares) / 100;
}
