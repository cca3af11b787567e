import type * as archive from "../archive/tasks.js";
import type * as fields from "../fields/tasks.js";
import type * as kernel from "../kernel/tasks.js";
import type * as lookup from "../lookup/tasks.js";
import type * as tiles from "../tiles/tasks.js";
import type * as zonal from "../zonal/tasks.js";
import type * as zones from "../zones/tasks.js";

type Archive = typeof archive;
type Fields = typeof fields;
type Kernel = typeof kernel;
type Lookup = typeof lookup;
type Tiles = typeof tiles;
type Zonal = typeof zonal;
type Zones = typeof zones;

/** What workers can do, by name; two tasks of one name do not compile. */
export interface Tasks extends Archive, Fields, Kernel, Lookup, Tiles, Zonal, Zones {}
export type TaskName = keyof Tasks;

interface Folders {
  readonly archive: Archive;
  readonly fields: Fields;
  readonly kernel: Kernel;
  readonly lookup: Lookup;
  readonly tiles: Tiles;
  readonly zonal: Zonal;
  readonly zones: Zones;
}

/** The folder in whose tasks.ts a task is: a worker loads that module alone. */
const FOLDER_OF: { readonly [F in keyof Folders as keyof Folders[F]]: F } = {
  censusRange: "archive",
  mbtilesSlice: "archive",
  findPages: "fields",
  findRepeatedIds: "fields",

  wake: "kernel",
  boxSlice: "lookup",
  featureSlice: "tiles",
  readFeatures: "tiles",
  swapTiles: "tiles",
  writeFeatures: "tiles",
  encodeRowGroup: "zonal",
  scanLane: "zonal",
  burnColumn: "zones",
  burnSlice: "zones",
  readGeometry: "zones",
  storeSegments: "zones",
};

/** URL of the module that has a task. */
export function taskModule(name: TaskName): string {
  return new URL(`../${FOLDER_OF[name]}/tasks.js`, import.meta.url).href;
}
