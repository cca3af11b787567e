import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { writeJsonAtomic } from "../pipeline/json-file.js";
import { clearDeadLock, withLock } from "../pipeline/lock.js";
import type { Log } from "../pipeline/log.js";
import { readDocument } from "../pipeline/small-file.js";
import { checkValue } from "./config.js";
import { flagName, OPTIONS, type OptionName, type OptionSpec, type Options } from "./options.js";

/** Options that later commands on the same root need too: what its outputs are made of, and where they go. */
const KEPT = [
  "cdlSource",
  "keepCdl",
  "fieldsRaw",
  "layer",
  "fieldsClean",
  "idColumn",
  "geometryColumn",
  "areaColumn",
  "areaUnit",
  "fieldsCrs",
  "include",
  "maxDirty",
  "nodata",
  "allTouched",
  "smallFields",
  "coverage",
  "weights",
  "ties",
  "tiles",
  "tiler",
  "base",
  "cropNames",
  "minZoom",
  "maxZoom",
  "target",
  "endpoint",
  "s3Region",
  "profile",
  "publicUrl",
  "manifestFormat",
  "distribution",
] as const satisfies readonly OptionName[];

/** Options that are paths: stored as absolute paths, because a later command may start in another folder. */
const PATHS: readonly OptionName[] = ["cdlSource", "fieldsRaw", "fieldsClean", "base", "target"];

type Given = Partial<Record<OptionName, unknown>>;

/** ROOT/fields.json: how the root's outputs are made, by region. */
interface RootFile {
  readonly version: 1;
  readonly regions: Readonly<Record<string, Given>>;
}

/** What a root says of itself, for one region. */
export interface RootOptions {
  readonly region: string | undefined;
  readonly options: Partial<Options>;
}

function pathOf(root: string): string {
  return join(resolve(root), "fields.json");
}

/**
 * The options that a root was made with.
 *
 * @param region  undefined: the only one of the root, or the default one of several.
 * @throws {PipelineError} input, when ROOT/fields.json cannot be used; usage, when the region must be chosen.
 */
export function readRootOptions(root: string, region: string | undefined): RootOptions {
  const file = readRootFile(root);
  const known = Object.keys(file?.regions ?? {});
  const chosen = region ?? chooseRegion(known, root);
  const kept = (chosen !== undefined && file?.regions[chosen]) || {};
  const entries = Object.entries(kept).map(([name, value]) => [name, checkValue(name, value, pathOf(root))]);
  return { region: chosen, options: Object.fromEntries(entries) as Partial<Options> };
}

/** The regions that a root has options of. */
export function regionsOf(root: string): string[] {
  return Object.keys(readRootFile(root)?.regions ?? {});
}

function chooseRegion(known: readonly string[], root: string): string | undefined {
  if (known.length <= 1) return known[0];
  if (known.includes(OPTIONS.region.default)) return OPTIONS.region.default;
  throw new PipelineError("usage", "The root has several regions; choose one with --region", {
    path: resolve(root),
    regions: known.join(" "),
  });
}

/**
 * Keep what was given for later commands on this root. An option that changes is reported in the log. Commands on
 * other years and regions of the root may do so at the same time: the file is changed under a lock of its own.
 *
 * @param given  from the command line and the configuration file.
 * @returns takes the changes back, for a command that could not use what it was given; undefined where the region
 *   is new or nothing changes.
 * @throws {PipelineError} space or failed, naming ROOT/fields.json.
 */
export async function keepRootOptions(
  options: Options,
  given: Partial<Options>,
  ctx: Context,
): Promise<(() => Promise<void>) | undefined> {
  const { root, region } = options;
  const kept = keepable(given, ctx.log);
  const lock = join(dirname(pathOf(root)), ".fields.json.lock");
  if (changed(readRootFile(root), region, kept) === undefined) {
    await clearDeadLock(lock, ctx);
    return undefined;
  }
  let before: Given | undefined;
  await changeRootFile(root, ctx, (file) => {
    before = file?.regions[region];
    return changed(file, region, kept, ctx.log);
  });
  return before && (() => takeBack({ root, region }, kept, before as Given, ctx));
}

/** What was kept becomes what it was, but for what another command has changed meanwhile. */
async function takeBack(
  { root, region }: Pick<Options, "root" | "region">,
  kept: Given,
  before: Given,
  ctx: Context,
): Promise<void> {
  await changeRootFile(root, { ...ctx, signal: new AbortController().signal }, (file) => {
    const now: Given = { ...file?.regions[region] };
    for (const [name, value] of Object.entries(kept) as [OptionName, unknown][]) {
      if (JSON.stringify(now[name]) !== JSON.stringify(value) || JSON.stringify(before[name]) === JSON.stringify(value))
        continue;
      if (name in before) now[name] = before[name];
      else delete now[name];
      ctx.log.warn(
        `--${flagName(name)} of this root stays ${text(before[name] ?? (OPTIONS[name] as OptionSpec).default)}`,
      );
    }
    return { version: 1, regions: { ...file?.regions, [region]: now } };
  });
}

/** Change ROOT/fields.json under its lock; undefined leaves it. */
async function changeRootFile(
  root: string,
  ctx: Context,
  change: (file: RootFile | undefined) => RootFile | undefined,
): Promise<void> {
  const path = pathOf(root);
  await withLock(
    join(dirname(path), ".fields.json.lock"),
    ctx,
    async () => {
      const next = change(readRootFile(root));
      if (next === undefined) return;
      try {
        writeJsonAtomic(path, next);
      } catch (error) {
        throw asPipelineError(error, "failed", "The root's options cannot be written", { path });
      }
    },
    { wait: true },
  );
}

/** What of the given options is kept, as it is kept. */
function keepable(given: Partial<Options>, log: Log): Given {
  const kept: Given = {};
  for (const name of KEPT) {
    if (!(name in given)) continue;
    const value = absolute(name, given[name]);
    if (typeof value === "string" && hasPassword(value))
      log.warn(`--${flagName(name)} holds a password and is not kept in fields.json`);
    else kept[name] = value;
  }
  return kept;
}

/** The file with what was given; undefined where it says so already. */
function changed(file: RootFile | undefined, region: string, given: Given, log?: Log): RootFile | undefined {
  const before = file?.regions[region];
  const now: Given = { ...before };
  for (const [name, value] of Object.entries(given) as [OptionName, unknown][]) {
    const was = before?.[name] ?? (OPTIONS[name] as OptionSpec).default;
    if (before !== undefined && JSON.stringify(was) !== JSON.stringify(value)) {
      log?.warn(`--${flagName(name)} of this root changes from ${text(was)} to ${text(value)}`);
    }
    now[name] = value;
  }
  if (before !== undefined && JSON.stringify(before) === JSON.stringify(now)) return undefined;
  return { version: 1, regions: { ...file?.regions, [region]: now } };
}

/** As `--cdl-source /data/cdl --max-zoom 12`, for people to read. */
export function rootOptionsText(root: string, region: string): string | undefined {
  const kept = readRootFile(root)?.regions[region];
  if (kept === undefined) return undefined;
  return Object.entries(kept)
    .map(([name, value]) => (value === true ? `--${flagName(name)}` : `--${flagName(name)} ${text(value)}`))
    .join(" ");
}

function readRootFile(root: string): RootFile | undefined {
  const path = pathOf(root);
  if (!existsSync(path)) return undefined;
  let file: Partial<RootFile> | null;
  try {
    file = JSON.parse(readDocument(path).toString("utf8")) as Partial<RootFile> | null;
  } catch (cause) {
    throw new PipelineError("input", "fields.json of the root is not valid JSON", { path }, { cause });
  }
  if (file?.version === 1 && typeof file.regions === "object" && file.regions !== null) return file as RootFile;
  throw new PipelineError("input", "Not a fields.json of a root", { path, expected: "version 1, and regions" });
}

function absolute(name: OptionName, value: unknown): unknown {
  if (!PATHS.includes(name) || typeof value !== "string") return value;
  if (/^file:(?!\/\/)/.test(value)) return `file:${resolve(value.slice("file:".length))}`;
  return /^[a-z][a-z0-9+.-]*:/i.test(value) ? value : resolve(value);
}

/** A URL with a user's password, or signed for its holder. */
function hasPassword(value: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*:[^/]*@/i.test(value) || /[?&](X-Amz-Signature|sig|token)=/i.test(value);
}

function text(value: unknown): string {
  return Array.isArray(value) ? value.join(",") : value === undefined ? "none" : String(value);
}
