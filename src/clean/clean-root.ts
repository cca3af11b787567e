import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { layoutOf } from "../config/config.js";
import type { Options } from "../config/options.js";
import { PipelineError } from "../pipeline/errors.js";
import { isGone, parseHolder } from "../pipeline/holder.js";
import { InputFiles } from "../pipeline/input-files.js";
import { scratchIn } from "../pipeline/output.js";
import { readRecord } from "../pipeline/record.js";
import { removeTree } from "../pipeline/remove-tree.js";
import { readNote } from "../pipeline/small-file.js";
import { abandonedTempDirs, sweepTempDirs } from "../tiles/temp-dir.js";
import { ZoneReader } from "../zones/zone-reader.js";
import { type Needed, needed } from "./kept.js";

/** What can be made again, or was left by processes that ended. */
export const KINDS = ["zones", "lookup", "base", "fields", "scratch", "temporary"] as const;
export type Kind = (typeof KINDS)[number];

/** Something of a root that nothing but time would be lost with. */
export interface Item {
  readonly kind: Kind;
  readonly path: string;
  readonly bytes: number;
  readonly removed: boolean;
  /** Why it stays or goes. */
  readonly reason: string;
}

/** The name of what is made once per field set: its region and a digest. */
const MADE_ONCE = /^(.+)_[0-9a-f]{12}\.(zones|lookup|precompressed)$/;
/** Steps that go on from what a run before them left. */
const RESUMED = ["data/zones", "data/cdl", "outputs/web"];

/**
 * Remove from a root what neither its field sets, nor the records of its years, nor a running process need.
 *
 * While a process holds a lock of the root (or may hold it, on another host), nothing but temporary folders of dead
 * processes goes.
 *
 * @param keep  kinds and file names that stay.
 * @returns all that was looked at, what stays too.
 */
export async function cleanRoot(options: Options, keep: ReadonlySet<string>, dryRun: boolean): Promise<Item[]> {
  const layout = layoutOf(options, 0);
  const known = await needed(options);
  const items: Item[] = [];
  const judge = (
    kind: Kind,
    path: string,
    reasonToStay: string | undefined,
    reasonToGo: string,
    remove: () => void,
  ) => {
    const wanted = [kind, basename(path)].find((name) => keep.has(name));
    const held = kind === "temporary" ? undefined : holderOf(layout.state);
    const stays = reasonToStay ?? (wanted === undefined ? held : `--keep ${wanted}`);
    const bytes = bytesOf(path);
    if (stays === undefined && !dryRun) remove();
    items.push({ kind, path, bytes, removed: stays === undefined, reason: stays ?? reasonToGo });
  };

  for (const folder of ["zones", "base"]) {
    for (const name of namesIn(join(layout.root, "data", folder))) {
      const [, region, ending] = MADE_ONCE.exec(name) ?? [];
      if (region === undefined || ending === undefined) continue;
      const path = join(layout.root, "data", folder, name);
      const kind = ending === "precompressed" ? "base" : (ending as "zones" | "lookup");
      const record = join(layout.state, `${kind}_${basename(name, `.${ending}`)}.json`);
      const stays = await reasonToStay(kind, path, region, record, known);
      judge(kind, path, stays, "of no field set or year that is here", () => {
        rmSync(record, { force: true });
        rmSync(path);
      });
    }
  }
  const files = new InputFiles();
  for (const name of namesIn(join(layout.root, "data", "fields"))) {
    const path = join(layout.root, "data", "fields", name);
    if (!/_[0-9a-f]{12}\.parquet$/.test(name)) continue;
    const record = join(layout.state, `fields_${basename(name, ".parquet")}.json`);
    judge("fields", path, reasonOfCopy(path, known, files), "a copy of fields that have changed", () => {
      rmSync(record, { force: true });
      rmSync(path);
    });
  }
  for (const folder of foldersOf(layout.root)) {
    for (const { path, target, over } of scratchIn(folder)) {
      const resumed = RESUMED.includes(relative(layout.root, folder)) && !existsSync(target);
      const stays = over ? (resumed ? "a later run goes on from it" : undefined) : "its process runs, or is elsewhere";
      judge("scratch", path, stays, "left by a run that ended", () => removeTree(path));
    }
  }
  const temporary = new Set<string>();
  for (const path of abandonedTempDirs()) {
    judge("temporary", path, undefined, "left by a process that ended", () => temporary.add(path));
  }
  if (temporary.size > 0) sweepTempDirs();
  return items;
}

async function reasonToStay(
  kind: "zones" | "lookup" | "base",
  path: string,
  region: string,
  record: string,
  { regions, unknown, names, zones, fieldFiles }: Needed,
): Promise<string | undefined> {
  if (!regions.has(region)) return `of region ${region}, whose fields are not known here`;
  const problem = unknown.get(region);
  if (problem !== undefined) return `the fields of ${region} cannot be read: ${problem}`;
  if (names.has(basename(path))) return "of the fields that are here, or of a year made from it";
  if (kind !== "zones") return undefined;
  const facts = readRecord(record)?.facts;
  if (typeof facts?.file === "string" && fieldFiles.has(facts.file)) return "of fields that a year was made from";
  try {
    const reader = await ZoneReader.open(path);
    await reader.close();
    if (zones.has(reader.header.fields)) return "of the fields that are here";
    // One of an older version says nothing of its fields' file.
    return facts?.file === undefined && fieldFiles.size > 1
      ? "years were made from other fields, maybe by it"
      : undefined;
  } catch (error) {
    // Of another version, or damaged: no run opens it. Anything else may pass.
    return error instanceof PipelineError ? undefined : `cannot be read: ${(error as Error).message}`;
  }
}

function reasonOfCopy(path: string, { names, unknown, fieldFiles }: Needed, files: InputFiles): string | undefined {
  const [problem] = unknown.values();
  if (problem !== undefined) return `fields cannot be read: ${problem}`;
  if (names.has(basename(path))) return "the fields that are here";
  return fieldFiles.has(files.digest(path)) ? "a year was made from it" : undefined;
}

/** Who holds a lock of the root and may be at work; undefined for nobody. */
function holderOf(state: string): string | undefined {
  for (const name of namesIn(state)) {
    if (!name.endsWith(".lock")) continue;
    try {
      const holder = parseHolder(readNote(join(state, name)));
      if (holder === undefined || isGone(holder)) continue;
      return `process ${holder.pid} on ${holder.host} is at work (${name})`;
    } catch {
      // It was given back just now.
    }
  }
  return undefined;
}

/** Folders below a root in which outputs are made. */
function foldersOf(root: string): string[] {
  return ["data", "outputs"].flatMap((top) => [join(root, top), ...foldersIn(join(root, top))]);
}

function foldersIn(folder: string): string[] {
  return namesIn(folder)
    .filter((name) => !name.startsWith("."))
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    .flatMap((path) => [path, ...foldersIn(path)]);
}

function namesIn(folder: string): string[] {
  return existsSync(folder) && lstatSync(folder).isDirectory() ? readdirSync(folder).sort() : [];
}

/** Bytes on disk, of a folder with all that is in it. */
function bytesOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return 512 * stat.blocks;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}
