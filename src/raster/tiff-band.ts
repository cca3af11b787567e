import { closeSync, openSync } from "node:fs";
import { endianness } from "node:os";
import type { RasterKernel, TiffBand } from "../kernel/raster.js";
import { type BandType, PIXEL_ARRAYS } from "./pixels.js";
import type { Raster } from "./raster.js";
import { readerOf, TAG, TiffHeader } from "./tiff-header.js";

/** BlackIsZero and palette: the stored value is the class. */
const PHOTOMETRIC = [1, 3];
/** Largest block that a worker may hold in addition to its window. */
const MAX_BLOCK_BYTES = 2 ** 30;

/**
 * Positions of a GeoTIFF's blocks, for decoding in workers; undefined for every file that the
 * workers do not support exactly as GDAL does: GDAL reads those.
 *
 * The caller closes `fd`.
 */
export function openTiffBand(raster: Raster, kernel: RasterKernel): TiffBand | undefined {
  if (raster.driver !== "GTiff" || raster.masked) return undefined;
  let fd: number | undefined;
  let band: TiffBand | undefined;
  try {
    fd = openSync(raster.path, "r");
    band = readBand(fd, raster, kernel);
  } catch (error) {
    // A number or table beyond the bytes that were read, or a missing file: GDAL decides.
    if (!(error instanceof RangeError) && !("syscall" in (error as Error))) throw error;
  } finally {
    if (band === undefined && fd !== undefined) closeSync(fd);
  }
  return band;
}

function readBand(fd: number, raster: Raster, kernel: RasterKernel): TiffBand | undefined {
  const { width, height } = raster.grid;
  const header = TiffHeader.first(readerOf(fd));
  if (header === undefined) return undefined;
  const layout = header.layout();
  const compression = header.number(TAG.compression, 1);
  const bytes = PIXEL_ARRAYS[raster.type].BYTES_PER_ELEMENT;
  const plain =
    layout?.width === width &&
    layout.height === height &&
    layout.blockWidth === raster.block.width &&
    layout.blockHeight === raster.block.height &&
    layout.blockWidth * layout.blockHeight * bytes <= MAX_BLOCK_BYTES &&
    header.number(TAG.samples, 1) === 1 &&
    header.number(TAG.bits, 1) === 8 * bytes &&
    header.number(TAG.sampleFormat, 1) === sampleFormat(raster.type) &&
    header.number(TAG.predictor, 1) === 1 &&
    header.number(TAG.fillOrder, 1) === 1 &&
    header.number(TAG.orientation, 1) === 1 &&
    PHOTOMETRIC.includes(header.number(TAG.photometric, -1)) &&
    (bytes === 1 || header.littleEndian === (endianness() === "LE")) &&
    kernel.canDecode(compression);
  if (!plain) return undefined;
  const blocks = header.blocks(layout);
  if (blocks === undefined) return undefined;
  const nodata = raster.nodata ?? 0;
  const fill = PIXEL_ARRAYS[raster.type].of(nodata);
  if (blocks.sizes.includes(0)) {
    // libtiff computes the size of a single strip.
    if (!layout.tiled && blocks.sizes.length === 1) return undefined;
    // GDAL rounds or clamps values that do not fit the type.
    if (!raster.type.startsWith("Float") && fill[0] !== nodata) return undefined;
  }
  return { fd, compression, ...layout, ...blocks, fill: new Uint8Array(fill.buffer) };
}

function sampleFormat(type: BandType): number {
  if (type.startsWith("Float")) return 3;
  return type.startsWith("Int") ? 2 : 1;
}
