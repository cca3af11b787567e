import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A folder with so little room (as in "1m"), gone after the test; undefined where nothing may be mounted.
export function tinyDisk(t, size) {
  const folder = mkdtempSync(join(tmpdir(), "fields-tiny-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], { stdio: "pipe" });
  } catch {
    rmdirSync(folder);
    return undefined;
  }
  t.after(() => {
    execFileSync("umount", [folder]);
    rmdirSync(folder);
  });
  return folder;
}

/** Make the disk so large that `bytes` of it (rounded up to pages of 4 KiB) are free; others may be writing to it. */
export function leaveFree(folder, bytes) {
  for (let tries = 1; ; tries++) {
    const { blocks, bfree, bsize } = statfsSync(folder);
    const size = (blocks - bfree) * bsize + Math.ceil(bytes / bsize) * bsize;
    try {
      execFileSync("mount", ["-o", `remount,size=${size}`, folder], { stdio: "pipe" });
      return;
    } catch (error) {
      // It has grown beyond that in between.
      if (tries === 200) throw error;
    }
  }
}
