import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import { WHOLE_BYTES } from "./fingerprint.js";
import { readJson, writeJsonAtomic } from "./json-file.js";

/** What was read of a file, and how it stood then. */
export interface FullDigest {
  /** Inode, size and time; no device, whose number differs between the nodes of a cluster. */
  readonly standing: string;
  /** Hash of every byte. */
  readonly sha256: string;
  /** It may be removed once it has been read: a year's raster. */
  readonly mayGo?: true;
}

/** Files that are known, by path. */
type Known = Readonly<Record<string, FullDigest>>;

/** Changes when a file is replaced, written to or copied. */
export function standingOf(path: string): string {
  const { ino, size, mtimeNs } = statSync(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
}

/** Whether `fileDigest` has seen only samples of a file. */
export function isSampled(path: string): boolean {
  return statSync(path).size > WHOLE_BYTES;
}

/**
 * SHA-256 of all of a file; each version of a file is read once, and remembered in `folder`.
 *
 * @param folder  of records; several processes may write there, and what one forgets is read again.
 */
export async function fullDigest(path: string, folder: string, signal?: AbortSignal): Promise<FullDigest> {
  const store = join(folder, "digests.json");
  const standing = standingOf(path);
  const before = known(store)[path];
  if (before?.standing === standing) return before;
  const now = { standing, sha256: await hashFile(path, signal) };
  writeJsonAtomic(store, { ...known(store), [path]: now });
  return now;
}

/** SHA-256 of all of a file, read now. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function known(store: string): Known {
  const value = readJson(store);
  return typeof value === "object" && value !== null ? (value as Known) : {};
}
