import { existsSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { execa } from "execa";
import { PipelineError } from "../pipeline/errors.js";
import { fileSystemOf } from "../system/file-system.js";
import { chooseTempDir, type TempDir } from "./temp-dir.js";
import { planTippecanoe, type TippecanoePlan } from "./tippecanoe-plan.js";

/** First version with every option that we use (--no-tiny-polygon-reduction-at-maximum-zoom). */
const OLDEST_VERSION = [2, 31] as const;
/**
 * Temporary bytes per byte of GeoJSON. Measured 0.93 (60,000 fields and their
 * centroids, all of the input spooled before any of it was sorted); doubled for
 * longer attributes and other versions.
 */
const TEMP_FACTOR = 2;
/** Archive bytes per byte of GeoJSON, z4 to z14. Measured 0.70 on the same fields, less on larger ones. */
const ARCHIVE_FACTOR = 0.8;
/** The same for each zoom above 14, whose tiles repeat the attributes: measured 1.3 to 1.5. */
const ZOOM_FACTOR = 1.5;
const USUAL_MAX_ZOOM = 14;
/** tippecanoe writes the archive twice (SQLite, then PMTiles) before it removes the first. */
export const OUTPUT_COPIES = 2;

export interface PreflightRequest {
  readonly program: string;
  /** Existing folder in which the archive will be made. */
  readonly output: string;
  readonly maxZoom: number;
  /** Estimated bytes of all GeoJSON. */
  readonly inputBytes: number;
  readonly threads: number;
  readonly scratch: string | undefined;
  /** From `tempDirName`. */
  readonly tempDirName: string;
}

export interface Preflight {
  readonly program: string;
  /** `tippecanoe v2.53.0` */
  readonly version: string;
  readonly plan: TippecanoePlan;
  readonly tempDir: TempDir;
  readonly estimate: Estimate;
}

export interface Estimate {
  readonly tempBytes: number;
  readonly archiveBytes: number;
}

export function estimateTiling(inputBytes: number, maxZoom: number): Estimate {
  const archive = inputBytes * ARCHIVE_FACTOR * ZOOM_FACTOR ** Math.max(0, maxZoom - USUAL_MAX_ZOOM);
  return { tempBytes: Math.ceil(inputBytes * TEMP_FACTOR), archiveBytes: Math.ceil(archive) };
}

/**
 * Checks what can fail before the first feature is written: the program, its threads
 * and open files, the temporary folder, space for the archive.
 *
 * @throws {PipelineError} tool, usage or space, with what to change.
 */
export async function preflight(request: PreflightRequest): Promise<Preflight> {
  const { program, output, scratch } = request;
  if (existsSync(output)) {
    throw new PipelineError("usage", "tippecanoe's output is there already", { path: output });
  }
  const version = await tippecanoeVersion(program);
  const limits = await openFileLimits();
  const plan = planTippecanoe({
    onlineCpus: Math.max(availableParallelism(), request.threads),
    maxThreadsWanted: request.threads,
    ...limits,
  });
  if (!plan.ok) {
    throw new PipelineError("tool", `tippecanoe cannot run with these limits: ${plan.reason}`, {
      softNofile: limits.softNofile,
      hardNofile: limits.hardNofile,
      threads: plan.threads,
    });
  }
  const estimate = estimateTiling(request.inputBytes, request.maxZoom);
  const besideOutput = dirname(output);
  const tempDir = await chooseTempDir({
    scratch,
    besideOutput,
    name: request.tempDirName,
    bytesNeeded: estimate.tempBytes,
  });
  await requireOutputSpace(besideOutput, tempDir, estimate);
  return { program, version, plan, tempDir, estimate };
}

async function requireOutputSpace(folder: string, tempDir: TempDir, estimate: Estimate): Promise<void> {
  const { freeBytes } = await fileSystemOf(folder);
  const shared = statSync(folder).dev === statSync(tempDir.place).dev;
  const needed = OUTPUT_COPIES * estimate.archiveBytes + (shared ? estimate.tempBytes : 0);
  if (freeBytes >= needed) return;
  throw new PipelineError("space", "Not enough space for the archive", {
    path: folder,
    neededMiB: Math.ceil(needed / 2 ** 20),
    freeMiB: Math.floor(freeBytes / 2 ** 20),
    why: `tippecanoe holds it twice while it writes${shared ? ", and its temporary files lie there too" : ""}`,
  });
}

/**
 * @returns its version string: `tippecanoe v2.53.0`.
 * @throws {PipelineError} tool, if it is missing, does not run or is too old.
 */
export async function tippecanoeVersion(program: string): Promise<string> {
  const result = await execa(program, ["--version"], { reject: false, all: true, stdin: "ignore", timeout: 30_000 });
  const text = result.all?.trim().split("\n")[0] ?? "";
  const version = /v(\d+)\.(\d+)/.exec(text);
  if (version === null) throw programNotFound(program, result.exitCode === undefined ? result.code : text);
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
    throw new PipelineError("tool", "This tippecanoe is too old", {
      program,
      expected: `${OLDEST_VERSION.join(".")} or newer`,
      received: text,
    });
  }
  return text;
}

export function programNotFound(program: string, received?: string): PipelineError {
  return new PipelineError(
    "tool",
    "tippecanoe not found; containers/install-tippecanoe.sh installs it, or name the program with --tippecanoe",
    { program, received: received === "" ? undefined : received },
  );
}

/** Limits of open files in a child process; Node raises its own soft limit, so a child reads them. */
export async function openFileLimits(): Promise<{ softNofile: number; hardNofile: number }> {
  const { stdout } = await execa("sh", ["-c", "ulimit -Sn; ulimit -Hn"]);
  const [soft, hard] = stdout.split("\n").map((text) => (text.trim() === "unlimited" ? Infinity : Number(text)));
  return { softNofile: soft as number, hardNofile: hard as number };
}
