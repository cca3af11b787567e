import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import {
  abandonedPrivate,
  makePrivate,
  privatePath,
  privateProblem,
  sweepPrivate,
} from "../pipeline/private-folder.js";
import { type FileSystem, fileSystemOf } from "../system/file-system.js";

/**
 * Share of the available memory that files in a tmpfs may use: they are in memory,
 * and the tiler and the workers need the other half.
 */
const MEMORY_SHARE = 0.5;
const SHARED_MEMORY = "/dev/shm";

export interface TempDirRequest {
  /** The user's choice; no other folder is used. */
  readonly scratch: string | undefined;
  /** The output's folder, the last resort. */
  readonly besideOutput: string;
  /** Purpose of the temporary folder, from `tempDirName`: part of its name. */
  readonly name: string;
  readonly bytesNeeded: number;
}

export interface TempDir {
  /** Its parent folder. */
  readonly place: string;
  /** Absolute path; `openTempDir` creates it. */
  readonly path: string;
  readonly fileSystem: string;
  readonly freeBytes: number;
  /** Rejected candidates, with reasons. */
  readonly refused: readonly string[];
}

/** Functions that inspect and clean the machine's folders; tests pass others. */
export interface Surroundings {
  fileSystemOf(path: string): Promise<FileSystem>;
  availableMemory(): number;
  /** Why no private folder can be made there; undefined if one can. */
  problem(place: string): string | undefined;
  sweep(places: readonly string[]): void;
}

const HERE: Surroundings = {
  fileSystemOf,
  availableMemory: () => process.availableMemory(),
  problem: privateProblem,
  sweep: sweepPrivate,
};

/**
 * The folder for tippecanoe's temporary files: `--scratch` if given, else the first of /dev/shm, the
 * system's temporary folder, and the output's folder that is local and large
 * enough. tippecanoe maps and sorts these files with random access, which takes minutes
 * on a local disk and hours on a network file system.
 *
 * @throws {PipelineError} usage if --scratch is on an unsuitable file system, space if nothing is large enough.
 */
export async function chooseTempDir(request: TempDirRequest, around: Surroundings = HERE): Promise<TempDir> {
  const { scratch, name, bytesNeeded } = request;
  const usual = [SHARED_MEMORY, tmpdir(), request.besideOutput];
  const candidates = scratch === undefined ? usual : [scratch];
  // First, because the files of killed runs would count as used space.
  around.sweep([...usual, ...candidates]);
  const refused: string[] = [];
  let onlySpace = true;
  for (const place of candidates) {
    const found = await judge(place, bytesNeeded, around);
    if ("fileSystem" in found) return { place, path: privatePath(place, name), ...found, refused };
    refused.push(`${place}: ${found.problem}`);
    onlySpace &&= found.space;
  }
  if (scratch !== undefined) {
    throw new PipelineError(onlySpace ? "space" : "usage", "--scratch cannot hold tippecanoe's temporary files", {
      scratch,
      problem: refused[0]?.slice(scratch.length + 2),
    });
  }
  throw new PipelineError("space", "No folder for tippecanoe's temporary files; pass one with --scratch", {
    neededMiB: mebibytes(bytesNeeded),
    refused: refused.join("; "),
  });
}

async function judge(
  place: string,
  bytesNeeded: number,
  around: Surroundings,
): Promise<{ fileSystem: string; freeBytes: number } | { problem: string; space: boolean }> {
  let system: FileSystem;
  try {
    system = await around.fileSystemOf(place);
  } catch (error) {
    return { problem: `cannot be used (${(error as Error).message})`, space: false };
  }
  if (system.network) {
    return { problem: `lies on ${system.name}, which is too slow for temporary files`, space: false };
  }
  const memory = system.memory ? Math.floor(around.availableMemory() * MEMORY_SHARE) : Infinity;
  const usable = Math.min(system.freeBytes, memory);
  if (usable < bytesNeeded) {
    const limit = memory < system.freeBytes ? "half of the available memory" : "free";
    return { problem: `needs ${mebibytes(bytesNeeded)} MiB, ${mebibytes(usable)} MiB ${limit}`, space: true };
  }
  const problem = around.problem(place);
  if (problem !== undefined) return { problem, space: false };
  return { fileSystem: system.name, freeBytes: system.freeBytes };
}

/** Name of the temporary folder of one root, region and year (or of the base of all years). */
export function tempDirName(root: string, region: string, year: number | "base"): string {
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 12);
  return `${hash}-${region}-${year}`;
}

/**
 * Remove temporary folders of dead processes of this machine, for any year or root: in
 * /dev/shm they use memory, and the year may resume on another node.
 *
 * @returns removed paths.
 */
export function sweepTempDirs(): string[] {
  return sweepPrivate([SHARED_MEMORY, tmpdir()]);
}

/** The paths that `sweepTempDirs` would remove. */
export function abandonedTempDirs(): string[] {
  return abandonedPrivate([SHARED_MEMORY, tmpdir()]);
}

/** Create the folder, only for this user. */
export function openTempDir(path: string): void {
  try {
    makePrivate(path);
  } catch (cause) {
    throw asPipelineError(cause, "tool", "Cannot make the folder for tippecanoe's temporary files", { path });
  }
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
