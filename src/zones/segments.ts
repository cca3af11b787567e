import { closeSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Burned } from "../kernel/zonal.js";

/** Runs of a batch, ordered by chunk; see Burned. */
export type ChunkRuns = Pick<Burned, "chunks" | "entryEnd" | "runEnd" | "field" | "shape" | "run">;

/** Segments of some chunks, one a chunk, that go into the index one behind the other. */
export interface SegmentRange {
  /** Chunks, ascending. */
  readonly chunks: Uint32Array;
  readonly entries: Uint32Array;
  readonly runs: Uint32Array;
  /** Where the first begins in the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** Segments gathered before they are written. */
const WRITE_BYTES = 4 * 2 ** 20;

/**
 * Plan the segments of batches: where each chunk's runs will lie in the file.
 *
 * @param parts  how many ranges of about the same size to cut them into.
 */
export function planSegments(batches: readonly ChunkRuns[], offset: number, parts: number): SegmentRange[] {
  const sizes = new Map<number, { entries: number; runs: number }>();
  for (const { chunks, entryEnd, runEnd } of batches) {
    let [entry, run] = [0, 0];
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i] as number;
      const size = sizes.get(chunk) ?? { entries: 0, runs: 0 };
      sizes.set(chunk, size);
      size.entries += (entryEnd[i] as number) - entry;
      size.runs += (runEnd[i] as number) - run;
      [entry, run] = [entryEnd[i] as number, runEnd[i] as number];
    }
  }
  const bytesOf = (chunk: number) => {
    const { entries, runs } = sizes.get(chunk) as { entries: number; runs: number };
    return 4 * (2 * entries + runs);
  };
  const all = Uint32Array.from(sizes.keys()).sort();
  const total = all.reduce((sum, chunk) => sum + bytesOf(chunk), 0);
  const ranges: SegmentRange[] = [];
  let [from, at] = [0, offset];
  while (from < all.length) {
    let [to, bytes] = [from, 0];
    while (to < all.length && (to === from || bytes < total / parts)) bytes += bytesOf(all[to++] as number);
    const chunks = all.slice(from, to);
    ranges.push({
      chunks,
      entries: chunks.map((chunk) => sizes.get(chunk)?.entries as number),
      runs: chunks.map((chunk) => sizes.get(chunk)?.runs as number),
      offset: at,
      bytes,
    });
    [from, at] = [to, at + bytes];
  }
  return ranges;
}

/**
 * Gather a range's segments from the batches that hold their runs, in row order, and write them to their place.
 *
 * @returns CRC-32 of each segment.
 */
export function writeSegments(path: string, range: SegmentRange, batches: readonly ChunkRuns[]): Uint32Array {
  const crcs = new Uint32Array(range.chunks.length);
  const fd = openSync(path, "r+");
  try {
    const sources = batches.map((batch) => new ChunkCursor(batch));
    let [at, filled] = [range.offset, 0];
    let room = new Uint8Array(Math.min(range.bytes, WRITE_BYTES));
    const flush = () => {
      for (let done = 0; done < filled; ) done += writeSync(fd, room, done, filled - done, at + done);
      [at, filled] = [at + filled, 0];
    };
    range.chunks.forEach((chunk, i) => {
      const [entries, runs] = [range.entries[i] as number, range.runs[i] as number];
      const bytes = 4 * (2 * entries + runs);
      if (filled + bytes > room.length) flush();
      if (bytes > room.length) room = new Uint8Array(bytes);
      const words = new Uint32Array(room.buffer, filled, bytes / 4);
      let [field, shape, run] = [0, entries, 2 * entries];
      for (const source of sources) {
        const part = source.take(chunk);
        if (part === undefined) continue;
        words.set(part.field, field);
        words.set(part.shape, shape);
        words.set(part.run, run);
        field += part.field.length;
        shape += part.shape.length;
        run += part.run.length;
      }
      crcs[i] = crc32(room.subarray(filled, filled + bytes));
      filled += bytes;
    });
    flush();
  } finally {
    closeSync(fd);
  }
  return crcs;
}

/** Walks a batch's chunks as they are asked for, ascending. */
class ChunkCursor {
  #at = 0;

  constructor(readonly batch: ChunkRuns) {}

  take(chunk: number): Pick<Burned, "field" | "shape" | "run"> | undefined {
    const { chunks, entryEnd, runEnd, field, shape, run } = this.batch;
    while (this.#at < chunks.length && (chunks[this.#at] as number) < chunk) this.#at++;
    const i = this.#at;
    if (chunks[i] !== chunk) return undefined;
    const [entry, begin] = i === 0 ? [0, 0] : [entryEnd[i - 1] as number, runEnd[i - 1] as number];
    return {
      field: field.subarray(entry, entryEnd[i]),
      shape: shape.subarray(entry, entryEnd[i]),
      run: run.subarray(begin, runEnd[i]),
    };
  }
}
