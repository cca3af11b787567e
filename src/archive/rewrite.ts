import { setImmediate as breathe } from "node:timers/promises";
import { centerOf } from "./center.js";
import type { Header } from "./header.js";
import type { Metadata } from "./metadata.js";
import { Archive } from "./reader.js";
import { ArchiveWriter } from "./writer.js";

/** Tiles between two chances for signals and timers. */
const TILES_PER_TURN = 2048;

export interface RewriteOptions {
  readonly signal?: AbortSignal;
  /** Told how many of `total` entries are copied. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Copy an archive with other metadata and new directories; tiles are copied as
 * they are, in Hilbert order, identical ones once.
 *
 * @param source  as tippecanoe wrote it; not changed.
 * @param target  made or overwritten.
 * @param change  the old metadata in, the new out.
 */
export async function rewriteMetadata(
  source: string,
  target: string,
  change: (metadata: Metadata) => Metadata,
  options: RewriteOptions = {},
): Promise<Header> {
  const archive = new Archive(source);
  let writer: ArchiveWriter | undefined;
  try {
    writer = new ArchiveWriter(target, archive.header.tileCompression);
    const { entries } = archive;
    for (let i = 0; i < entries.count; i++) {
      if (i % TILES_PER_TURN === 0) {
        await breathe();
        options.signal?.throwIfAborted();
        options.onProgress?.(i, entries.count);
      }
      writer.write(entries.tileId(i), archive.storedTile(i), entries.runLength(i));
    }
    const { bounds, minZoom, maxZoom } = archive.header;
    const center = centerOf(archive.header.center, bounds, minZoom, maxZoom);
    return writer.finish({ metadata: change(archive.metadata()), bounds, center });
  } finally {
    writer?.close();
    archive.close();
  }
}

/** Give an archive that was written by ArchiveWriter other metadata, in its place. */
export function replaceMetadata(path: string, change: (metadata: Metadata) => Metadata): Header {
  const archive = new Archive(path);
  const { header, entries } = archive;
  const metadata = archive.metadata();
  archive.close();
  const writer = ArchiveWriter.reopen(path, entries, header);
  try {
    const { bounds, center } = header;
    return writer.finish({ metadata: change(metadata), bounds, center });
  } finally {
    writer.close();
  }
}
