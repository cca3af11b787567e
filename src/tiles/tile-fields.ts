import { dirname, join } from "node:path";
import type { Run } from "../config/run.js";
import type { FieldsFile } from "../fields/fields-file.js";
import type { CellZooms } from "./archive-metadata.js";
import type { FieldAudit } from "./audit.js";
import { type FeatureAttributes, FeatureStream } from "./feature-stream.js";
import { preflight } from "./preflight.js";
import { tempDirName } from "./temp-dir.js";
import { runTippecanoe } from "./tippecanoe.js";

/** An archive as the tiler wrote it, with the tiler's metadata. */
export interface Tiled {
  readonly path: string;
  /** `tippecanoe v2.53.0` */
  readonly engine: string;
  /** Zooms with cells instead of every field; undefined if there are none. */
  readonly cells: CellZooms | undefined;
  /** FIELD_STATUS code per row. */
  readonly status: Uint8Array;
  /** Rows whose geometry can be drawn. */
  readonly drawn: number;
  /** From a tiler that audits its tiles. */
  readonly audit?: FieldAudit;
}

/**
 * Tile every field and its centroid: workers stream, tippecanoe tiles, next to
 * `partial`. The caller must verify the result.
 *
 * @param what  the year, or the base of all years; for the temporary folder's name.
 */
export async function tileFields(
  fields: FieldsFile,
  attributes: FeatureAttributes,
  partial: string,
  what: number | "base",
  { options, layout, pool: openedPool, ctx }: Run,
): Promise<Tiled> {
  const pool = openedPool();
  const { minZoom, maxZoom } = options;
  const stream = new FeatureStream(fields, attributes, options, pool, ctx);
  const path = join(dirname(partial), "tippecanoe.pmtiles");
  const ready = await preflight({
    program: options.tippecanoe,
    output: path,
    maxZoom,
    inputBytes: await stream.estimateBytes(),
    threads: pool.threads,
    scratch: options.scratch,
    tempDirName: tempDirName(layout.root, options.region, what),
  });
  ctx.log.info("tippecanoe", { version: ready.version, threads: ready.plan.threads, tempDir: ready.tempDir.path });
  const task = ctx.progress.start("tiling %", 100);
  try {
    await runTippecanoe({
      features: stream,
      output: path,
      tempDir: ready.tempDir.path,
      minZoom,
      maxZoom,
      program: ready.program,
      plan: ready.plan,
      signal: ctx.signal,
      log: ctx.log,
      stallMs: options.stallSeconds === 0 ? undefined : options.stallSeconds * 1000,
      onProgress: (percent) => task.update(percent),
    });
  } finally {
    task.end();
  }
  return { path, engine: ready.version, cells: undefined, status: stream.status, drawn: stream.drawn };
}
