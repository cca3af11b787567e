import type { FieldId } from "./field-id.js";
import type { FieldsFile } from "./fields-file.js";
import { idReader } from "./ids.js";
import { columnData, readSlice } from "./read-slice.js";
import { planSlices } from "./slice.js";

/** Ids of rows, in the order asked, null where a row has none; rows ascending. */
export async function idsOfRows(
  fields: FieldsFile,
  rows: readonly number[],
  batch: number,
): Promise<(FieldId | null)[]> {
  const ids: (FieldId | null)[] = [];
  let at = 0;
  for (const slice of planSlices(fields, batch)) {
    if (at >= rows.length) break;
    const end = slice.firstRow + slice.rows;
    if ((rows[at] as number) >= end) continue;
    const table = await readSlice(fields.path, slice, [fields.idColumn]);
    const id = idReader(columnData(table, fields.idColumn), fields.idColumn);
    for (; at < rows.length && (rows[at] as number) < end; at++) ids.push(id((rows[at] as number) - slice.firstRow));
  }
  return ids;
}
