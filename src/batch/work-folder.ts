import { accessSync, constants, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { asPipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { holderNow, isAlive, isHere, parseHolder } from "../pipeline/holder.js";

const PREFIX = "fields-batch-";
const SHARED_MEMORY = "/dev/shm";
const HOLDER = ".holder";

/**
 * A folder for the work folders of a runner's items, on the node itself: many small files are
 * slow on parallel file systems. By default under TMPDIR where it is set, else in /dev/shm,
 * else /tmp. Folders of runners that were killed on this host are removed.
 *
 * @throws {PipelineError} usage, when it cannot be made.
 */
export function openWorkFolder(parent: string | undefined, runner: string): string {
  const base = resolve(parent ?? process.env.TMPDIR ?? (isWritable(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()));
  const folder = join(base, `${PREFIX}${runner}`);
  try {
    makeFolder(folder);
    writeFileSync(join(folder, HOLDER), JSON.stringify(holderNow(runner, 0)));
  } catch (error) {
    throw asPipelineError(error, "usage", "Work folder cannot be made; choose another with --tmp", { folder });
  }
  sweep(base);
  return folder;
}

/** Remove what runners of this host that are dead by now left behind. */
function sweep(base: string): void {
  for (const name of readdirSync(base)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(base, name);
    try {
      const holder = parseHolder(readFileSync(join(folder, HOLDER), "utf8"));
      if (holder && isHere(holder) && !isAlive(holder)) rmSync(folder, { recursive: true, force: true });
    } catch {
      // Another user's, or just being made or removed.
    }
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
