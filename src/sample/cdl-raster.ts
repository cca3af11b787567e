import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../legend/cdl-legend.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { RASTER_MARK_KEY, SAMPLE_MARK } from "./mark.js";
import { Painter } from "./painter.js";
import { PIXEL_M, type World } from "./world.js";

export interface RasterFormat {
  readonly format: "tif" | "img";
  /** Square tiles, or strips as wide as the raster; an .img is always tiled. */
  readonly layout: "tiled" | "strips";
  /** Side of a tile, or rows of a strip, in pixels. */
  readonly block: number;
}

/** Rows that are painted and written at a time, at least; whole blocks, so that each is compressed once. */
const BAND_ROWS = 64;
/** Less than this is no room. */
const FULL_BYTES = 2 ** 16;
const CONUS_ALBERS = 5070;

/**
 * Paint one year as NASS publishes it: EPSG:5070, 30 m, uint8 with a palette.
 *
 * GDAL says nothing when the disk is full, so the file is read back and its pixels
 * compared.
 *
 * @throws {PipelineError} space or failed, naming file and year.
 */
export async function writeRaster(
  path: string,
  world: World,
  year: number,
  format: RasterFormat,
  ctx: Context,
): Promise<void> {
  const where = { path, year };
  try {
    const painted = await paintRaster(path, world, year, format, ctx);
    if ((await digestOf(path, format.block, ctx)) === painted) return;
  } catch (cause) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    if (!isFull(path)) throw asPipelineError(cause, "failed", "Cannot write the sample raster", where);
  }
  if (isFull(path)) throw new PipelineError("space", "No space left on device", where);
  throw new PipelineError("failed", "The sample raster does not read back as it was written", where);
}

/**
 * The next band of rows is painted while the last one is compressed; two are in
 * memory.
 *
 * @returns SHA-256 of all pixels, row by row.
 */
async function paintRaster(
  path: string,
  world: World,
  year: number,
  format: RasterFormat,
  ctx: Context,
): Promise<string> {
  const { width, height } = world;
  const dataset = createRaster(path, world, format);
  const painter = new Painter(world, year);
  const task = ctx.progress.start(`rows painted of ${year}`, height);
  const hash = createHash("sha256");
  const rows = bandRows(format.block);
  const buffers = [new Uint8Array(width * rows), new Uint8Array(width * rows)] as const;
  let written: Promise<void> = Promise.resolve();
  try {
    for (let row = 0, turn = 0; row < height; row += rows, turn = 1 - turn) {
      ctx.signal.throwIfAborted();
      const count = Math.min(rows, height - row);
      const codes = buffers[turn as 0 | 1].subarray(0, width * count);
      for (let i = 0; i < count; i++) painter.paintRow(row + i, codes, i * width);
      hash.update(codes);
      await written;
      written = writeRows(dataset, row, count, codes);
      written.catch(() => {}); // Reported where it is awaited.
      task.update(row + count);
    }
    await written;
  } finally {
    await written.catch(() => {});
    task.end();
    dataset.close();
  }
  return hash.digest("hex");
}

/** SHA-256 of a raster's pixels, row by row, as the file has them. */
async function digestOf(path: string, block: number, ctx: Context): Promise<string> {
  const dataset = gdal.open(path);
  const hash = createHash("sha256");
  try {
    const { x: width, y: height } = dataset.rasterSize;
    const band = dataset.bands.get(1);
    const rows = bandRows(block);
    for (let row = 0; row < height; row += rows) {
      ctx.signal.throwIfAborted();
      const count = Math.min(rows, height - row);
      hash.update(await band.pixels.readAsync(0, row, width, count, new Uint8Array(width * count)));
    }
  } finally {
    dataset.close();
  }
  return hash.digest("hex");
}

function bandRows(block: number): number {
  return block * Math.ceil(BAND_ROWS / block);
}

function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize < FULL_BYTES;
}

/** Blocks go to the file in order, whatever GDAL's cache would do: the same bytes everywhere. */
async function writeRows(dataset: gdal.Dataset, row: number, count: number, codes: Uint8Array): Promise<void> {
  await dataset.bands.get(1).pixels.writeAsync(0, row, codes.length / count, count, codes);
  await dataset.flushAsync();
}

function createRaster(path: string, world: World, format: RasterFormat): gdal.Dataset {
  const dataset = gdal.open(
    path,
    "w",
    format.format === "img" ? "HFA" : "GTiff",
    world.width,
    world.height,
    1,
    gdal.GDT_Byte,
    creationOptions(format),
  );
  dataset.srs = gdal.SpatialReference.fromEPSG(CONUS_ALBERS);
  dataset.geoTransform = [world.originX, PIXEL_M, 0, world.originY, 0, -PIXEL_M];
  const colors = new gdal.ColorTable(gdal.GPI_RGB);
  for (let code = 0; code < 256; code++) colors.set(code, { c1: 0, c2: 0, c3: 0, c4: 255 });
  for (const { code, color } of CDL_LEGEND) {
    const [c1, c2, c3] = [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16)) as [number, number, number];
    colors.set(code, { c1, c2, c3, c4: 255 });
  }
  dataset.setMetadata({ [RASTER_MARK_KEY]: SAMPLE_MARK });
  const band = dataset.bands.get(1);
  band.colorTable = colors;
  band.setMetadata({ LAYER_TYPE: "thematic" });
  return dataset;
}

function creationOptions({ format, layout, block }: RasterFormat): string[] {
  if (format === "img") return ["COMPRESSED=YES", `BLOCKSIZE=${block}`];
  const common = ["COMPRESS=LZW", "BIGTIFF=IF_SAFER"];
  if (layout === "tiled") return [...common, "TILED=YES", `BLOCKXSIZE=${block}`, `BLOCKYSIZE=${block}`];
  return [...common, "TILED=NO", `BLOCKYSIZE=${block}`];
}
