import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface OutputFile {
  /** Relative to the output folder. */
  readonly path: string;
  readonly bytes: number;
}

/** Regular files in an output folder and below; links and devices are none. */
export async function outputFiles(folder: string): Promise<OutputFile[]> {
  const files: OutputFile[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.push({ path: path.slice(folder.length + 1), bytes: (await lstat(path)).size });
  }
  return files;
}

/** Flush an output folder, its files and the folders in it to disk. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    if (entry.isFile() || entry.isDirectory()) await syncPath(join(entry.parentPath, entry.name));
  }
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
