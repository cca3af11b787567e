import { closeSync, fstatSync, readSync } from "node:fs";
import gdal from "gdal-async";
import { openInput } from "../pipeline/input-file.js";
import type { Origin } from "../pipeline/output-origin.js";
import { parquetOrigin } from "../table/parquet-origin.js";
import { RASTER_MARK_KEY, SAMPLE_MARK } from "./mark.js";

/** Whether a file is one of a sample's. */
export async function sampleOrigin(path: string): Promise<Origin> {
  if (path.endsWith(".parquet")) return parquetOrigin(path, SAMPLE_MARK);
  if (path.endsWith(".zip")) return lastBytes(path, SAMPLE_MARK.length) === SAMPLE_MARK ? "ours" : "other";
  try {
    const dataset = gdal.open(path);
    try {
      return dataset.getMetadata()[RASTER_MARK_KEY] === SAMPLE_MARK ? "ours" : "other";
    } finally {
      dataset.close();
    }
  } catch {
    return "unreadable";
  }
}

function lastBytes(path: string, length: number): string {
  const fd = openInput(path);
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(length, size));
    readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString("latin1");
  } finally {
    closeSync(fd);
  }
}
