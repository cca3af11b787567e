import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { asPipelineError, PipelineError } from "./errors.js";

/**
 * Create a folder and the missing ones above it.
 *
 * Node's own `recursive` never returns where a file system answers ENOENT to mkdir itself, as /proc does.
 *
 * @throws {PipelineError} usage, naming the first folder that cannot be created; space.
 */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; !isFolder(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw asPipelineError(error, "usage", "Cannot create the folder", { path: folder });
    }
  }
}

/**
 * A root that commands only look at: a mistyped one is no empty one.
 *
 * @throws {PipelineError} input, when there is no such folder.
 */
export function requireRoot(root: string): void {
  const path = resolve(root);
  if (!isFolder(path)) throw new PipelineError("input", "The root does not exist; choose one with --root", { path });
}

/** @throws {PipelineError} usage, where something else has the name, or it cannot be looked at. */
function isFolder(path: string): boolean {
  let entry: ReturnType<typeof statSync> | undefined;
  try {
    entry = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // The name above it is a file: said of that one.
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw asPipelineError(error, "usage", "Cannot read the folder", { path });
  }
  if (entry === undefined || entry.isDirectory()) return entry !== undefined;
  throw new PipelineError("usage", "Not a folder: a file with this name exists", { path });
}
