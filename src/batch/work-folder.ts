import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { makePrivate, privatePath, privateProblem, sweepPrivate } from "../pipeline/private-folder.js";

const SHARED_MEMORY = "/dev/shm";

/**
 * A folder for the work folders of a runner's items, on the node itself: many small files are
 * slow on parallel file systems. By default under TMPDIR where it is set, else in /dev/shm,
 * else /tmp. Folders of runners that were killed on this host are removed.
 *
 * @throws {PipelineError} usage, when it cannot be made.
 */
export function openWorkFolder(parent: string | undefined, runner: string): string {
  const asked = parent ?? process.env.TMPDIR;
  const candidates = asked === undefined ? [SHARED_MEMORY, tmpdir()] : [resolve(asked)];
  sweepPrivate(candidates);
  const place = candidates.find((candidate) => asked !== undefined || privateProblem(candidate) === undefined);
  if (place === undefined) {
    throw new PipelineError("usage", "Work folder cannot be made; choose another with --tmp", {
      problem: candidates.map(privateProblem).join("; "),
    });
  }
  const folder = privatePath(place, `batch-${runner}`);
  try {
    makePrivate(folder);
    return folder;
  } catch (error) {
    throw asPipelineError(error, "usage", "Work folder cannot be made; choose another with --tmp", { folder });
  }
}
