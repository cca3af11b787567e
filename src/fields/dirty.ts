import { writeFileSync } from "node:fs";
import { FIELD_STATUS, LAST_DIRTY_STATUS, STATUS_OK } from "../kernel/geometry.js";
import { PipelineError } from "../pipeline/errors.js";
import type { FieldsFile } from "./fields-file.js";

/** A row that is broken, and how. */
export interface DirtyRow {
  readonly row: number;
  readonly problem: string;
}

/** First line of a list of dirty rows. */
export const DIRTY_HEADER = "row,field_id,problem\n";

const DUPLICATE = "duplicate id";

/** Rows whose geometry cannot be used or whose id stood in an earlier row, by row. */
export function dirtyRows(status: Uint8Array, duplicates: Uint32Array): DirtyRow[] {
  const rows: DirtyRow[] = [];
  status.forEach((code, row) => {
    if (code !== STATUS_OK && code <= LAST_DIRTY_STATUS) rows.push({ row, problem: FIELD_STATUS[code] as string });
  });
  for (const row of duplicates) rows.push({ row, problem: DUPLICATE });
  return rows.sort((a, b) => a.row - b.row);
}

/** How many rows have each problem: `{"null geometry": 2}`. */
export function countProblems(rows: readonly DirtyRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { problem } of rows) counts[problem] = (counts[problem] ?? 0) + 1;
  return counts;
}

/**
 * @throws {PipelineError} dirty, with the counts and the first ids, when more than `maxShare` of the rows are dirty.
 */
export async function checkDirtyShare(
  fields: FieldsFile,
  rows: readonly DirtyRow[],
  maxShare: number,
  batch: number,
): Promise<void> {
  const dirty = new Set(rows.map(({ row }) => row)).size;
  if (dirty === 0 || dirty <= maxShare * fields.rows) return;
  const first = rows.slice(0, 5);
  const { idsOfRows } = await import("./row-ids.js");
  const ids = await idsOfRows(
    fields,
    first.map(({ row }) => row),
    batch,
  );
  throw new PipelineError("dirty", "Too many dirty rows", {
    path: fields.path,
    dirty,
    of: fields.rows,
    expected: `at most ${maxShare * 100} % (--max-dirty)`,
    problems: Object.entries(countProblems(rows))
      .map(([problem, n]) => `${problem} ${n}`)
      .join("; "),
    firstIds: ids.map((id) => id ?? "(none)").join(" "),
  });
}

/** List dirty rows in a CSV side file: row, field_id, problem. */
export async function writeDirtyRows(
  path: string,
  fields: FieldsFile,
  rows: readonly DirtyRow[],
  batch: number,
): Promise<void> {
  const unique = [...new Set(rows.map(({ row }) => row))];
  const { idsOfRows } = await import("./row-ids.js");
  const ids = await idsOfRows(fields, unique, batch);
  const idOf = new Map(unique.map((row, i) => [row, ids[i]]));
  const lines = rows.map(({ row, problem }) => `${row},${csvCell(String(idOf.get(row) ?? ""))},${problem}\n`);
  writeFileSync(path, `${DIRTY_HEADER}${lines.join("")}`);
}

function csvCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
