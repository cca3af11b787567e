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
 * Share of the available memory that files in a tmpfs may take: they are memory,
 * and the tiler and the workers need the other half.
 */
const MEMORY_SHARE = 0.5;
const SHARED_MEMORY = "/dev/shm";

export interface TempDirRequest {
  /** The folder to use and no other, as the user said. */
  readonly scratch: string | undefined;
  /** The folder that the output is made in, the last resort. */
  readonly besideOutput: string;
  /** What the temporary folder is for, from `tempDirName`: a part of its name. */
  readonly name: string;
  readonly bytesNeeded: number;
}

export interface TempDir {
  /** The folder in which it will lie. */
  readonly place: string;
  /** Absolute path, to be made by `openTempDir`. */
  readonly path: string;
  readonly fileSystem: string;
  readonly freeBytes: number;
  /** Candidates before it, and why not. */
  readonly refused: readonly string[];
}

/** How the machine's folders are looked at and tidied; tests hand in others. */
export interface Surroundings {
  fileSystemOf(path: string): Promise<FileSystem>;
  availableMemory(): number;
  /** Why no private folder can be made there; undefined when one can. */
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
 * Where tippecanoe's temporary files go: `--scratch` when given, else /dev/shm, the
 * system's temporary folder, or beside the output, whichever is local and large
 * enough. tippecanoe maps and sorts these files at random, which a network file
 * system turns from minutes into hours.
 *
 * @throws {PipelineError} usage when --scratch cannot be used for its kind, space when nothing is large enough.
 */
export async function chooseTempDir(request: TempDirRequest, around: Surroundings = HERE): Promise<TempDir> {
  const { scratch, name, bytesNeeded } = request;
  const usual = [SHARED_MEMORY, tmpdir(), request.besideOutput];
  const candidates = scratch === undefined ? usual : [scratch];
  // First of all: the space that killed runs still hold would count as taken.
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

/** By what the temporary folder of one root, region and year (or the base of them all) is named. */
export function tempDirName(root: string, region: string, year: number | "base"): string {
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 12);
  return `${hash}-${region}-${year}`;
}

/**
 * Remove temporary folders of processes of this machine that are dead, whichever year or root they worked on: in
 * /dev/shm they hold memory, and the year may be taken up on another node.
 *
 * @returns paths that were removed.
 */
export function sweepTempDirs(): string[] {
  return sweepPrivate([SHARED_MEMORY, tmpdir()]);
}

/** What `sweepTempDirs` would remove. */
export function abandonedTempDirs(): string[] {
  return abandonedPrivate([SHARED_MEMORY, tmpdir()]);
}

/** Make the folder, for this user alone. */
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
