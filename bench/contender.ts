import { join } from "node:path";
import { PROJECT } from "./options.js";
import type { Peer } from "./peers.js";
import { type Run, runCommand, runStage } from "./run.js";
import type { StageTask } from "./stage.js";
import type { World, WorldName } from "./world.js";

/** Something that is timed in every round. */
export interface Contender {
  /** In the JSON: `scan tiled 2`. */
  readonly key: string;
  /** In the table. */
  readonly title: string;
  readonly threads: number;
  readonly fields: number;
  /** Megapixels of the raster; 0 where it reads none as a whole. */
  readonly mpx: number;
  readonly world?: WorldName;
  /** The table it writes, where it does: it must have the reference's bytes. */
  readonly table?: string;
  run(signal: AbortSignal): Promise<Run>;
}

const TITLES: Readonly<Record<StageTask["stage"], string>> = {
  start: "start-up alone: an empty run",
  decode: "floor: GDAL decodes the raster once",
  read: "the kernel decodes the raster once",
  build: "zone index built",
  scan: "table from the zone index",
  direct: "table without an index, end to end",
};

/** What is timed of several passes. */
const AGAIN = ", second pass in one process";

/** A stage on a world, in a process of its own. */
export function stageOn(
  stage: StageTask["stage"],
  world: World,
  threads: number,
  folder: string,
  index = join(folder, "reference.zones"),
  passes = 1,
): Contender {
  const table = join(folder, `${stage}-${world.name}-${threads}.parquet`);
  const task = { stage, fields: world.fieldsPath, raster: world.rasterPath, index, out: table, threads, passes };
  const writes = stage === "scan" || stage === "direct";
  return {
    key: `${stage} ${world.name} ${threads}${passes > 1 ? " again" : ""}`,
    title:
      TITLES[stage] + (stage === "build" || stage === "start" ? "" : `, ${world.name}`) + (passes > 1 ? AGAIN : ""),
    threads,
    world: world.name,
    fields: stage === "decode" || stage === "read" || stage === "start" ? 0 : world.fields,
    mpx: stage === "build" || stage === "start" ? 0 : world.mpx,
    ...(writes && { table }),
    run: (signal) => runStage(task, signal),
  };
}

/** `node dist/zonal.js`, as users type it. */
export function zonalCommand(world: World, threads: number, folder: string, index?: string): Contender {
  const table = join(folder, `command-${index === undefined ? "direct" : "index"}-${threads}.parquet`);
  const paths = ["--fields", world.fieldsPath, "--raster", world.rasterPath, "--out", table];
  const args = [join(PROJECT, "dist/zonal.js"), ...paths, "--threads", String(threads), "--quiet"];
  if (index !== undefined) args.push("--index", index);
  return {
    key: `command ${index === undefined ? "direct" : "index"} ${threads}`,
    title: `node dist/zonal.js${index === undefined ? "" : " --index"}, start-up and all`,
    threads,
    world: world.name,
    fields: world.fields,
    mpx: world.mpx,
    table,
    run: (signal) => runCommand(args, signal),
  };
}

export function peerContender(peer: Peer, table: string): Contender {
  return {
    key: peer.name,
    title: peer.name,
    threads: 1,
    fields: peer.fields,
    mpx: 0,
    run: (signal) => peer.run(table, signal),
  };
}
