import gdal from "gdal-async";
import { CDL_LEGEND } from "../legend/cdl-legend.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
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
const CONUS_ALBERS = 5070;

/**
 * Paint one year as NASS publishes it: EPSG:5070, 30 m, uint8 with a palette.
 *
 * The next band of rows is painted while the last one is compressed; two are in
 * memory.
 *
 * @throws {PipelineError} failed or space; GDAL's own words are the cause.
 */
export async function writeRaster(
  path: string,
  world: World,
  year: number,
  format: RasterFormat,
  ctx: Context,
): Promise<void> {
  const { width, height } = world;
  const dataset = createRaster(path, world, format);
  const band = dataset.bands.get(1);
  const painter = new Painter(world, year);
  const task = ctx.progress.start(`rows painted of ${year}`, height);
  const rows = format.block * Math.ceil(BAND_ROWS / format.block);
  const buffers = [new Uint8Array(width * rows), new Uint8Array(width * rows)] as const;
  let written: Promise<void> = Promise.resolve();
  try {
    for (let row = 0, turn = 0; row < height; row += rows, turn = 1 - turn) {
      ctx.signal.throwIfAborted();
      const count = Math.min(rows, height - row);
      const codes = buffers[turn as 0 | 1];
      for (let i = 0; i < count; i++) painter.paintRow(row + i, codes, i * width);
      await written;
      written = writeRows(dataset, band, row, width, count, codes);
      written.catch(() => {}); // Reported where it is awaited.
      task.update(row + count);
    }
    await written;
    // Closing writes the directory, and says nothing when it cannot: flush first.
    await dataset.flushAsync();
  } catch (cause) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    throw asPipelineError(cause, "failed", "Cannot write the sample raster", { path, year });
  } finally {
    await written.catch(() => {});
    task.end();
    dataset.close();
  }
}

/** Blocks go to the file in order, whatever GDAL's cache would do: the same bytes everywhere. */
async function writeRows(
  dataset: gdal.Dataset,
  band: gdal.RasterBand,
  row: number,
  width: number,
  count: number,
  codes: Uint8Array,
): Promise<void> {
  await band.pixels.writeAsync(0, row, width, count, codes.subarray(0, width * count));
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
