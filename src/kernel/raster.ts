/** `{col, row, width, height}` in pixels from the northwest corner; the end is exclusive. */
export interface Window {
  readonly col: number;
  readonly row: number;
  readonly width: number;
  readonly height: number;
}

export type Pixels =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** A band of a TIFF as its header has it; see native/raster/tiff_blocks.h. Sends across threads as it is. */
export interface TiffBand {
  /** For the whole process, not one thread. */
  readonly fd: number;
  readonly compression: number;
  readonly width: number;
  readonly height: number;
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly tiled: boolean;
  /** Bytes from the file's start, by block, rows of blocks from north to south; shared. */
  readonly offsets: Float64Array;
  /** 0 where the file does not have the block; shared. */
  readonly sizes: Float64Array;
  /** Bytes of a pixel that the file does not have. */
  readonly fill: Uint8Array;
}

/** Decodes blocks of rasters without GDAL, in any thread. */
export interface RasterKernel {
  /** @param compression  TIFF's number. */
  canDecode(compression: number): boolean;

  /**
   * Read and decode a window.
   *
   * @param pixels  filled; the window's, row-major.
   * @throws {Error} with `code` BLOCK, when a block does not decode or is not in the file.
   */
  readBlocks(band: TiffBand, window: Window, pixels: Pixels): void;
}
