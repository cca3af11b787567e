import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Canvas, loadImage } from "@napi-rs/canvas";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import { openScratch, publishFile, removeScratch } from "../../pipeline/output.js";

/** Encode a picture, read it back, and put it in place: there is the old file or the new. */
export async function writePng(canvas: Canvas, out: string): Promise<void> {
  try {
    const partial = join(openScratch(out), basename(out));
    writeFileSync(partial, canvas.toBuffer("image/png"));
    const { width, height } = await loadImage(partial);
    if (width !== canvas.width || height !== canvas.height) {
      const expected = `${canvas.width} × ${canvas.height}`;
      throw new PipelineError("failed", "The picture does not read back", {
        expected,
        received: `${width} × ${height}`,
      });
    }
    publishFile(partial, out);
  } catch (error) {
    throw asPipelineError(error, "failed", "Cannot write the picture", { path: out });
  } finally {
    removeScratch(out);
  }
}
