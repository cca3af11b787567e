import type { Archive } from "./reader.js";
import { firstTileId, tileOf } from "./tile-id.js";

/** What an archive holds at one zoom. */
export interface ZoomSummary {
  readonly zoom: number;
  /** Tiles that have an answer. */
  readonly tiles: number;
  readonly entries: number;
  /** Stored bytes that the entries point to; a content shared by two entries counts twice. */
  readonly bytes: number;
  readonly largestBytes: number;
  /** Address of the largest one. */
  readonly largest: number;
}

/** Entries [from, to) of one zoom; directories are in tile id order, so they are neighbors. */
export interface EntryRange {
  readonly from: number;
  readonly to: number;
}

/** Entries whose first tile is of zoom `z`. */
export function entriesOfZoom({ entries }: Archive, z: number): EntryRange {
  return {
    from: entries.findAtOrBefore(firstTileId(z) - 1) + 1,
    to: entries.findAtOrBefore(firstTileId(z + 1) - 1) + 1,
  };
}

/** One row for each zoom from the lowest to the highest that has tiles. */
export function summarizeZooms(archive: Archive): ZoomSummary[] {
  const { entries } = archive;
  if (entries.count === 0) return [];
  const last = tileOf(entries.tileId(entries.count - 1)).z;
  const rows: ZoomSummary[] = [];
  for (let zoom = tileOf(entries.tileId(0)).z; zoom <= last; zoom++) {
    const { from, to } = entriesOfZoom(archive, zoom);
    let [tiles, bytes, largestBytes, largest] = [0, 0, 0, -1];
    for (let i = from; i < to; i++) {
      tiles += entries.runLength(i);
      bytes += entries.length(i);
      if (entries.length(i) > largestBytes) [largestBytes, largest] = [entries.length(i), entries.tileId(i)];
    }
    rows.push({ zoom, tiles, entries: to - from, bytes, largestBytes, largest });
  }
  return rows;
}
