import { existsSync, rmSync } from "node:fs";
import { basename, dirname, join, parse } from "node:path";
import { DIRTY_HEADER } from "../fields/dirty.js";
import { firstBytes } from "../pipeline/input-file.js";
import { publishFile } from "../pipeline/output.js";
import type { Origin } from "../pipeline/output-origin.js";

/** The side file that lists dirty rows, next to the zonal table. */
export function dirtyPath(table: string): string {
  return join(dirname(table), `${parse(table).name}.dirty.csv`);
}

/** Move the list of dirty rows from the scratch folder of `out` to its place, or remove an old list. */
export function publishDirtyRows(out: string, scratch: string): void {
  const made = dirtyPath(join(scratch, basename(out)));
  if (existsSync(made)) publishFile(made, dirtyPath(out));
  else if (existsSync(dirtyPath(out)) && dirtyOrigin(dirtyPath(out)) === "ours") rmSync(dirtyPath(out));
}

/** The program that made a list of dirty rows, from its first line. */
export function dirtyOrigin(path: string): Origin {
  return firstBytes(path, DIRTY_HEADER.length).toString("latin1") === DIRTY_HEADER ? "ours" : "other";
}
