import { existsSync, statSync } from "node:fs";
import gdal from "gdal-async";
import type { Pixels, Window } from "../kernel/raster.js";
import { isRemote } from "../network/remote-url.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { type Grid, windowText } from "./grid.js";
import { type BandType, PIXEL_ARRAYS } from "./pixels.js";

/** MiB of GDAL's cache; small, because blocks are read only once, in order. */
gdal.config.set("GDAL_CACHEMAX", "16");

/** A categorical raster: one band of classes. */
export interface Raster {
  readonly path: string;
  /** Number of the band, from 1. */
  readonly band: number;
  /** GDAL's name of the format. */
  readonly driver: string;
  readonly grid: Grid;
  readonly type: BandType;
  readonly bytesPerPixel: number;
  /** Rows and columns of the file's blocks (tiles or strips). */
  readonly block: { readonly width: number; readonly height: number };
  /** Undefined if the band declares none. */
  readonly nodata: number | undefined;
  /**
   * Whether GDAL masks pixels by more than the nodata class: an internal mask, a .msk file, an alpha band,
   * NODATA_VALUES, a float nodata or one that does not fit the type. Then the mask decides which pixels count, not nodata.
   */
  readonly masked: boolean;
  /** Source of the file's blocks, if they are not all in it. */
  readonly remote?: BlockSource;
}

export interface BlockSource {
  readonly url: string;
  /** Converts an error about the file into one about the URL. */
  named(error: unknown): unknown;
  /** Fetch the blocks of windows into the file. */
  bring(raster: Raster, windows: readonly Window[], ctx: Context): Promise<void>;
}

/** The whole world at 10 m has half as many. The data per chunk of a larger raster would not fit in memory. */
const MAX_PIXELS = 2 ** 44;

/**
 * Open a raster and check that its band can be counted.
 *
 * @param number  band number, from 1.
 * @throws {PipelineError} input: missing, not a raster that GDAL reads, no CRS, rotated, wrong band type.
 */
export function openRaster(path: string, number = 1): Raster {
  const dataset = openDataset(path);
  try {
    const { srs, geoTransform, rasterSize } = dataset;
    if (!rasterSize || dataset.bands.count() === 0) throw new PipelineError("input", "Raster has no band", { path });
    if (rasterSize.x * rasterSize.y > MAX_PIXELS) {
      const received = `${rasterSize.x} × ${rasterSize.y}`;
      throw new PipelineError("input", "Raster is too large", { path, expected: "2^44 pixels or less", received });
    }
    // An empty CRS counts as none.
    const crs = srs?.toWKT() ?? "";
    if (crs === "") throw new PipelineError("input", "Raster has no CRS", { path });
    if (geoTransform?.length !== 6) throw new PipelineError("input", "Raster has no geotransform", { path });
    const g = geoTransform as unknown as Grid["geotransform"];
    if (g[2] !== 0 || g[4] !== 0 || g[1] === 0 || g[5] === 0) {
      throw new PipelineError("input", "Raster must be north-up, not rotated", { path, geotransform: g.join(" ") });
    }
    if (number > dataset.bands.count()) {
      throw new PipelineError("input", "Raster has no such band", {
        path,
        expected: number,
        received: dataset.bands.count(),
      });
    }
    const band = dataset.bands.get(number);
    const type = bandType(band);
    if (!(type in PIXEL_ARRAYS)) {
      throw new PipelineError("input", "Unsupported band type", {
        path,
        expected: Object.keys(PIXEL_ARRAYS).join(" "),
        received: type,
      });
    }
    return {
      path,
      band: number,
      driver: dataset.driver.description,
      grid: { crs, geotransform: g, width: rasterSize.x, height: rasterSize.y },
      type: type as BandType,
      bytesPerPixel: PIXEL_ARRAYS[type as BandType].BYTES_PER_ELEMENT,
      block: { width: band.blockSize?.x ?? rasterSize.x, height: band.blockSize?.y ?? 1 },
      nodata: band.noDataValue ?? undefined,
      masked: isMasked(band, type as BandType),
    };
  } finally {
    dataset.close();
  }
}

/** GDAL's name of the band's type; before GDAL 3.7 signed bytes are bytes with a metadata item. */
function bandType(band: gdal.RasterBand): string {
  const type = band.dataType ?? "unknown";
  return type === "Byte" && band.getMetadata("IMAGE_STRUCTURE").PIXELTYPE === "SIGNEDBYTE" ? "Int8" : type;
}

/** GDAL's flags of a mask (GMF_*). */
const [ALL_VALID, NODATA] = [1, 8];

function isMasked(band: gdal.RasterBand, type: BandType): boolean {
  const flags = band.getMaskFlags();
  if (flags === ALL_VALID) return false;
  if (flags !== NODATA) return true;
  const nodata = band.noDataValue as number;
  if (Number.isNaN(nodata)) return false;
  // GDAL rounds a nodata that does not fit the type and masks by the result; for floats it also masks values near nodata.
  return type.startsWith("Float") || PIXEL_ARRAYS[type].of(nodata)[0] !== nodata;
}

/** Classes that the band declares as not counted. */
export function nodataClasses({ nodata, masked }: Raster): readonly number[] {
  return nodata === undefined || masked ? [] : [nodata];
}

function openDataset(path: string): gdal.Dataset {
  if (isRemote(path)) throw new PipelineError("usage", "Raster is a URL; open it with openRemoteRaster", { url: path });
  if (!existsSync(path)) throw new PipelineError("input", "Raster not found", { path });
  const file = statSync(path);
  // Opening a pipe blocks until it has a writer, and signals are not handled meanwhile; a folder may be a raster.
  if (!file.isFile() && !file.isDirectory()) throw new PipelineError("input", "Raster is not a file", { path });
  try {
    return gdal.open(path);
  } catch (cause) {
    throw new PipelineError("input", "Raster cannot be opened", { path }, { cause });
  }
}

/**
 * Windows of a raster, read in parallel into shared memory.
 *
 * GDAL's bindings load in one thread only, so this thread owns the handles. Reading
 * and decoding run on libuv's threads, one read per handle at a time, and workers
 * count from the shared buffer without a copy.
 */
export class RasterReader {
  #free: gdal.Dataset[];
  #waiting: ((dataset: gdal.Dataset) => void)[] = [];
  readonly #all: readonly gdal.Dataset[];

  constructor(
    private readonly raster: Raster,
    handles: number,
  ) {
    this.#all = Array.from({ length: handles }, () => openDataset(raster.path));
    this.#free = [...this.#all];
  }

  /**
   * @param mask  filled with one byte per pixel, 0 where the pixel does not count.
   * @throws {PipelineError} input, naming file and window, if a block does not decode.
   */
  async read({ col, row, width, height }: Window, pixels: Pixels, mask?: Uint8Array): Promise<void> {
    const dataset = await this.#acquire();
    try {
      const band = dataset.bands.get(this.raster.band);
      const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      const target = (pixels instanceof Int8Array ? bytes : pixels).subarray(0, width * height) as Uint8Array;
      await band.pixels.readAsync(col, row, width, height, target);
      if (mask) await band.getMaskBand()?.pixels.readAsync(col, row, width, height, mask.subarray(0, width * height));
    } catch (cause) {
      throw new PipelineError(
        "input",
        "Raster block cannot be read",
        { path: this.raster.path, window: windowText({ col, row, width, height }) },
        { cause },
      );
    } finally {
      this.#release(dataset);
    }
  }

  close(): void {
    for (const dataset of this.#all) dataset.close();
  }

  #acquire(): Promise<gdal.Dataset> {
    const dataset = this.#free.pop();
    return dataset ? Promise.resolve(dataset) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(dataset: gdal.Dataset): void {
    const next = this.#waiting.shift();
    if (next) next(dataset);
    else this.#free.push(dataset);
  }
}
