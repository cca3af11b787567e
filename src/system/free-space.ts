import { statfsSync } from "node:fs";
import { PipelineError } from "../pipeline/errors.js";

/**
 * Refuse work that cannot end well, before it begins.
 *
 * @param bytes  how much will be written under `folder`. Quotas are not seen: the write itself tells.
 * @throws {PipelineError} space, with what is needed and what is free, in MiB.
 */
export function requireSpace(folder: string, bytes: number, what: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new PipelineError("space", `Not enough space for ${what}`, {
    path: folder,
    neededMiB: Math.ceil(bytes / 2 ** 20),
    freeMiB: Math.floor(free / 2 ** 20),
  });
}
