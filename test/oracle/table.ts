import type { EncodedChunk } from "../../dist/kernel/parquet.js";
import {
  type EncodedRows,
  TABLE_SOURCES,
  TABLE_TYPES,
  type TableArrays,
  type TableSource,
  type TableType,
  type TableWords,
} from "../../dist/kernel/zonal.js";
import { encodeChoices, encodeNumbers } from "./encode.js";

/** Bounds of the types that hold whole numbers, and what parquet holds them as. */
const INTEGERS = {
  int8: { least: -(2 ** 7), most: 2 ** 7 - 1 },
  uint8: { least: 0, most: 2 ** 8 - 1 },
  int16: { least: -(2 ** 15), most: 2 ** 15 - 1 },
  uint16: { least: 0, most: 2 ** 16 - 1 },
  int32: { least: -(2 ** 31), most: 2 ** 31 - 1 },
  uint32: { least: 0, most: 2 ** 32 - 1 },
  int64: { least: Number.MIN_SAFE_INTEGER, most: Number.MAX_SAFE_INTEGER },
  uint64: { least: 0, most: Number.MAX_SAFE_INTEGER },
} as const;

/** See native/zonal/table.cc. */
export function encodeTable(
  answers: TableArrays,
  from: number,
  to: number,
  columns: Uint8Array,
  words: TableWords,
): EncodedRows {
  const rows = to - from;
  const at = (name: Exclude<keyof TableArrays, "status">, row: number) => answers[name][from + row] as number;
  const answered = (row: number) => at("pixels", row) > 0;
  const reason = (row: number): number => {
    const status = answers.status[from + row] as number;
    if (words.hasPixels[status] === 0) return status;
    return at("covered", row) > 0 ? words.reasons.length - 1 : words.outside;
  };
  const reasons = new Uint32Array(words.reasons.length);
  let [valid, count] = [0, 0];
  for (let row = 0; row < rows; row++) {
    valid += at("valid", row);
    if (answered(row)) count++;
    else reasons[reason(row)] = (reasons[reason(row)] as number) + 1;
  }
  const facts = { answered: count, valid, reasons };
  const sources: Record<TableSource, { has?: (row: number) => boolean; value: (row: number) => number }> = {
    code: { has: answered, value: (row) => at("code", row) },
    pixels: { value: (row) => at("pixels", row) },
    valid: { value: (row) => at("valid", row) },
    share: { has: answered, value: (row) => Math.fround(at("pixels", row) / at("valid", row)) },
    second: { has: (row) => at("secondPixels", row) > 0, value: (row) => at("second", row) },
    secondPixels: { value: (row) => at("secondPixels", row) },
    rule: { has: answered, value: (row) => answers.status[from + row] as number },
    reason: { has: (row) => !answered(row), value: reason },
  };
  const encoded: EncodedChunk[] = [];
  for (let i = 0; i < columns.length; i += 2) {
    const { has, value } = sources[TABLE_SOURCES[columns[i] as number] as TableSource];
    const type = TABLE_TYPES[columns[i + 1] as number] as TableType;
    const all = Array.from({ length: rows }, (_, row) => row);
    const kept = has ? all.filter(has) : all;
    const validity = has && Uint8Array.from(all, (row) => (has(row) ? 1 : 0));
    const values = kept.map(value);
    if (type === "text") {
      const texts = (TABLE_SOURCES[columns[i] as number] === "rule" ? words.rules : words.reasons).map((text) =>
        new TextEncoder().encode(text),
      );
      encoded.push(encodeChoices(Uint32Array.from(values), texts, validity, rows));
    } else if (type === "float32") {
      encoded.push(encodeNumbers(Float32Array.from(values), validity, rows, false));
    } else if (type === "float64") {
      encoded.push(encodeNumbers(Float64Array.from(values), validity, rows, false));
    } else {
      const { least, most } = INTEGERS[type];
      const wrong = values.findIndex((v) => !(Number.isInteger(v) && v >= least && v <= most));
      if (wrong >= 0) {
        const misfit = { column: i / 2, row: from + (kept[wrong] as number), value: values[wrong] as number };
        return { columns: encoded, ...facts, misfit };
      }
      const wide = type === "int64" || type === "uint64";
      const typed = wide ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
      encoded.push(encodeNumbers(typed, validity, rows, type.startsWith("u")));
    }
  }
  return { columns: encoded, ...facts, misfit: null };
}
