import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface OutputFile {
  /** Relative to the output folder. */
  readonly path: string;
  readonly bytes: number;
}

/** What an item wrote, listed once. */
export interface Output {
  readonly folder: string;
  /** Regular files; links and devices are none. */
  readonly files: readonly OutputFile[];
  /** Folders in it, relative. */
  readonly folders: readonly string[];
  /** Of all files together. */
  readonly bytes: number;
}

export async function listOutput(folder: string): Promise<Output> {
  const files: OutputFile[] = [];
  const folders: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (entry.isDirectory()) folders.push(path);
    else if (entry.isFile()) files.push({ path, bytes: (await lstat(join(folder, path))).size });
  }
  return { folder, files, folders, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Flush an output's files and folders to disk. */
export async function syncOutput({ folder, files, folders }: Output): Promise<void> {
  for (const { path } of files) await syncPath(join(folder, path));
  for (const path of folders) await syncPath(join(folder, path));
  await syncPath(folder);
}

/** fsync by path, off the main thread: it may take long where a file system is busy. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
