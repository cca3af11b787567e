import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { makeFolder } from "./folder.js";

/**
 * The folder beside `target` in which it is made: same file system, so the
 * rename is atomic; a fixed name, so the next run finds what a kill left.
 */
export function scratchBeside(target: string): string {
  return join(dirname(target), `.${basename(target)}.scratch`);
}

/** An empty scratch folder beside `target`; `keep` leaves what an earlier run left there (to resume it). */
export function openScratch(target: string, keep = false): string {
  const scratch = scratchBeside(target);
  if (!keep) rmSync(scratch, { recursive: true, force: true });
  makeFolder(scratch);
  return scratch;
}

export function removeScratch(target: string): void {
  rmSync(scratchBeside(target), { recursive: true, force: true });
}

/**
 * Put a finished file in its place: data on disk, then the name, then the folder's
 * entry. A crash at any moment leaves the old file or the new one, whole.
 */
export function publishFile(partial: string, target: string): void {
  fsyncPath(partial);
  renameSync(partial, target);
  fsyncPath(dirname(target));
}

/** fsync a file or a folder by path. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function removeFile(path: string): void {
  if (!existsSync(path)) return;
  rmSync(path, { force: true });
  fsyncPath(dirname(path));
}
