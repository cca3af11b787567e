import type { Origin } from "../pipeline/output-origin.js";
import { CREATED_BY } from "./created-by.js";

/** Who made a parquet file, by its footer. */
export async function parquetOrigin(path: string, createdBy: string = CREATED_BY): Promise<Origin> {
  const { openParquet } = await import("./parquet-file.js");
  try {
    return (await openParquet(path)).createdBy === createdBy ? "ours" : "other";
  } catch {
    return "unreadable";
  }
}
