import { execa } from "execa";
import type { TippecanoePlan } from "./tippecanoe-plan.js";

/** Up to this zoom features are thinned; from it on every field is in its tile. */
const BASE_ZOOM = 9;
/** Features that the densest tile of a thinned zoom keeps: about 400 KB, under tippecanoe's limit of 500 KB. */
const FEATURES_PER_TILE = 25_000;

export interface TileOptions {
  readonly minZoom: number;
  readonly maxZoom: number;
  readonly tempDir: string;
  readonly output: string;
}

/**
 * tippecanoe's arguments. Layers come by each feature's own `tippecanoe.layer`, ids
 * by its `id`, both in one stream, so none of -l, -L and --use-attribute-for-id.
 * The output is the same whatever the number of threads.
 */
export function tippecanoeArguments({ minZoom, maxZoom, tempDir, output }: TileOptions): string[] {
  return [
    `--minimum-zoom=${minZoom}`,
    `--maximum-zoom=${maxZoom}`,
    // Lines are parsed by all threads; without it by one, and what follows a broken line is lost in silence.
    "--read-parallel",
    // Below the base zoom polygons as well as points are thinned by position alone, evenly along the curve:
    // the mix of crops stays as it is, the choice does not depend on a year's attributes, and small regions
    // keep everything (the rate is worked out from the densest tile). Dropping the smallest or densest
    // instead empties whole regions, and coalescing gives fields their neighbour's crop.
    `--base-zoom=${Math.min(BASE_ZOOM, maxZoom)}`,
    `--drop-rate=f${FEATURES_PER_TILE}`,
    "--drop-polygons",
    // For a tile that is still too large; rarely at work, as each time it does its zoom over again.
    "--drop-fraction-as-needed",
    // At the highest zoom a polygon is itself, not a square that stands for several.
    "--no-tiny-polygon-reduction-at-maximum-zoom",
    "--json-progress",
    "--progress-interval=1",
    `--temporary-directory=${tempDir}`,
    `--output=${output}`,
  ];
}

/**
 * The whole command: open files as planned (soft limit), and death together with this
 * process where util-linux's setpriv is there. An orphan would take the end of
 * its input for the end of the data, and write an archive into the next run's scratch.
 */
export async function tippecanoeCommand(
  program: string,
  plan: TippecanoePlan,
  options: TileOptions,
): Promise<string[]> {
  const bound = ["setpriv", "--pdeathsig", "KILL"];
  const { exitCode } = await execa("setpriv", [...bound.slice(1), "true"], { reject: false, stdio: "ignore" });
  // Slurm signals whole process groups: SIGUSR1 asks the parent to begin nothing new, and would end a child.
  const limited = ["sh", "-c", `trap '' USR1; ulimit -Sn ${plan.nofile} && exec "$@"`, "sh"];
  return [...limited, ...(exitCode === 0 ? bound : []), program, ...tippecanoeArguments(options)];
}
