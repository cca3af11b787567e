import { writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type Canvas, loadImage } from "@napi-rs/canvas";
import type { Context } from "../../pipeline/context.js";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import { firstBytes } from "../../pipeline/input-file.js";
import { makeOutput } from "../../pipeline/output.js";
import type { Origin } from "../../pipeline/output-origin.js";

/** Signature and IHDR, the start of every PNG. */
const HEAD_BYTES = 33;
const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const SOFTWARE = textChunk("Software", "fields-pipeline");

/**
 * Encode a picture, read it back, and rename it, so the path has the old file or the new one.
 *
 * @throws {PipelineError} failed, when the picture does not read back.
 */
export async function writePng(canvas: Canvas, out: string, ctx: Context): Promise<void> {
  try {
    await makeOutput(out, ctx, async ({ partial }) => {
      const encoded = canvas.toBuffer("image/png");
      writeFileSync(partial, Buffer.concat([encoded.subarray(0, HEAD_BYTES), SOFTWARE, encoded.subarray(HEAD_BYTES)]));
      const { width, height } = await loadImage(partial);
      if (width === canvas.width && height === canvas.height) return;
      const expected = `${canvas.width} × ${canvas.height}`;
      throw new PipelineError("failed", "The picture does not read back", {
        expected,
        received: `${width} × ${height}`,
      });
    });
  } catch (error) {
    throw asPipelineError(error, "failed", "Cannot write the picture", { path: out });
  }
}

/** The program that made a picture, from its `Software` text. */
export function pngOrigin(path: string): Origin {
  const head = firstBytes(path, HEAD_BYTES + SOFTWARE.length);
  if (!head.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return "unreadable";
  return head.subarray(HEAD_BYTES).equals(SOFTWARE) ? "ours" : "other";
}

function textChunk(key: string, text: string): Buffer {
  const data = Buffer.from(`tEXt${key}\0${text}`, "latin1");
  const chunk = Buffer.alloc(data.length + 8);
  chunk.writeUInt32BE(data.length - 4, 0);
  chunk.set(data, 4);
  chunk.writeUInt32BE(crc32(data), data.length + 4);
  return chunk;
}
