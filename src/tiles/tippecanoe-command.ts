import { execa } from "execa";
import type { TippecanoePlan } from "./tippecanoe-plan.js";

/** Below this zoom features are thinned; from it on every field is in its tile. */
const BASE_ZOOM = 9;
/** Features that a thinned zoom's densest tile keeps: about 400 KB, below tippecanoe's limit of 500 KB. */
const FEATURES_PER_TILE = 25_000;

export interface TileOptions {
  readonly minZoom: number;
  readonly maxZoom: number;
  readonly tempDir: string;
  readonly output: string;
}

/**
 * tippecanoe's arguments. One stream has both layers: a feature's layer is its `tippecanoe.layer`, its
 * id is its `id`, so -l, -L and --use-attribute-for-id are not used. The output does not depend on the
 * number of threads.
 */
export function tippecanoeArguments({ minZoom, maxZoom, tempDir, output }: TileOptions): string[] {
  return [
    `--minimum-zoom=${minZoom}`,
    `--maximum-zoom=${maxZoom}`,
    // All threads parse lines. Without it one thread does, and silently drops everything after a broken line.
    "--read-parallel",
    // Below the base zoom, polygons and points are thinned by position alone, evenly along the curve: the crop
    // mix is kept, the choice does not depend on a year's attributes, and small regions keep everything (the
    // rate is computed from the densest tile). Dropping the smallest or densest features would empty whole
    // regions, and coalescing would give fields their neighbor's crop.
    `--base-zoom=${Math.min(BASE_ZOOM, maxZoom)}`,
    `--drop-rate=f${FEATURES_PER_TILE}`,
    "--drop-polygons",
    // For a tile that is still too large. Rarely used: each use repeats the whole zoom.
    "--drop-fraction-as-needed",
    // At the highest zoom a polygon keeps its shape; no square replaces several small ones.
    "--no-tiny-polygon-reduction-at-maximum-zoom",
    "--json-progress",
    "--progress-interval=1",
    `--temporary-directory=${tempDir}`,
    `--output=${output}`,
  ];
}

/**
 * The complete command: sets the planned soft limit of open files and, with util-linux's setpriv,
 * lets tippecanoe die with this process. An orphan would take the end of its input for the end of
 * the data and write an archive into the next run's scratch.
 */
export async function tippecanoeCommand(
  program: string,
  plan: TippecanoePlan,
  options: TileOptions,
): Promise<string[]> {
  const bound = ["setpriv", "--pdeathsig", "KILL"];
  const { exitCode } = await execa("setpriv", [...bound.slice(1), "true"], { reject: false, stdio: "ignore" });
  // Slurm signals whole process groups: SIGUSR1 asks the parent to start nothing new, but would kill a child.
  const limited = ["sh", "-c", `trap '' USR1; ulimit -Sn ${plan.nofile} && exec "$@"`, "sh"];
  return [...limited, ...(exitCode === 0 ? bound : []), program, ...tippecanoeArguments(options)];
}
