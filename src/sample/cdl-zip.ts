import { createWriteStream } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import yazl from "yazl";
import { SAMPLE_MARK } from "./mark.js";

/** DOS times have no zone: these fields of a local date stand in the zip as they are, wherever it is made. */
const MODIFIED = new Date(2024, 0, 31, 12, 0, 0);

/** Zip files as NASS does, all at the top; the same files give the same bytes. */
export async function writeZip(path: string, files: readonly string[], signal: AbortSignal): Promise<void> {
  const zip = new yazl.ZipFile();
  const output = createWriteStream(path);
  const failed = new Promise<never>((_, reject) => zip.on("error", reject));
  for (const file of files) {
    // The raster is compressed by itself already.
    zip.addFile(file, basename(file), {
      mtime: MODIFIED,
      forceDosTimestamp: true,
      mode: 0o100644,
      compressionLevel: 1,
    });
  }
  zip.end({ comment: SAMPLE_MARK, forceZip64Format: false });
  await Promise.race([pipeline(zip.outputStream, output, { signal }), failed]);
}
