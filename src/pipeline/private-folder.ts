import { randomBytes, randomUUID } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { holderNow, isGone, parseHolder } from "./holder.js";
import { removeTree } from "./remove-tree.js";
import { readNote } from "./small-file.js";

/** Lies in a folder and says whose it is. */
const OWNER = "owner.json";
/** A folder without an owner is one of a process that was killed as it made it, unless it is this young. */
const NEWBORN_MS = 3_600_000;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * A new path for temporary files in a place that other users write to as well, as /tmp and /dev/shm:
 * `PLACE/fields-pipeline-UID/NAME-RANDOM`. The folder of the user admits nobody else, so nothing
 * below it can be foreseen, put in the way or exchanged by others.
 */
export function privatePath(place: string, name: string): string {
  return join(userFolder(place), `${name}-${randomBytes(8).toString("hex")}`);
}

/** Why private folders cannot be made in a place; undefined when they can. Makes nothing. */
export function privateProblem(place: string): string | undefined {
  const path = userFolder(place);
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) return foreign(found, path);
    accessSync(place, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return `cannot be used (${(error as Error).message})`;
  }
}

/**
 * Make the folder of a path from `privatePath`, empty, for this user alone, with a note of this process.
 *
 * @throws where the user's folder is a link, another user's or open to others.
 */
export function makePrivate(path: string): void {
  const parent = dirname(path);
  mkdirSync(dirname(parent), { recursive: true });
  for (let attempt = 1; ; attempt++) {
    try {
      mkdirSync(parent, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    try {
      inUserFolder(parent, (folder) => {
        mkdirSync(`${folder}/${basename(path)}`, { mode: 0o700 });
        const owner = JSON.stringify(holderNow(randomUUID(), 0));
        writeFileSync(`${folder}/${basename(path)}/${OWNER}`, owner, { flag: "wx", mode: 0o600 });
      });
      return;
    } catch (error) {
      // Another process of this user took the folder away as it was empty.
      if (codeOf(error) !== "ENOENT" || attempt === 10) throw error;
    }
  }
}

/** Remove a folder that this process has made, and the user's folder with it where it was the last. */
export function removePrivate(path: string): void {
  const parent = dirname(path);
  try {
    inUserFolder(parent, (folder) => removeTree(`${folder}/${basename(path)}`));
    rmdirSync(parent);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(codeOf(error) ?? "")) throw error;
  }
}

/** This user's private folders whose processes are dead. */
export function abandonedPrivate(places: readonly string[]): string[] {
  return [...new Set(places.map(userFolder))].flatMap((parent) => {
    const found: string[] = [];
    try {
      inUserFolder(parent, (folder) => {
        for (const name of readdirSync(folder)) if (isAbandoned(`${folder}/${name}`)) found.push(join(parent, name));
      });
    } catch {
      // None there, or not ours.
    }
    return found;
  });
}

/**
 * Remove this user's private folders whose processes are dead. One whose owner cannot be looked at
 * (another host's or container's) is left alone.
 *
 * @returns paths that were removed.
 */
export function sweepPrivate(places: readonly string[]): string[] {
  return [...new Set(places.map(userFolder))].flatMap((parent) => {
    const removed: string[] = [];
    try {
      inUserFolder(parent, (folder) => {
        for (const name of readdirSync(folder)) {
          if (!isAbandoned(`${folder}/${name}`)) continue;
          removeTree(`${folder}/${name}`);
          removed.push(join(parent, name));
        }
      });
      if (removed.length > 0) rmdirSync(parent);
    } catch {
      // None there, not ours, in use, or swept by another process just now.
    }
    return removed;
  });
}

function isAbandoned(path: string): boolean {
  try {
    const owner = parseHolder(readNote(`${path}/${OWNER}`));
    if (owner !== undefined) return isGone(owner);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return false;
  }
  // A kill between the folder and its note leaves one or the other empty.
  const empty = readdirSync(path).every((name) => name === OWNER);
  return empty && Date.now() - statSync(path).mtimeMs > NEWBORN_MS;
}

function userFolder(place: string): string {
  return join(place, `fields-pipeline-${process.geteuid?.() ?? 0}`);
}

/** Do something in the user's folder by way of a descriptor: what is put in its place meanwhile is not touched. */
function inUserFolder(path: string, use: (folder: string) => void): void {
  if (path !== userFolder(dirname(path))) throw new Error(`Internal error: ${path} is not a private folder`);
  const fd = openSync(path, FOLDER);
  try {
    const problem = foreign(fstatSync(fd), path);
    if (problem !== undefined) throw Object.assign(new Error(`EPERM: ${problem}`), { code: "EPERM", path });
    use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/** Why a folder is not this user's alone; undefined when it is. */
function foreign(found: Stats, path: string): string | undefined {
  if (!found.isDirectory()) return `${path} is no folder`;
  if (found.uid !== process.geteuid?.()) return `${path} belongs to another user (uid ${found.uid})`;
  if ((found.mode & 0o077) !== 0) return `${path} is open to other users (mode ${(found.mode & 0o777).toString(8)})`;
  return undefined;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
