import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { layoutOf } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { DownloadFacts } from "../download/step.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { readRecord, type StepRecord } from "../pipeline/record.js";
import { type ChangedFile, changedInputs, changedOutputs } from "../pipeline/recorded-files.js";

/** One file that is not as its step's record says. */
export interface ChangedFileOfStep extends ChangedFile {
  readonly step: string;
  /** Undefined for what all years share. */
  readonly year: number | undefined;
  readonly role: "input" | "output";
}

export interface FileCheck {
  /** Records that were looked at. */
  readonly records: number;
  /** Files that were read. */
  readonly files: number;
  readonly changed: readonly ChangedFileOfStep[];
}

interface Entry {
  readonly path: string;
  readonly year: number | undefined;
}

/**
 * Read every input and output of these years in full, also what all years share, and compare them with the digests
 * that the steps recorded. Changes nothing.
 *
 * @param years  all that have records, when there are none.
 * @throws {PipelineError} input, when a year has no records.
 */
export async function checkFiles(years: readonly number[], options: Options, ctx: Context): Promise<FileCheck> {
  const { root, state } = layoutOf(options, 0);
  const entries = entriesOf(state, options.region).filter(
    ({ year }) => year === undefined || years.length === 0 || years.includes(year),
  );
  for (const year of years.length > 0 ? years : [undefined]) {
    if (entries.some((entry) => entry.year === year || years.length === 0)) continue;
    throw new PipelineError("input", "No records to check", { year, path: state });
  }
  const read = new Set<string>();
  const changed: ChangedFileOfStep[] = [];
  const task = ctx.progress.start("files read", undefined);
  const look = {
    signal: ctx.signal,
    onFile: (path: string) => {
      ctx.signal.throwIfAborted();
      read.add(path);
      task.update(read.size);
    },
    placeOf: (path: string) => placeOf(path, root),
  };
  try {
    for (const entry of entries) changed.push(...(await changedOf(entry, look)));
  } finally {
    task.end();
  }
  return { records: entries.length, files: read.size, changed };
}

type Look = NonNullable<Parameters<typeof changedInputs>[1]> & { readonly placeOf: (path: string) => string };

/** What has changed of one record's files; looked at again where the record was made anew meanwhile. */
async function changedOf({ path, year }: Entry, look: Look): Promise<ChangedFileOfStep[]> {
  for (;;) {
    const record = readRecord(path);
    if (record === undefined) return [];
    const { step } = record;
    const inputs = await changedInputs(record, look);
    const outputs = isReleased(record) ? [] : await changedOutputs(record, look.placeOf(record.output.path), look);
    if (readRecord(path)?.finishedAt !== record.finishedAt) continue;
    return [
      ...inputs.map((file) => ({ ...file, step, year, role: "input" as const })),
      ...outputs.map((file) => ({ ...file, step, year, role: "output" as const })),
    ];
  }
}

/** A download whose raster was removed after use. */
function isReleased({ step, facts }: StepRecord): boolean {
  return step === "download" && (facts as unknown as DownloadFacts).releasedAt !== null;
}

/** Records of a region: those of years, those of archives of several years, and those that all years share. */
function entriesOf(state: string, region: string): Entry[] {
  const names = existsSync(state) ? readdirSync(state).sort() : [];
  return names.flatMap((name): Entry[] => {
    const path = join(state, name);
    const [, first, last] = OF_YEARS.exec(name.startsWith(`${region}_`) ? name.slice(region.length + 1) : "") ?? [];
    if (first !== undefined) return [{ path, year: Number(last ?? first) }];
    const shared = SHARED.exec(name);
    const isOurs = shared !== null && (shared[1] === "fields" || shared[2] === region);
    return isOurs || name === `${region}_history.json` ? [{ path, year: undefined }] : [];
  });
}

const OF_YEARS = /^(\d{4})(?:-(\d{4}))?_(?:download|zonal|tiles|column|publish|publish-column)\.json$/;
const SHARED = /^(base|blocks|base-archive|zones|lookup|fields)_(.+)_[0-9a-f]{12}\.json$/;

/** A recorded path; in a root that was moved since, where it lies now. */
function placeOf(path: string, root: string): string {
  if (existsSync(path)) return path;
  const [inside] = /(?<=\/)(?:outputs|data)\/(?!.*\/(?:outputs|data)\/).*$/.exec(path) ?? [];
  const moved = inside && join(root, inside);
  return moved !== undefined && existsSync(moved) ? moved : path;
}
