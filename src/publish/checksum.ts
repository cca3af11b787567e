import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Context } from "../pipeline/context.js";

const READ_BYTES = 4 * 2 ** 20;

/**
 * SHA-256 of a whole file as 64 hex digits.
 *
 * @param onProgress  called with the bytes read so far.
 */
export async function fileChecksum(path: string, ctx: Context, onProgress?: (bytes: number) => void): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES, signal: ctx.signal })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).length;
    onProgress?.(done);
  }
  return hash.digest("hex");
}
