import { existsSync, lstatSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PipelineError } from "./errors.js";
import { makeFolder } from "./folder.js";

/** Who made a file: this program, something else, or nobody can tell because it cannot be read. */
export type Origin = "ours" | "other" | "unreadable";

/** Reads a file's origin from what its format keeps about its maker. */
export type OriginOf = (path: string) => Promise<Origin> | Origin;

/** For formats that do not record their writer. */
export const unknownOrigin: OriginOf = () => "other";

export interface OutputCheck {
  /** Files that the command reads; never replaced, not even by force. */
  readonly inputs?: readonly string[];
  readonly originOf: OriginOf;
  /** Replace a file whoever made it. */
  readonly force: boolean;
}

/**
 * Refuse an output path where a file would be lost that this program did not make. The folder of the output is
 * created where it is missing.
 *
 * @throws {PipelineError} usage: the path is a folder or a device, or one of the inputs; a file of another maker
 *   lies there and `force` is off.
 */
export async function checkOutput(path: string, { inputs = [], originOf, force }: OutputCheck): Promise<void> {
  makeFolder(dirname(resolve(path)));
  const present = statSync(path, { throwIfNoEntry: false });
  if (present === undefined) {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined || force) return;
    throw new PipelineError("usage", "The output path is a link to a file that is missing; remove it, or use --force", {
      path,
    });
  }
  if (!present.isFile()) {
    throw new PipelineError("usage", "The output path is not a file", { path });
  }
  for (const input of inputs) {
    const read = statSync(input, { throwIfNoEntry: false });
    if (read?.ino === present.ino && read.dev === present.dev) {
      throw new PipelineError("usage", "The output would replace an input; choose another path", { path, input });
    }
  }
  // An empty file is a name that was reserved, as mktemp does.
  if (force || present.size === 0 || (await originOf(path)) === "ours") return;
  throw refusal(path);
}

/**
 * The same for a path that the program chose itself: under a record of its own a file that cannot be read is
 * a damaged output, to be made again.
 *
 * @param recorded  whether there is a record of an output at `path`.
 */
export async function checkStepOutput(path: string, originOf: OriginOf, recorded: boolean): Promise<void> {
  if (!existsSync(path)) return;
  const origin = await originOf(path);
  if (origin === "other" || (origin === "unreadable" && !recorded)) throw refusal(path);
}

function refusal(path: string): PipelineError {
  return new PipelineError("usage", "File exists and was not made by this program; move it away, or use --force", {
    path: resolve(path),
  });
}
