import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { holderNow, isGone, parseHolder } from "../pipeline/holder.js";
import { type FileSystem, fileSystemOf } from "../system/file-system.js";

/**
 * Share of the available memory that files in a tmpfs may take: they are memory,
 * and the tiler and the workers need the other half.
 */
const MEMORY_SHARE = 0.5;
const PREFIX = "fields-pipeline-";
/** Lies in the folder and tells whose it is. */
const OWNER = "owner.json";

export interface TempDirRequest {
  /** The folder to use and no other, as the user said. */
  readonly scratch: string | undefined;
  /** The folder that the output is made in, the last resort. */
  readonly besideOutput: string;
  /** Fixed name of the temporary folder, so that the next run clears what this one leaves. */
  readonly name: string;
  readonly bytesNeeded: number;
}

export interface TempDir {
  /** Absolute path; not made yet. */
  readonly path: string;
  readonly fileSystem: string;
  readonly freeBytes: number;
  /** Candidates before it, and why not. */
  readonly refused: readonly string[];
}

/** How file systems are looked at; tests hand in others. */
export interface Surroundings {
  fileSystemOf(path: string): Promise<FileSystem>;
  availableMemory(): number;
}

const HERE: Surroundings = { fileSystemOf, availableMemory: () => process.availableMemory() };

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
  const usual = ["/dev/shm", tmpdir(), request.besideOutput];
  const candidates = scratch === undefined ? usual : [scratch];
  for (const parent of new Set([...usual, ...candidates])) clear(join(parent, name));
  const refused: string[] = [];
  let onlySpace = true;
  for (const parent of candidates) {
    const found = await judge(parent, bytesNeeded, around);
    if ("fileSystem" in found) return { path: join(parent, name), ...found, refused };
    refused.push(`${parent}: ${found.problem}`);
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

/** What a killed run left goes before anything is judged, wherever it lies: its space would count as taken. */
function clear(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // No folder at all, or somebody else's: its judgement, or making it, will say so.
  }
}

async function judge(
  parent: string,
  bytesNeeded: number,
  around: Surroundings,
): Promise<{ fileSystem: string; freeBytes: number } | { problem: string; space: boolean }> {
  let system: FileSystem;
  try {
    system = await around.fileSystemOf(parent);
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
  return { fileSystem: system.name, freeBytes: system.freeBytes };
}

/**
 * Name of the temporary folder of one root, region and year (or the base of them all): the
 * same for every run of them, different for any other.
 */
export function tempDirName(root: string, region: string, year: number | "base"): string {
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 12);
  return `${PREFIX}${hash}-${region}-${year}`;
}

/**
 * Remove temporary folders of processes of this machine that are dead, whichever year or root they worked on: in
 * /dev/shm they hold memory, and the year may be taken up on another node. A folder whose owner cannot be looked at
 * (another container's) or is not known is left alone.
 *
 * @param parents  where such folders lie.
 * @returns paths that were removed.
 */
export function sweepTempDirs(parents: readonly string[] = ["/dev/shm", tmpdir()]): string[] {
  const removed: string[] = [];
  for (const path of new Set(parents.flatMap(tempDirsIn))) {
    try {
      const owner = parseHolder(readFileSync(join(path, OWNER), "utf8"));
      if (owner === undefined || !isGone(owner)) continue;
      rmSync(path, { recursive: true, force: true });
      removed.push(path);
    } catch {
      // Another user's, or swept by somebody else just now.
    }
  }
  return removed;
}

function tempDirsIn(parent: string): string[] {
  try {
    return readdirSync(parent)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => join(parent, name));
  } catch {
    return [];
  }
}

/** Make the folder empty, for this user alone; what an earlier run left there goes. */
export function openTempDir(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, OWNER), JSON.stringify(holderNow(randomUUID(), 0)));
  } catch (cause) {
    throw asPipelineError(cause, "tool", "Cannot make the folder for tippecanoe's temporary files", { path });
  }
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
