import { appendFileSync, writeFileSync } from "node:fs";
import { FIELD_STATUS, LAST_DIRTY_STATUS, STATUS_OK } from "../kernel/geometry.js";
import { PipelineError } from "../pipeline/errors.js";
import type { FieldsFile } from "./fields-file.js";

/** First line of a list of dirty rows. */
export const DIRTY_HEADER = "row,field_id,problem\n";

const DUPLICATE = "duplicate id";

/** Rows of a list that are written at a time: ids are looked up for so many. */
const WRITTEN_ROWS = 65_536;

/** A row that is broken, and how. */
export interface DirtyRow {
  readonly row: number;
  readonly problem: string;
}

/** Rows whose geometry cannot be used or whose id stood in an earlier row, by row: 5 bytes each, as it may be all of them. */
export class DirtyRows {
  readonly #rows: Uint32Array;
  /** FIELD_STATUS codes; 0 for a repeated id. */
  readonly #problems: Uint8Array;
  /** Distinct rows: one may have two problems. */
  readonly rowCount: number;

  /**
   * @param status      a FIELD_STATUS code per row.
   * @param duplicates  rows whose id stood in an earlier row, ascending.
   */
  constructor(status: Uint8Array, duplicates: Uint32Array) {
    let broken = 0;
    for (const code of status) if (isBroken(code)) broken++;
    this.#rows = new Uint32Array(broken + duplicates.length);
    this.#problems = new Uint8Array(broken + duplicates.length);
    let [n, next, distinct] = [0, 0, 0];
    const add = (row: number, problem: number) => {
      if (n === 0 || this.#rows[n - 1] !== row) distinct++;
      this.#rows[n] = row;
      this.#problems[n++] = problem;
    };
    for (let row = 0; row < status.length; row++) {
      const code = status[row] as number;
      if (isBroken(code)) add(row, code);
      for (; duplicates[next] === row; next++) add(row, 0);
    }
    for (; next < duplicates.length; next++) add(duplicates[next] as number, 0);
    this.rowCount = distinct;
  }

  /** Problems; a row may have two. */
  get length(): number {
    return this.#rows.length;
  }

  /** How many rows have each problem: `{"null geometry": 2}`. */
  counts(): Record<string, number> {
    const counts = new Map<number, number>();
    for (const code of this.#problems) counts.set(code, (counts.get(code) ?? 0) + 1);
    return Object.fromEntries([...counts].map(([code, n]) => [problemOf(code), n]));
  }

  /** Problems `from` up to but not including `to`. */
  slice(from: number, to: number): DirtyRow[] {
    return Array.from(this.#rows.subarray(from, to), (row, i) => ({
      row,
      problem: problemOf(this.#problems[from + i] as number),
    }));
  }
}

function isBroken(code: number): boolean {
  return code !== STATUS_OK && code <= LAST_DIRTY_STATUS;
}

function problemOf(code: number): string {
  return code === 0 ? DUPLICATE : (FIELD_STATUS[code] as string);
}

/**
 * @throws {PipelineError} dirty, with the counts and the first ids, when more than `maxShare` of the rows are dirty.
 */
export async function checkDirtyShare(
  fields: FieldsFile,
  dirty: DirtyRows,
  maxShare: number,
  batch: number,
): Promise<void> {
  if (dirty.rowCount === 0 || dirty.rowCount <= maxShare * fields.rows) return;
  const first = dirty.slice(0, 5);
  const { idsOfRows } = await import("./row-ids.js");
  const ids = await idsOfRows(
    fields,
    first.map(({ row }) => row),
    batch,
  );
  throw new PipelineError("dirty", "Too many dirty rows", {
    path: fields.path,
    dirty: dirty.rowCount,
    of: fields.rows,
    expected: `at most ${maxShare * 100} % (--max-dirty)`,
    problems: Object.entries(dirty.counts())
      .map(([problem, n]) => `${problem} ${n}`)
      .join("; "),
    firstIds: ids.map((id) => id ?? "(none)").join(" "),
  });
}

/** List dirty rows in a CSV side file: row, field_id, problem. */
export async function writeDirtyRows(
  path: string,
  fields: FieldsFile,
  dirty: DirtyRows,
  batch: number,
  atOnce: number = WRITTEN_ROWS,
): Promise<void> {
  const { idsOfRows } = await import("./row-ids.js");
  writeFileSync(path, DIRTY_HEADER);
  for (let from = 0; from < dirty.length; from += atOnce) {
    const rows = dirty.slice(from, Math.min(dirty.length, from + atOnce));
    const unique = [...new Set(rows.map(({ row }) => row))];
    const ids = await idsOfRows(fields, unique, batch);
    const idOf = new Map(unique.map((row, i) => [row, ids[i]]));
    const lines = rows.map(({ row, problem }) => `${row},${csvCell(String(idOf.get(row) ?? ""))},${problem}\n`);
    appendFileSync(path, lines.join(""));
  }
}

function csvCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
