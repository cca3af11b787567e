import type { Metadata } from "../archive/metadata.js";
import { ArchiveWriter } from "../archive/writer.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { convertContents } from "./convert-contents.js";
import { recordPlan } from "./record-plan.js";
import { readBaseTiles } from "./tasks.js";

/** gzip level, for an archive that is to be published. */
const EXPORT_LEVEL = 9;

/**
 * Write a base's tiles as an archive for any PMTiles reader.
 *
 * @throws {PipelineError} input, naming the tile, when a record is damaged; space.
 */
export async function exportBaseTiles(
  source: string,
  rows: number,
  target: string,
  metadata: Metadata,
  pool: Pool,
  ctx: Context,
): Promise<void> {
  const plan = { ...recordPlan(rows), level: EXPORT_LEVEL };
  await convertContents(
    {
      source,
      target: new ArchiveWriter(target),
      metadata,
      convert: (task) => pool.run(readBaseTiles, { ...task, plan }),
      title: "base tiles written",
      threads: pool.threads,
    },
    ctx,
  );
}
