import { existsSync, readFileSync } from "node:fs";
import { contentHash } from "../pipeline/fingerprint.js";

export const PROGRAM = "fields-pipeline";

/** The program's commands, in the order of its help; each is a module of the same name. */
export const COMMANDS = {
  year: "make years: download, zonal, tiles, publish",
  download: "fetch a year's raster",
  zonal: "majority class of every field under a raster",
  tiles: "tile years whose zonal tables are there",
  publish: "upload archives, update the manifest",
  history: "join all years: crops by field, areas, rotations",
  prepare: "make what all years share: zone index, base archive",
  serve: "the map in the browser",
  preview: "draw archives or crop areas into a PNG",
  field: "the field at a point, its crops by year",
  export: "fields with their crops as one file",
  archive: "show, verify, decode or convert an archive",
  columns: "make years as columns of crop codes, verify them",
  status: "how every year stands",
  report: "a run and its results as one HTML page",
  clean: "remove zone indexes, bases and scratch that nothing needs",
  doctor: "is this machine fit?",
  cluster: "submit jobs to Slurm, check years",
  batch: "run a command for thousands of items",
  sample: "make a small world to try everything on",
  demo: "the main job on sample data",
} as const satisfies Readonly<Record<string, string>>;

let entered = false;

/** From now on commands are named as they are typed behind the program's name. */
export function enterProgram(): void {
  entered = true;
}

/** A text with its commands as the user types them: `fields-pipeline year`, where the program was started so. */
export function asTyped(text: string): string {
  return entered ? text.replaceAll(/node dist\/([a-z]+)\.js/g, `${PROGRAM} $1`) : text;
}

/** Program, kernel and GDAL, a line each. */
export async function versionText(): Promise<string> {
  const root = new URL("../../", import.meta.url);
  const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { version: string };
  // Lists the sources that the kernel was built from.
  const origin = new URL("native/build/Release/fields.node.origin", root);
  const kernel = existsSync(origin) ? `sources ${(await contentHash(origin.pathname)).slice(0, 12)}` : "not built";
  const { default: gdal } = await import("gdal-async");
  return `${PROGRAM} ${version}\nkernel ${kernel}\nGDAL ${gdal.version}\n`;
}

export function programHelp(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  return [
    "The majority crop of every field, for every year, as vector tiles for a web map.",
    "",
    `usage: ${PROGRAM} COMMAND [options]`,
    "",
    ...Object.entries(COMMANDS).map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    `  ${PROGRAM} COMMAND --help             options of a command`,
    `  ${PROGRAM} completion bash|zsh|fish   completion for a shell, on stdout`,
    `  ${PROGRAM} --version                  versions of program, kernel and GDAL`,
    "",
  ].join("\n");
}
