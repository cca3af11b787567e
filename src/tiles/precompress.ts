import { COMPRESSION, TILE_TYPE } from "../archive/header.js";
import type { Metadata } from "../archive/metadata.js";
import { ArchiveWriter } from "../archive/writer.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { convertContents } from "./convert-contents.js";
import { recordPlan } from "./record-plan.js";
import { precompressTiles } from "./tasks.js";

/** Raised whenever records (native/tiles/precompressed/record.h), or their attribute, change. */
export const RECORD_VERSION = 1;

export interface PrecompressReport {
  /** Distinct contents. */
  readonly tiles: number;
  /** Contents that cannot be records, stored as gzip: every year rewrites them. */
  readonly gzipTiles: number;
  readonly bytes: number;
}

/** Writes precompressed tiles: a PMTiles archive whose contents are records instead of vector tiles. */
export function recordWriter(path: string): ArchiveWriter {
  return new ArchiveWriter(path, COMPRESSION.none, TILE_TYPE.unknown);
}

/**
 * Precompress the tiles of an archive.
 *
 * @param source  gzip tiles; read only.
 * @param rows  feature ids are less than this.
 * @param metadata  of the target.
 * @throws {PipelineError} input, naming the tile, when the source is damaged; space.
 */
export async function precompressArchive(
  source: string,
  target: string,
  rows: number,
  metadata: Metadata,
  pool: Pool,
  ctx: Context,
): Promise<PrecompressReport> {
  let gzipTiles = 0;
  const plan = recordPlan(rows);
  const { tiles, bytes } = await convertContents(
    {
      source,
      target: recordWriter(target),
      metadata,
      convert: (task) => pool.run(precompressTiles, { ...task, plan }),
      onBatch: (made) => {
        gzipTiles += made.gzipTiles;
      },
      title: "tiles precompressed",
      threads: pool.threads,
    },
    ctx,
  );
  return { tiles, gzipTiles, bytes };
}
