import { Entries } from "../archive/entries.js";
import type { Archive } from "../archive/reader.js";
import { firstTileId } from "../archive/tile-id.js";

/** The distinct contents of an archive, in the order of their first entry in the directory. */
export interface Contents {
  readonly count: number;
  /** Bytes from the file's start. */
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  /** First tile that has it. */
  readonly tileIds: Float64Array;
  /** 1 if a tile of the highest zoom has it. */
  readonly highest: Uint8Array;
  /** Content of each directory entry. */
  readonly ofEntry: Uint32Array;
}

export function contentsOf({ entries, header }: Archive): Contents {
  const n = entries.count;
  const [offsets, lengths, tileIds] = [new Float64Array(n), new Uint32Array(n), new Float64Array(n)];
  const [highest, ofEntry] = [new Uint8Array(n), new Uint32Array(n)];
  const highestFrom = firstTileId(header.maxZoom);
  /** By offset; filled once a content does not follow all earlier ones. */
  let known: Map<number, number> | undefined;
  let [count, last] = [0, -1];
  for (let e = 0; e < n; e++) {
    const offset = header.tiles.offset + entries.offset(e);
    let content: number | undefined;
    if (offset <= last) {
      known ??= new Map(Array.from({ length: count }, (_, c) => [offsets[c] as number, c]));
      content = known.get(offset);
    }
    if (content === undefined) {
      content = count++;
      offsets[content] = offset;
      lengths[content] = entries.length(e);
      tileIds[content] = entries.tileId(e);
      known?.set(offset, content);
      last = Math.max(last, offset);
    }
    ofEntry[e] = content;
    if (entries.tileId(e) + entries.runLength(e) > highestFrom) highest[content] = 1;
  }
  return {
    count,
    offsets: offsets.subarray(0, count),
    lengths: lengths.subarray(0, count),
    tileIds: tileIds.subarray(0, count),
    highest: highest.subarray(0, count),
    ofEntry,
  };
}

/** Contents [from, to). */
export interface ContentRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Ranges of contents of about `bytes`, at least one tile each.
 *
 * @param size  bytes that a content counts for.
 */
export function* rangesOf(contents: Contents, bytes: number, most: number, size: (content: number) => number) {
  for (let from = 0; from < contents.count; ) {
    let [sum, to] = [0, from];
    for (; to < contents.count && to - from < most && (sum < bytes || to === from); to++) {
      // Marked tiles are at the end of a range.
      if (to > from && (contents.highest[to] as number) < (contents.highest[to - 1] as number)) break;
      sum += size(to);
    }
    yield { from, to } satisfies ContentRange;
    from = to;
  }
}

/** Positions of some contents, for a worker to read: pairs of offset and length, and their ends once read. */
export interface Spans {
  readonly spans: Float64Array;
  readonly ends: Uint32Array;
}

/** Adjacent contents are read in one call. */
export function spansOf({ offsets, lengths }: Contents, { from, to }: ContentRange): Spans {
  const spans: number[] = [];
  const ends = new Uint32Array(to - from);
  let [bytes, next] = [0, -1];
  for (let c = from; c < to; c++) {
    const [offset, length] = [offsets[c] as number, lengths[c] as number];
    if (offset === next) spans[spans.length - 1] = (spans.at(-1) as number) + length;
    else spans.push(offset, length);
    next = offset + length;
    bytes += length;
    ends[c - from] = bytes;
  }
  return { spans: Float64Array.from(spans), ends };
}

/** The archive's directory for new contents with these lengths, written without gaps. */
export function directoryOf({ entries }: Archive, { ofEntry, count }: Contents, lengths: Uint32Array): Entries {
  const starts = new Float64Array(count);
  for (let c = 1; c < count; c++) starts[c] = (starts[c - 1] as number) + (lengths[c - 1] as number);
  const directory = new Entries(entries.count);
  for (let e = 0; e < entries.count; e++) {
    const content = ofEntry[e] as number;
    directory.push(entries.tileId(e), starts[content] as number, lengths[content] as number, entries.runLength(e));
  }
  return directory;
}

/** Store the lengths of a range's contents, computed from their ends. */
export function setLengths(lengths: Uint32Array, { from }: ContentRange, ends: Uint32Array): void {
  for (let i = 0; i < ends.length; i++) lengths[from + i] = (ends[i] as number) - (ends[i - 1] ?? 0);
}
