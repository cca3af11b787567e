import { linkSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder } from "./folder.js";
import { isTagGone, processTag } from "./holder.js";
import { fsyncPath, publishFile } from "./output.js";
import { readDocument } from "./small-file.js";

/** What a JSON file holds; undefined where there is none or it cannot be read. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readDocument(path).toString("utf8")) ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Small JSON file by temporary name, fsync and rename. The name tells the process that writes: nobody else
 * uses it, and what a killed process of this machine left in the folder is removed by the next writer.
 */
export function writeJsonAtomic(path: string, value: unknown): void {
  withPartial(path, value, (partial) => publishFile(partial, path));
}

/** The same where there is no such file yet; false where there is one. */
export function createJson(path: string, value: unknown): boolean {
  try {
    withPartial(path, value, (partial) => {
      fsyncPath(partial);
      linkSync(partial, path);
      fsyncPath(dirname(path));
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function withPartial(path: string, value: unknown, place: (partial: string) => void): void {
  makeFolder(dirname(path));
  for (const name of readdirSync(dirname(path))) {
    const [, writer] = PARTIAL.exec(name) ?? [];
    if (writer !== undefined && isTagGone(writer)) rmSync(join(dirname(path), name), { force: true });
  }
  const partial = `${path}.${processTag()}.${++written}.partial`;
  try {
    // Never through what lies there: it may be another user's link.
    writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`, { flag: "wx" });
    place(partial);
  } finally {
    rmSync(partial, { force: true });
  }
}

const PARTIAL = /\.json\.([0-9a-f]{8}-\d+-\d+)\.\d+\.partial$/;
let written = 0;
