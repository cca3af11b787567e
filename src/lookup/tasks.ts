import { columnIds } from "../fields/field-id.js";
import { readFields, type SliceColumns } from "../fields/reader.js";
import { transfer } from "../parallel/transfer.js";
import { type Boxes, boxesOf } from "./boxes.js";

/** Read a slice of fields for the lookup index. */
export async function boxSlice(task: SliceColumns): Promise<Boxes> {
  const { column, idColumn } = await readFields(task);
  const boxes = boxesOf(column, columnIds(idColumn));
  return transfer(boxes, [boxes.box, boxes.idHash]);
}
boxSlice.module = import.meta.url;
