import type { Table } from "apache-arrow";
import type { FieldId } from "../fields/field-id.js";
import { idReader } from "../fields/ids.js";
import { columnData } from "../fields/read-slice.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { ParquetDecoder } from "../table/parquet-decoder.js";
import { openParquet, type ParquetShape } from "../table/parquet-file.js";
import { rowGroupOf } from "../table/row-group-of.js";
import { cropColumn, HEADER_KEY, HISTORY_VERSION, type HistoryHeader, shareColumn } from "./format.js";

/** Row groups kept decoded; one is about 2 MB. A county of a million fields has some twenty. */
const KEPT_GROUPS = 32;

/** A field's crop in one year. */
export interface YearCrop {
  readonly year: number;
  /** CDL code; null where the field has no crop, or the year no zonal table. */
  readonly code: number | null;
  /** Whole percent of the field's valid pixels; null with the crop. */
  readonly share: number | null;
}

/** One row of a history. */
export interface FieldHistory {
  /** From 0; also the feature id in the tiles. */
  readonly row: number;
  /** Null for a row without one. */
  readonly id: FieldId | null;
  /** Hectares; null where not known. */
  readonly areaHa: number | null;
  /** Every year of the history, ascending. */
  readonly crops: readonly YearCrop[];
}

/** Crops of many fields: for each code, null for no crop, fields and hectares in the order of the header's years. */
export interface CropSums {
  readonly fields: number;
  /** Fields whose area is not known: their hectares are in no sum. */
  readonly withoutArea: number;
  readonly sums: ReadonlyMap<number | null, { readonly fields: Float64Array; readonly hectares: Float64Array }>;
}

/**
 * Reads single fields of `history_{region}.parquet`. A read decodes the row group that holds
 * the row, and the last few groups are kept: the first field of a group takes milliseconds,
 * its neighbors none.
 */
export class HistoryReader {
  readonly #groups = new Map<number, Promise<Table>>();
  /** First row of each group, and the end of the last. */
  readonly #starts: readonly number[];

  private constructor(
    private readonly file: ParquetDecoder,
    private readonly shape: ParquetShape,
    readonly header: HistoryHeader,
  ) {
    let at = 0;
    this.#starts = [0, ...shape.rowGroups.map((rows) => (at += rows))];
  }

  /** @throws {PipelineError} input: no such file, no parquet, or not a history of a version we know. */
  static async open(path: string): Promise<HistoryReader> {
    const shape = await openParquet(path);
    const header = readHeader(shape);
    return new HistoryReader(new ParquetDecoder(path), shape, header);
  }

  get path(): string {
    return this.shape.path;
  }

  get rows(): number {
    return this.shape.rows;
  }

  /**
   * @param row  from 0: the field's place in the fields' file, or its feature id in the tiles.
   * @throws {PipelineError} input, when there is no such row, or the file is damaged.
   */
  async read(row: number): Promise<FieldHistory> {
    if (!Number.isInteger(row) || row < 0 || row >= this.rows) {
      throw new PipelineError("input", "The history has no such row", {
        path: this.path,
        expected: `0 to ${this.rows - 1}`,
        received: row,
      });
    }
    const group = rowGroupOf(this.#starts, row);
    const table = await this.#group(group);
    const at = row - (this.#starts[group] as number);
    const number = (name: string): number | null => {
      const data = columnData(table, name);
      return data.getValid(at) ? (data.values[at] as number) : null;
    };
    return {
      row,
      id: idReader(columnData(table, "field_id"))(at),
      areaHa: number("area_ha"),
      crops: this.header.years.map((year) => ({
        year,
        code: number(cropColumn(year)),
        share: number(shareColumn(year)),
      })),
    };
  }

  /**
   * Crops of many fields by year.
   *
   * @param rows  ascending; those of one row group are read together.
   */
  async sumCrops(rows: Uint32Array): Promise<CropSums> {
    const { years } = this.header;
    const sums = new Map<number | null, { fields: Float64Array; hectares: Float64Array }>();
    let withoutArea = 0;
    for (let from = 0; from < rows.length; ) {
      const group = rowGroupOf(this.#starts, rows[from] as number);
      const [start, end] = [this.#starts[group] as number, this.#starts[group + 1] as number];
      let to = from;
      while (to < rows.length && (rows[to] as number) < end) to++;
      const table = await this.#group(group);
      const areas = columnData(table, "area_ha");
      const hectares = Float64Array.from(rows.subarray(from, to), (row) =>
        areas.getValid(row - start) ? (areas.values[row - start] as number) : Number.NaN,
      );
      for (const area of hectares) if (Number.isNaN(area)) withoutArea++;
      for (const [i, year] of years.entries()) {
        const codes = columnData(table, cropColumn(year));
        for (let at = from; at < to; at++) {
          const row = (rows[at] as number) - start;
          const code = codes.getValid(row) ? (codes.values[row] as number) : null;
          let sum = sums.get(code);
          if (sum === undefined) {
            sum = { fields: new Float64Array(years.length), hectares: new Float64Array(years.length) };
            sums.set(code, sum);
          }
          const area = hectares[at - from] as number;
          sum.fields[i] = (sum.fields[i] as number) + 1;
          if (!Number.isNaN(area)) sum.hectares[i] = (sum.hectares[i] as number) + area;
        }
      }
      from = to;
    }
    return { fields: rows.length, withoutArea, sums };
  }

  close(): void {
    this.#groups.clear();
  }

  #group(group: number): Promise<Table> {
    const kept = this.#groups.get(group);
    this.#groups.delete(group);
    const table = kept ?? this.#decode(group);
    this.#groups.set(group, table);
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= KEPT_GROUPS) break;
      this.#groups.delete(oldest);
    }
    return table;
  }

  async #decode(group: number): Promise<Table> {
    const rows = this.shape.rowGroups[group] as number;
    try {
      return await this.file.read({ rowGroups: [group], offset: 0, limit: rows });
    } catch (cause) {
      this.#groups.delete(group);
      throw asPipelineError(cause, "input", "The history cannot be read", { path: this.path, rowGroup: group });
    }
  }
}

function readHeader(shape: ParquetShape): HistoryHeader {
  const { path } = shape;
  const text = shape.metadata.get(HEADER_KEY);
  if (text === undefined) {
    throw new PipelineError("input", "Not a history: make one with node dist/history.js", {
      path,
      expected: `a metadata key ${HEADER_KEY}`,
      received: [...shape.metadata.keys()].join(" ") || "none",
    });
  }
  const header = parseHeader(text);
  if (header === undefined) throw new PipelineError("input", "The history's header cannot be read", { path });
  if (header.version !== HISTORY_VERSION) {
    throw new PipelineError("input", "The history is of another version", {
      path,
      expected: HISTORY_VERSION,
      received: header.version,
    });
  }
  return header;
}

/** Undefined for what is no JSON, or lists no years. */
function parseHeader(text: string): HistoryHeader | undefined {
  try {
    const header = JSON.parse(text) as HistoryHeader;
    const sound =
      typeof header.version === "number" && Array.isArray(header.years) && header.years.every(Number.isInteger);
    return sound ? header : undefined;
  } catch {
    return undefined;
  }
}
