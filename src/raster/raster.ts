import { existsSync, statSync } from "node:fs";
import gdal from "gdal-async";
import type { Pixels, Window } from "../kernel/raster.js";
import { PipelineError } from "../pipeline/errors.js";
import { type Grid, windowText } from "./grid.js";
import { type BandType, PIXEL_ARRAYS } from "./pixels.js";

/** MiB of GDAL's own cache: blocks are read once, in order, so what it holds is never asked for again. */
gdal.config.set("GDAL_CACHEMAX", "16");

/** A categorical raster: one band of classes. */
export interface Raster {
  readonly path: string;
  /** GDAL's name of the format. */
  readonly driver: string;
  readonly grid: Grid;
  readonly type: BandType;
  readonly bytesPerPixel: number;
  /** Rows and columns of the file's own blocks (tiles or strips). */
  readonly block: { readonly width: number; readonly height: number };
  /** Undefined when the band declares none. */
  readonly nodata: number | undefined;
}

/**
 * Open a raster and check that its first band can be counted.
 *
 * @throws {PipelineError} input: missing, not a raster that GDAL reads, no CRS, rotated, wrong band type.
 */
export function openRaster(path: string): Raster {
  const dataset = openDataset(path);
  try {
    const { srs, geoTransform, rasterSize } = dataset;
    if (!rasterSize || dataset.bands.count() === 0) throw new PipelineError("input", "Raster has no band", { path });
    // An empty CRS is no CRS either.
    const crs = srs?.toWKT() ?? "";
    if (crs === "") throw new PipelineError("input", "Raster has no CRS", { path });
    if (geoTransform?.length !== 6) throw new PipelineError("input", "Raster has no geotransform", { path });
    const g = geoTransform as unknown as Grid["geotransform"];
    if (g[2] !== 0 || g[4] !== 0 || g[1] === 0 || g[5] === 0) {
      throw new PipelineError("input", "Raster must be north-up, not rotated", { path, geotransform: g.join(" ") });
    }
    const band = dataset.bands.get(1);
    const type = band.dataType ?? "unknown";
    if (!(type in PIXEL_ARRAYS)) {
      throw new PipelineError("input", "Band type cannot be counted", {
        path,
        expected: Object.keys(PIXEL_ARRAYS).join(" "),
        received: type,
      });
    }
    return {
      path,
      driver: dataset.driver.description,
      grid: { crs, geotransform: g, width: rasterSize.x, height: rasterSize.y },
      type: type as BandType,
      bytesPerPixel: PIXEL_ARRAYS[type as BandType].BYTES_PER_ELEMENT,
      block: { width: band.blockSize?.x ?? rasterSize.x, height: band.blockSize?.y ?? 1 },
      nodata: band.noDataValue ?? undefined,
    };
  } finally {
    dataset.close();
  }
}

function openDataset(path: string): gdal.Dataset {
  if (!existsSync(path)) throw new PipelineError("input", "Raster not found", { path });
  const file = statSync(path);
  // Opening a pipe waits for its writer, and no signal is answered meanwhile; a folder may be a raster.
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
 * GDAL's bindings load in one thread only, so this thread owns the handles; the
 * reading and decoding itself runs on libuv's threads, one read per handle at a
 * time, and workers count from the shared buffer without a copy.
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

  /** @throws {PipelineError} input, naming file and window, when a block does not decode. */
  async read(window: Window, pixels: Pixels): Promise<void> {
    const dataset = await this.#acquire();
    try {
      const target = pixels.subarray(0, window.width * window.height) as Uint8Array;
      await dataset.bands.get(1).pixels.readAsync(window.col, window.row, window.width, window.height, target);
    } catch (cause) {
      throw new PipelineError(
        "input",
        "Raster block cannot be read",
        { path: this.raster.path, window: windowText(window) },
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
