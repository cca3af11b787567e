import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import { makeOutput } from "../pipeline/output.js";
import type { Bounds, Header } from "./header.js";
import { mergeLayer, type SeenLayer, vectorLayersOf } from "./layer-summary.js";
import { archiveFactsOf, Mbtiles, type MbtilesKeys } from "./mbtiles.js";
import { Archive } from "./reader.js";
import { checkStructure } from "./structure.js";
import { mbtilesSlice } from "./tasks.js";
import { tileOf } from "./tile-id.js";
import { ArchiveWriter } from "./writer.js";

/** Tiles that a worker reads at a time: a megabyte or so, so that what waits to be written stays small. */
const TILES_PER_TASK = 128;

export interface Converted {
  readonly header: Header;
  readonly sourceTiles: number;
  /** Tiles without any bytes, which an archive has no place for. */
  readonly emptyTiles: number;
}

/**
 * Write MBTiles as a PMTiles archive: tiles in Hilbert order, identical ones once,
 * metadata carried over. Memory is 16 bytes a tile and what the workers hold.
 *
 * Workers read; contents come back in order and are written as they come. The
 * archive is checked and then takes its name; a kill leaves the old file or none.
 *
 * @throws {PipelineError} input, naming file and tile; space.
 */
export async function convertMbtiles(source: string, target: string, pool: Pool, ctx: Context): Promise<Converted> {
  const files = new InputFiles(source);
  return makeOutput(target, ctx, async ({ path: scratch, partial }, own) => {
    const mbtiles = new Mbtiles(source, scratch, "main");
    const keys = mbtiles.keys();
    const rows = mbtiles.metadata();
    mbtiles.close();
    const count = keys.tileIds.length;
    if (count === 0) throw new PipelineError("input", "MBTiles file has no tiles", { path: source });
    const maxZoom = tileOf(keys.tileIds[count - 1] as number).z;
    const facts = archiveFactsOf(rows, hullOf(keys, maxZoom), maxZoom, source);
    const writer = new ArchiveWriter(partial);
    let empty: number;
    let header: Header;
    try {
      const describe = facts.metadata.vector_layers === undefined;
      const written = await writeTiles(writer, keys, { path: source, folder: scratch, describe }, pool, own);
      empty = written.empty;
      if (empty === count)
        throw new PipelineError("input", "All tiles of the MBTiles file are empty", { path: source });
      const described = describe ? { vector_layers: vectorLayersOf(written.layers) } : {};
      header = writer.finish({ ...facts, metadata: { ...facts.metadata, ...described } });
    } finally {
      writer.close();
    }
    if (empty > 0) own.log.warn(`${empty} tiles are empty and left out`, { path: source });
    verifyConverted(partial, count - empty);
    files.requireUnchanged();
    return { header, sourceTiles: count, emptyTiles: empty };
  });
}

async function writeTiles(
  writer: ArchiveWriter,
  keys: MbtilesKeys,
  file: { readonly path: string; readonly folder: string; readonly describe: boolean },
  pool: Pool,
  ctx: Context,
): Promise<{ empty: number; layers: ReadonlyMap<string, SeenLayer> }> {
  const count = keys.tileIds.length;
  const task = ctx.progress.start("tiles converted", count);
  let empty = 0;
  const seen = new Map<string, SeenLayer>();
  const read = async ({ first, slice }: { first: number; slice: MbtilesKeys }) => {
    try {
      return { first, ...(await pool.run(mbtilesSlice, { ...file, keys: slice })) };
    } catch (cause) {
      throw asPipelineError(cause, "input", "MBTiles cannot be read", { path: file.path });
    }
  };
  try {
    for await (const { first, bytes, lengths, layers } of mapOrdered(slices(keys), pool.threads + 1, read)) {
      ctx.signal.throwIfAborted();
      for (const layer of layers) mergeLayer(seen, layer);
      let at = 0;
      lengths.forEach((length, i) => {
        if (length === 0) empty++;
        else writer.write(keys.tileIds[first + i] as number, bytes.subarray(at, at + length));
        at += length;
      });
      task.update(first + lengths.length);
    }
  } finally {
    task.end();
  }
  return { empty, layers: seen };
}

function* slices({ table, tileIds, rowIds }: MbtilesKeys): Generator<{ first: number; slice: MbtilesKeys }> {
  for (let first = 0; first < tileIds.length; first += TILES_PER_TASK) {
    const end = first + TILES_PER_TASK;
    yield { first, slice: { table, tileIds: tileIds.slice(first, end), rowIds: rowIds.slice(first, end) } };
  }
}

/** The archive holds together and has a tile for each one that was read. */
function verifyConverted(path: string, tiles: number): void {
  const archive = new Archive(path);
  try {
    checkStructure(archive);
    const received = archive.header.addressedTiles;
    if (received !== tiles) {
      throw new PipelineError("failed", "Tiles were lost in conversion", { path, expected: tiles, received });
    }
  } finally {
    archive.close();
  }
}

/** Degrees that the tiles of the highest zoom reach. */
function hullOf({ tileIds }: MbtilesKeys, zoom: number): Bounds {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = tileIds.length - 1; i >= 0; i--) {
    const { z, x, y } = tileOf(tileIds[i] as number);
    if (z < zoom) break;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
  }
  const lng = (column: number) => (column / 2 ** zoom) * 360 - 180;
  const lat = (row: number) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * row) / 2 ** zoom))) * 180) / Math.PI;
  return { west: lng(left), south: lat(bottom), east: lng(right), north: lat(top) };
}
