import { type Table, Type, tableFromIPC } from "apache-arrow";
import { ParquetFile } from "parquet-wasm";
import type { FieldsFile } from "../fields/fields-file.js";
import { type FieldId, idReader } from "../fields/ids.js";
import { columnData, wkbColumn } from "../fields/read-slice.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { openAsPlainParquet } from "../table/read-footer.js";
import { withPageIndex } from "./page-index.js";

/** One field as its file has it. */
export interface FieldRow {
  readonly row: number;
  readonly id: FieldId | null;
  /** Empty for a null. */
  readonly wkb: Uint8Array;
}

/** Rows this near each other are fetched in one read. */
const NEAR_ROWS = 512;

/** Reads single rows of a fields file. */
export class FieldRows {
  /** First row of each row group, and the end of the last. */
  readonly #starts: readonly number[];

  private constructor(
    readonly fields: FieldsFile,
    private readonly file: ParquetFile,
  ) {
    let at = 0;
    this.#starts = [0, ...fields.rowGroups.map((rows) => (at += rows))];
  }

  /** @param pages  from makePageIndex, where the file has no index of its own. */
  static async open(fields: FieldsFile, pages?: Uint8Array<ArrayBuffer>): Promise<FieldRows> {
    const { path } = fields;
    const blob = await (pages === undefined ? openAsPlainParquet(path) : withPageIndex(path, pages));
    return new FieldRows(fields, await ParquetFile.fromFile(blob));
  }

  /** Ids and polygons of some rows, ascending by row. */
  async read(rows: readonly number[]): Promise<FieldRow[]> {
    const { idColumn, geometryColumn } = this.fields;
    const found: FieldRow[] = [];
    for (const near of this.#runs(rows)) {
      const [first, last] = [near[0] as number, near.at(-1) as number];
      const table = await this.#fetch(first, last - first + 1, [idColumn, geometryColumn]);
      const id = idReader(columnData(table, idColumn), idColumn);
      const { values, offsets } = wkbColumn(columnData(table, geometryColumn));
      for (const row of near) {
        const i = row - first;
        found.push({ row, id: id(i), wkb: values.subarray(offsets[i], offsets[i + 1]) });
      }
    }
    return found;
  }

  /** The row's other columns of numbers and texts. */
  async attributes(row: number): Promise<Record<string, string | number | bigint | boolean | null>> {
    const { columns, idColumn, geometryColumn } = this.fields;
    const names = [...columns].flatMap(([name, type]) => {
      const plain = [Type.Int, Type.Float, Type.Utf8, Type.LargeUtf8, Type.Bool].includes(type.typeId);
      return plain && name !== idColumn && name !== geometryColumn ? [name] : [];
    });
    if (names.length === 0) return {};
    const table = await this.#fetch(row, 1, names);
    return Object.fromEntries(names.map((name) => [name, table.getChild(name)?.get(0) ?? null]));
  }

  close(): void {
    this.file.free();
  }

  /** Rows ascending, cut where they lie far apart or in another row group. */
  #runs(rows: readonly number[]): number[][] {
    const runs: number[][] = [];
    for (const row of [...rows].sort((a, b) => a - b)) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      if (last !== undefined && row - last <= NEAR_ROWS && this.#groupOf(row) === this.#groupOf(last)) run?.push(row);
      else runs.push([row]);
    }
    return runs;
  }

  #groupOf(row: number): number {
    let [low, high] = [0, this.#starts.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] as number) <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  async #fetch(row: number, rows: number, columns: string[]): Promise<Table> {
    const group = this.#groupOf(row);
    const offset = row - (this.#starts[group] as number);
    try {
      const table = await this.file.read({ rowGroups: [group], offset, limit: rows, columns, batchSize: rows });
      const read = tableFromIPC(table.intoIPCStream());
      if (read.numRows !== rows) throw new Error(`${rows} rows were expected, ${read.numRows} came`);
      return read;
    } catch (cause) {
      if (cause instanceof PipelineError) throw cause;
      throw asPipelineError(cause, "input", "Fields cannot be read", { path: this.fields.path, row });
    }
  }
}
