import { gunzipSync, inflateSync } from "node:zlib";

const MIB = 2 ** 20;
/** A tile's plain bytes: a thousand times what tippecanoe allows a tile packed. */
export const TILE_LIMIT = 256 * MIB;
/** The metadata's: those of a national base archive have some megabytes. */
export const METADATA_LIMIT = 64 * MIB;

/**
 * Decompress gzip of at most `limit` bytes: a few packed bytes may stand for gigabytes.
 *
 * @throws {RangeError} ERR_BUFFER_TOO_LARGE, naming the limit; else as zlib.
 */
export function gunzip(packed: Uint8Array, limit: number): Buffer {
  return within(limit, () => gunzipSync(packed, { maxOutputLength: limit }));
}

/** The same of zlib's format. */
export function inflate(packed: Uint8Array, limit: number): Buffer {
  return within(limit, () => inflateSync(packed, { maxOutputLength: limit }));
}

function within(limit: number, unpack: () => Buffer): Buffer {
  try {
    return unpack();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw cause;
    throw new RangeError(`it decompresses to more than ${limit} bytes`, { cause });
  }
}
