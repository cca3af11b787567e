import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { listIn } from "../archive/metadata.js";
import { Archive } from "../archive/reader.js";
import { layoutOf, type Options } from "../config/config.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { readRecord, recordPath } from "../pipeline/record.js";
import type { FinishedArchive } from "./step.js";

/**
 * The archive with a year's crops: the year's own, or the newest one of several years that has them.
 *
 * @throws {PipelineError} input, when there is none.
 */
export function finishedArchive(year: number, options: Options): FinishedArchive {
  const { archive, state } = layoutOf(options, year);
  const own = { path: archive, record: recordPath(state, options.region, year, "tiles") };
  const { path, record } = existsSync(archive) ? own : (ofSeveralYears(year, options) ?? own);
  if (!existsSync(path)) {
    throw new PipelineError("input", "Archive to publish not found; create it first", { path, year });
  }
  const digest = fileDigest(path);
  const made = readRecord(record);
  // Facts of another archive than the one that lies there would be a lie.
  const known = made?.output.digest === digest ? made : undefined;
  return { path, digest, facts: known?.facts ?? {}, builtAt: known?.finishedAt };
}

/** What `--single-archive` made: `fields_us_2008-2024_full.pmtiles`. */
function ofSeveralYears(year: number, options: Options): { path: string; record: string } | undefined {
  const { archive, state } = layoutOf(options, year);
  const folder = dirname(archive);
  const [head, tail] = [`fields_${options.region}_`, "_full.pmtiles"];
  const found = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.startsWith(head) && name.endsWith(tail))
    .map((name) => ({ span: name.slice(head.length, -tail.length), path: join(folder, name) }))
    .filter(({ span, path }) => /^\d{4}-\d{4}$/.test(span) && yearsIn(path).includes(year))
    .sort((a, b) => statSync(b.path).mtimeMs - statSync(a.path).mtimeMs)[0];
  return found && { path: found.path, record: join(state, `${options.region}_${found.span}_tiles.json`) };
}

function yearsIn(path: string): readonly unknown[] {
  const archive = new Archive(path);
  try {
    return listIn(archive.metadata(), "years") ?? [];
  } finally {
    archive.close();
  }
}
