import { closeSync, existsSync, fstatSync, openAsBlob, readSync } from "node:fs";
import { PipelineError } from "../pipeline/errors.js";
import { openInput } from "../pipeline/input-file.js";

const MAGIC = "PAR1";
/** The key in Thrift, with its length before it; and one as long that no reader looks for. */
const [ARROW_SCHEMA, NO_SCHEMA] = ["\x0cARROW:schema", "\x0carrow-schema"];

/**
 * A parquet file's end, from its metadata on.
 *
 * @throws {PipelineError} input: missing, not parquet, cut short (no PAR1 at its end).
 */
export function readFooter(path: string): Uint8Array<ArrayBuffer> {
  if (!existsSync(path)) throw new PipelineError("input", "File not found", { path });
  const fd = openInput(path);
  try {
    const { size } = fstatSync(fd);
    const ends = Buffer.alloc(12);
    readSync(fd, ends, 0, 4, 0);
    if (size >= 12) readSync(fd, ends, 4, 8, size - 8);
    const [head, tail] = [ends.toString("latin1", 0, 4), ends.toString("latin1", 8)];
    if (head !== MAGIC)
      throw new PipelineError("input", "Not a parquet file", { path, expected: MAGIC, received: JSON.stringify(head) });
    if (tail !== MAGIC) {
      throw new PipelineError("input", "Parquet file is cut short: no footer at its end", {
        path,
        expected: MAGIC,
        bytes: size,
      });
    }
    const bytes = ends.readUInt32LE(4) + 8;
    if (bytes > size - 4)
      throw new PipelineError("input", "Parquet footer cannot be read", { path, footer: bytes, bytes: size });
    const footer = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const count = readSync(fd, footer, at, bytes - at, size - bytes + at);
      if (count === 0) throw new PipelineError("input", "Parquet footer cannot be read", { path, bytes: size });
      at += count;
    }
    return footer;
  } finally {
    closeSync(fd);
  }
}

/**
 * A parquet file without what its writer had in memory (`ARROW:schema`): readers that know Arrow then go by parquet's
 * own schema, and give plain columns in place of dictionaries and views, which not all of them know.
 *
 * @throws as readFooter.
 */
export async function openAsPlainParquet(path: string): Promise<Blob> {
  const footer = readFooter(path);
  const file = await openAsBlob(path);
  return hideArrowSchema(footer) ? new Blob([file.slice(0, file.size - footer.length), footer]) : file;
}

/** Whether there was one in this footer. */
function hideArrowSchema({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>): boolean {
  const footer = Buffer.from(buffer, byteOffset, length);
  const at = footer.lastIndexOf(ARROW_SCHEMA, -1, "latin1");
  if (at >= 0) footer.write(NO_SCHEMA, at, "latin1");
  return at >= 0;
}
