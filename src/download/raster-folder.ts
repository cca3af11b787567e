import { existsSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PipelineError } from "../pipeline/errors.js";
import { fsyncPath } from "../pipeline/output.js";
import { removeTree } from "../pipeline/remove-tree.js";
import { readDocument } from "../pipeline/small-file.js";
import { STANDIN } from "../raster/raster-file.js";

/** Lists the names of the folder's files that a download put there; whatever else is in it is the user's. */
const MARK = ".fields-pipeline";

/** Endings of a download that takes the place of a raster's parts. */
const WHOLE = [".whole", ".whole.part", ".whole.json"];

/** @throws {PipelineError} usage, naming the first file that no download put there. */
export function checkFolder(folder: string): void {
  if (!existsSync(folder)) return;
  const own = ownFiles(folder);
  const foreign = readdirSync(folder).find((name) => name !== MARK && !own.includes(name));
  if (foreign === undefined) return;
  throw new PipelineError("usage", "The raster folder holds a file that was not downloaded; move it away", {
    path: join(folder, foreign),
  });
}

/** Put a finished folder in the place of an older one; all data is on disk before the name. */
export function putFolder(made: string, folder: string, aside: string): void {
  checkFolder(folder);
  writeFileSync(join(made, MARK), `${JSON.stringify(readdirSync(made).sort())}\n`);
  for (const name of readdirSync(made)) fsyncPath(join(made, name));
  fsyncPath(made);
  removeTree(aside);
  if (existsSync(folder)) renameSync(folder, aside);
  renameSync(made, folder);
  fsyncPath(dirname(folder));
}

/**
 * Remove what was downloaded into the folder, and the folder itself unless a user's file is in it.
 *
 * @returns bytes that were freed.
 */
export function removeDownloaded(folder: string): number {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const name of [...ownFiles(folder), MARK]) {
    const path = join(folder, name);
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    rmSync(path, { force: true });
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
  return bytes;
}

function ownFiles(folder: string): string[] {
  const mark = join(folder, MARK);
  const own = existsSync(mark) ? (JSON.parse(readDocument(mark).toString("utf8")) as string[]) : [];
  const partial = own.find((name) => name.endsWith(STANDIN))?.slice(0, -STANDIN.length);
  return partial === undefined ? own : [...own, ...WHOLE.map((ending) => partial + ending)];
}
