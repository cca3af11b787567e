import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { type FileHandle, open, readdir, rmdir, unlink } from "node:fs/promises";

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Remove a file, or a folder with all that is in it; nothing where there is nothing.
 *
 * Links are removed and never followed: a folder is emptied through its descriptor, so what is
 * put in its place meanwhile is left alone. Node's recursive `rm` follows a link that it may not
 * unlink, as another user's in a sticky folder.
 */
export function removeTree(path: string | Buffer): void {
  try {
    const folder = openFolder(path);
    if (folder === undefined) {
      unlinkSync(path);
      return;
    }
    try {
      for (const name of readdirSync(`/proc/self/fd/${folder}`, "buffer")) removeTree(entryOf(folder, name));
    } finally {
      closeSync(folder);
    }
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** The same without holding up the event loop: a tree on a slow file system. */
export async function removeTreeAsync(path: string | Buffer): Promise<void> {
  try {
    const folder = await openFolderAsync(path);
    if (folder === undefined) {
      await unlink(path);
      return;
    }
    try {
      const names = await readdir(`/proc/self/fd/${folder.fd}`, "buffer");
      for (const name of names) await removeTreeAsync(entryOf(folder.fd, name));
    } finally {
      await folder.close();
    }
    await rmdir(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/** Undefined for what is no folder; a link to one is none. */
function openFolder(path: string | Buffer): number | undefined {
  try {
    return openSync(path, FOLDER);
  } catch (error) {
    return isNoFolder(error);
  }
}

async function openFolderAsync(path: string | Buffer): Promise<FileHandle | undefined> {
  try {
    return await open(path, FOLDER);
  } catch (error) {
    return isNoFolder(error);
  }
}

function isNoFolder(error: unknown): undefined {
  if (!["ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) throw error;
}

/** Names are bytes: they need not be UTF-8. */
function entryOf(folder: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name]);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
