import { randomBytes } from "./random-bytes.mjs";

// Bytes that begin as a raster does. Downloading looks no further; whoever reads pixels takes real rasters.
export function tiffBytes(length = 60_000, seed = 1) {
  return Buffer.concat([Buffer.from("II*\0"), randomBytes(length - 4, seed)]);
}

export function hfaBytes(length = 5_000, seed = 2) {
  return Buffer.concat([Buffer.from("EHFA_HEADER_TAG\0"), randomBytes(length - 16, seed)]);
}
