import type { SliceColumns } from "../fields/field-slice.js";
import { idReader } from "../fields/ids.js";
import { columnData, readSlice, wkbColumn } from "../fields/read-slice.js";
import { moved } from "../parallel/moved.js";
import { type Boxes, boxesOf } from "./boxes.js";

/** Read a slice of fields for the lookup index. */
export async function boxSlice({ path, slice, idColumn, geometryColumn }: SliceColumns): Promise<Boxes> {
  const table = await readSlice(path, slice, [idColumn, geometryColumn]);
  const ids = idReader(columnData(table, idColumn), idColumn);
  const boxes = boxesOf(wkbColumn(columnData(table, geometryColumn)), ids);
  return moved(boxes, [boxes.box, boxes.idHash]);
}
boxSlice.module = import.meta.url;
