import { nativeKernel } from "../kernel/native.js";
import type { EncodedChunk } from "../kernel/parquet.js";
import type { EncodedRows, TableArrays, TableWords } from "../kernel/zonal.js";
import { transfer } from "../parallel/transfer.js";
import type { IdGroup } from "../zones/format.js";
import { readIds } from "../zones/zone-reader.js";
import { type LaneResult, type LaneTask, runLane } from "./scan-lane.js";

/** Count the windows of a scan until there are no more. */
export async function scanLane(task: LaneTask): Promise<LaneResult> {
  const result = await runLane(task);
  return "waiting" in result ? transfer(result, result.waiting.flat().flatMap(Object.values)) : result;
}
scanLane.module = import.meta.url;

export interface RowsTask {
  readonly arrays: TableArrays;
  readonly from: number;
  readonly to: number;
  /** Columns for the kernel's encodeRows, without the ids. */
  readonly columns: Uint8Array;
  readonly words: TableWords;
  /** The zone index, source of the ids. */
  readonly index: { readonly path: string; readonly fd: number };
  readonly ids: IdGroup;
  /** Position of the ids among the columns. */
  readonly idPlace: number;
}

/** A row group of the zonal table: the pages of its columns in sequence. */
export interface RowGroup extends Omit<EncodedRows, "columns"> {
  readonly bytes: Uint8Array;
  readonly columns: readonly Omit<EncodedChunk, "bytes">[];
  readonly lengths: readonly number[];
}

/** Encode a row group of the zonal table. */
export async function encodeRowGroup(task: RowsTask): Promise<RowGroup> {
  const { arrays, from, to, columns, words, index, ids, idPlace } = task;
  const { columns: encoded, ...facts } = nativeKernel().encodeRows(arrays, from, to, columns, words);
  const chunks = encoded.toSpliced(idPlace, 0, readIds(index.path, index.fd, ids));
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0));
  const lengths: number[] = [];
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk.bytes, at);
    lengths.push(chunk.bytes.length);
    at += chunk.bytes.length;
  }
  const described = chunks.map(({ bytes: _bytes, ...rest }) => rest);
  return transfer({ ...facts, bytes, columns: described, lengths }, [bytes]);
}
encodeRowGroup.module = import.meta.url;
