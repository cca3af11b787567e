// A lock that another process holds, to keep a run from going on.
import { spawn } from "node:child_process";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const WORKER = fileURLToPath(new URL("lock-worker.mjs", import.meta.url));

/** @returns `release()`, which resolves when the lock is free. */
export async function holdLock(path) {
  const child = spawn(process.execPath, [WORKER, "hold", path], { stdio: ["pipe", "pipe", "inherit"] });
  after(() => child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    release: () => {
      child.stdin.end();
      return new Promise((resolve) => child.once("exit", resolve));
    },
  };
}

/** Keeps every year of a root from being published, and so from its end. */
export const holdManifest = (root) => holdLock(`${root}/outputs/web/.us_full_years.json.lock`);
