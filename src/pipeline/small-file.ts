import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

const KIB = 2 ** 10;
/** A heartbeat, an owner: a few hundred bytes. */
const NOTE_BYTES = 64 * KIB;
/** A record, a manifest: the largest known have some megabytes. */
const DOCUMENT_BYTES = 64 * KIB * KIB;

/**
 * Read a file of a few hundred bytes that other users may have put in its place: never through a
 * link, never more than 64 KiB, and never waiting, as a FIFO would have it.
 *
 * @throws as fs does; ELOOP for a link, EFTYPE for what is no regular file, EFBIG for one that is too large.
 */
export function readNote(path: string): string {
  return read(path, constants.O_NOFOLLOW, NOTE_BYTES).toString("utf8");
}

/**
 * Read a whole JSON or text file of up to 64 MiB; links are followed.
 *
 * @throws as fs does; EFTYPE for what is no regular file, EFBIG for one that is too large.
 */
export function readDocument(path: string): Buffer {
  return read(path, 0, DOCUMENT_BYTES);
}

function read(path: string, flags: number, limit: number): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | flags);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw refusal("EFTYPE", "not a regular file", path);
    if (stat.size > limit) throw refusal("EFBIG", `larger than ${limit} bytes`, path);
    const bytes = Buffer.alloc(stat.size + 1);
    let filled = 0;
    for (;;) {
      const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
      filled += count;
      if (count === 0 || filled === bytes.length) return bytes.subarray(0, Math.min(filled, stat.size));
    }
  } finally {
    closeSync(fd);
  }
}

function refusal(code: string, why: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${why}, read '${path}'`), { code, path });
}
