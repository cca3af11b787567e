import type { Metadata } from "../archive/metadata.js";
import { Archive } from "../archive/reader.js";
import type { ArchiveWriter } from "../archive/writer.js";
import type { PackedTiles } from "../kernel/tiles.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import { type ContentRange, contentsOf, directoryOf, rangesOf, type Spans, setLengths, spansOf } from "./contents.js";

/** Bytes that a worker takes at a time. */
const BATCH_BYTES = 2 ** 18;
const BATCH_TILES = 1024;
const AHEAD = 2;

/** Some contents of an archive, for a worker. */
export interface ContentsTask extends Spans {
  readonly path: string;
  readonly tileIds: Float64Array;
}

export interface Conversion<R extends PackedTiles> {
  readonly source: string;
  readonly target: ArchiveWriter;
  readonly metadata: Metadata;
  /** Convert some contents in a worker. */
  readonly convert: (task: ContentsTask) => Promise<R>;
  readonly onBatch?: (result: R) => void;
  /** For the progress. */
  readonly title: string;
  readonly threads: number;
}

/**
 * Write an archive with the same directory and contents that workers converted.
 *
 * @returns the number of distinct contents, and their new bytes.
 * @throws {PipelineError} input, naming the tile, when the source is damaged; space.
 */
export async function convertContents<R extends PackedTiles>(
  { source, target, metadata, convert, onBatch, title, threads }: Conversion<R>,
  ctx: Context,
): Promise<{ tiles: number; bytes: number }> {
  const archive = new Archive(source);
  const task = ctx.progress.start(title, archive.entries.count);
  try {
    const contents = contentsOf(archive);
    const run = async (range: ContentRange) => {
      const tileIds = contents.tileIds.slice(range.from, range.to);
      try {
        return { range, made: await convert({ path: source, ...spansOf(contents, range), tileIds }) };
      } catch (cause) {
        throw asPipelineError(cause, "input", "Archive cannot be read", { path: source });
      }
    };
    const lengths = new Uint32Array(contents.count);
    let bytes = 0;
    const ranges = rangesOf(contents, BATCH_BYTES, BATCH_TILES, (c) => contents.lengths[c] as number);
    for await (const { range, made } of mapOrdered(ranges, threads + AHEAD, run)) {
      ctx.signal.throwIfAborted();
      target.writeTiles(made.content, bytes);
      setLengths(lengths, range, made.ends);
      bytes += made.content.length;
      onBatch?.(made);
      task.update(range.to);
    }
    target.adopt(directoryOf(archive, contents, lengths), contents.count, bytes);
    const { bounds, center } = archive.header;
    target.finish({ metadata, bounds, center });
    return { tiles: contents.count, bytes };
  } finally {
    task.end();
    target.close();
    archive.close();
  }
}
