import type { Pixels } from "../kernel/raster.js";

/** Band types for classes, by GDAL name, with their array types. */
export const PIXEL_ARRAYS = {
  Byte: Uint8Array,
  Int8: Int8Array,
  UInt16: Uint16Array,
  Int16: Int16Array,
  UInt32: Uint32Array,
  Int32: Int32Array,
  Float32: Float32Array,
  Float64: Float64Array,
} as const;

export type BandType = keyof typeof PIXEL_ARRAYS;

/** Bytes for `count` pixels of a window, with their mask if the raster has one. */
export function windowBytes(type: BandType, masked: boolean, count: number): number {
  return count * (PIXEL_ARRAYS[type].BYTES_PER_ELEMENT + (masked ? 1 : 0));
}

/** The mask of a window of `count` pixels, which follows the pixels. */
export function maskArray(type: BandType, buffer: ArrayBufferLike, count: number): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, count * PIXEL_ARRAYS[type].BYTES_PER_ELEMENT, count);
}

/** The first `count` pixels of a buffer, typed as the band. */
export function pixelArray(type: BandType, buffer: ArrayBufferLike, count: number): Pixels {
  return new PIXEL_ARRAYS[type](buffer as ArrayBuffer, 0, count);
}
