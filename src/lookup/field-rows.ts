import { type Table, Type } from "apache-arrow";
import { columnIds, type FieldId } from "../fields/field-id.js";
import { type NativeColumns, openColumns, pagesOfGroup, type RowGroupPages } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { readSlice } from "../fields/read-slice.js";
import { type FieldSlice, readFields } from "../fields/reader.js";
import { asPipelineError } from "../pipeline/errors.js";
import { rowGroupOf } from "../table/row-group-of.js";

/** One field as its file has it. */
export interface FieldRow {
  readonly row: number;
  readonly id: FieldId | null;
  /** Empty for a null. */
  readonly wkb: Uint8Array;
}

/** Rows this near each other are fetched in one read. */
const NEAR_ROWS = 512;

/** Reads single rows of a fields file: the pages that they lie in, which are found when their row group is met. */
export class FieldRows {
  /** First row of each row group, and the end of the last. */
  readonly #starts: readonly number[];
  readonly #columns: NativeColumns | undefined;
  readonly #pages = new Map<number, RowGroupPages>();

  constructor(readonly fields: FieldsFile) {
    let at = 0;
    this.#starts = [0, ...fields.rowGroups.map((rows) => (at += rows))];
    this.#columns = openColumns(fields);
  }

  /** Ids and polygons of some rows, ascending by row. */
  async read(rows: readonly number[]): Promise<FieldRow[]> {
    const { path, idColumn, geometryColumn } = this.fields;
    const found: FieldRow[] = [];
    for (const near of this.#runs(rows)) {
      const [first, last] = [near[0] as number, near.at(-1) as number];
      const slice = this.#slice(first, last - first + 1);
      const { column, idColumn: ids } = await this.#at(first, () =>
        readFields({ path, slice, idColumn, geometryColumn }),
      );
      const { values, offsets } = column;
      const id = columnIds(ids);
      for (const row of near) {
        const i = row - first;
        found.push({ row, id: id(i), wkb: values.subarray(offsets[i], offsets[i + 1]) });
      }
    }
    return found;
  }

  /** The row's other columns of numbers and texts. */
  async attributes(row: number): Promise<Record<string, string | number | bigint | boolean | null>> {
    const { path, columns, idColumn, geometryColumn } = this.fields;
    const names = [...columns].flatMap(([name, type]) => {
      const plain = [Type.Int, Type.Float, Type.Utf8, Type.Bool].includes(type.typeId);
      return plain && name !== idColumn && name !== geometryColumn ? [name] : [];
    });
    if (names.length === 0) return {};
    const table: Table = await this.#at(row, () => readSlice(path, this.#slice(row, 1), names));
    return Object.fromEntries(names.map((name) => [name, table.getChild(name)?.get(0) ?? null]));
  }

  /** Rows ascending, cut where they lie far apart or in another row group. */
  #runs(rows: readonly number[]): number[][] {
    const runs: number[][] = [];
    for (const row of [...rows].sort((a, b) => a - b)) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      if (
        last !== undefined &&
        row - last <= NEAR_ROWS &&
        rowGroupOf(this.#starts, row) === rowGroupOf(this.#starts, last)
      )
        run?.push(row);
      else runs.push([row]);
    }
    return runs;
  }

  /** Rows of one row group. */
  #slice(firstRow: number, rows: number): FieldSlice {
    const rowGroup = rowGroupOf(this.#starts, firstRow);
    const offset = firstRow - (this.#starts[rowGroup] as number);
    const slice = { rowGroup, offset, rows, firstRow };
    const columns = this.#columns;
    if (columns === undefined) return slice;
    const pages = this.#pages.get(rowGroup) ?? pagesOfGroup(this.fields, columns, rowGroup);
    this.#pages.set(rowGroup, pages);
    return { ...slice, pages: pages.of(offset, offset + rows) };
  }

  async #at<T>(row: number, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      throw asPipelineError(cause, "input", "Fields cannot be read", { path: this.fields.path, row });
    }
  }
}
