import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Why disk faults cannot be made here; false when they can. */
export const noDiskFaults =
  process.platform === "linux" && spawnSync("cc", ["--version"], { stdio: "ignore" }).status === 0
    ? false
    : "no C compiler for disk faults";

/** The shim of disk-faults.c, built in `folder`: for LD_PRELOAD, with the FAULT_ variables that it describes. */
export function buildDiskFaults(folder) {
  const shim = join(folder, "disk-faults.so");
  const source = fileURLToPath(new URL("disk-faults.c", import.meta.url));
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"]);
  return shim;
}
