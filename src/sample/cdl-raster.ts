import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../legend/cdl-legend.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { RASTER_MARK_KEY, SAMPLE_MARK } from "./mark.js";
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
/** Memory limit for bands that are painted ahead. */
const BANDS_BYTES = 1.5 * 2 ** 30;
/** Less than this is no room. */
const FULL_BYTES = 2 ** 16;
const CONUS_ALBERS = 5070;

/** Paints rows `from` up to but not including `to` of all years, wherever it does. */
export type PaintRows = (from: number, to: number) => Promise<readonly Uint8Array[]>;

/**
 * Write some years' rasters as NASS publishes them: EPSG:5070, 30 m, uint8 with a palette.
 *
 * GDAL reports success on a full disk, so the files are read back and their pixels are
 * compared.
 *
 * @param paths  by year, like `years`.
 * @param threads  by which bands are painted ahead, as far as memory allows; each holds its rows of every year.
 * @throws {PipelineError} space or failed, naming file and year.
 */
export async function writeRasters(
  paths: readonly string[],
  years: readonly number[],
  world: World,
  format: RasterFormat,
  paint: PaintRows,
  threads: number,
  ctx: Context,
): Promise<void> {
  const rows = bandRows(format.block);
  const fitting = Math.floor(BANDS_BYTES / (world.width * rows * years.length));
  const ahead = Math.max(1, Math.min(threads + 1, fitting));
  const writers = years.map((year, i) => new RasterWriter(paths[i] as string, year, world, format));
  const task = ctx.progress.start(`rows painted of ${years.join(", ")}`, world.height);
  try {
    for await (const { from, to, codes } of paintedBands(world.height, rows, paint, ahead)) {
      ctx.signal.throwIfAborted();
      await settled(writers.map((writer, i) => writer.write(from, to, codes[i] as Uint8Array, ctx)));
      task.update(to);
    }
    await settled(writers.map((writer) => writer.verify(format.block, ctx)));
  } finally {
    task.end();
    for (const writer of writers) writer.close();
  }
}

function paintedBands(height: number, rows: number, paint: PaintRows, ahead: number) {
  const bands = Array.from({ length: Math.ceil(height / rows) }, (_, i) => ({
    from: i * rows,
    to: Math.min(height, (i + 1) * rows),
  }));
  return mapOrdered(bands, ahead, async ({ from, to }) => ({ from, to, codes: await paint(from, to) }));
}

/** Wait for all, then throw the first error, so that nothing writes to a closed file. */
async function settled(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const rejected = results.find((result) => result.status === "rejected");
  if (rejected) throw rejected.reason;
}

/** One year's raster during writing. */
class RasterWriter {
  readonly #hash = createHash("sha256");
  #dataset: gdal.Dataset | undefined;

  constructor(
    private readonly path: string,
    private readonly year: number,
    private readonly world: World,
    private readonly format: RasterFormat,
  ) {}

  write(from: number, to: number, codes: Uint8Array, ctx: Context): Promise<void> {
    return this.#guarded(ctx, async () => {
      this.#dataset ??= createRaster(this.path, this.world, this.format);
      const written = writeRows(this.#dataset, from, to - from, codes);
      this.#hash.update(codes);
      await written;
    });
  }

  /** Compare the file's content with what was written. */
  async verify(block: number, ctx: Context): Promise<void> {
    const { path, year } = this;
    const painted = this.#hash.digest("hex");
    const read = await this.#guarded(ctx, () => {
      this.close();
      return digestOf(path, block, ctx);
    });
    if (read === painted) return;
    if (isFull(path)) throw new PipelineError("space", "No space left on device", { path, year });
    throw new PipelineError("failed", "The sample raster does not read back as it was written", { path, year });
  }

  close(): void {
    this.#dataset?.close();
    this.#dataset = undefined;
  }

  async #guarded<T>(ctx: Context, body: () => Promise<T>): Promise<T> {
    const where = { path: this.path, year: this.year };
    try {
      return await body();
    } catch (cause) {
      if (ctx.signal.aborted) throw ctx.signal.reason;
      if (isFull(this.path)) throw new PipelineError("space", "No space left on device", where);
      throw asPipelineError(cause, "failed", "Cannot write the sample raster", where);
    }
  }
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
