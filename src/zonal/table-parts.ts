import { existsSync } from "node:fs";
import type { DirtyRows } from "../fields/dirty.js";
import { isRemote } from "../network/remote-url.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint, type Json } from "../pipeline/fingerprint.js";
import { type Part, requireParts, requireSameInputs } from "../pipeline/part.js";
import { rasterDigest } from "../raster/raster-file.js";
import { partNote } from "../table/table-part.js";
import type { ZonalFacts } from "./count-fields.js";
import { needsHistogramColumns, type ZonalRule } from "./rule.js";

/** What a part of a zonal table says about itself, in its footer. */
export interface PartNote {
  /** Fingerprint of all inputs and options; the same for all parts of a table. */
  readonly inputs: string;
  readonly part: Part;
  readonly facts: ZonalFacts;
}

/**
 * A part of a zonal table is a range of its row groups, as the zone index has them.
 *
 * @throws {PipelineError} usage: no index, or columns that are not written by row groups.
 */
export function checkDivisible(rule: ZonalRule, index: string | undefined): void {
  if (index === undefined)
    throw new PipelineError("usage", "--part and --join need --index: make a zone index with prepare.js first");
  if (needsHistogramColumns(rule))
    throw new PipelineError("usage", "--part and --join do not support --classes and --stats");
}

/** Fingerprint of what a table's bytes depend on. */
export function partInputs(
  fieldsDigest: string,
  job: { readonly rasterPath: string; readonly band: number },
  rule: ZonalRule,
  { nodata }: { readonly nodata?: unknown },
): string {
  const { rasterPath, band } = job;
  const raster = isRemote(rasterPath) ? rasterPath : rasterDigest(rasterPath);
  const { ties, pixels, area, columns } = rule;
  const options = {
    ties,
    pixels,
    area,
    columns: JSON.stringify(columns ?? null),
    nodata: JSON.stringify(nodata ?? null),
  };
  return fingerprint({ version: 1, fields: fieldsDigest, raster, band, ...options } as Json);
}

/** Whether a finished part with these inputs is there. */
export function hasPart(path: string, inputs: string, part: Part, ctx: Context): boolean {
  if (!existsSync(path)) return false;
  try {
    requireNote(path, inputs, part);
  } catch {
    return false;
  }
  ctx.log.info(`valid, nothing to do: ${path}`);
  return true;
}

/**
 * All parts of a table, in the order of their rows.
 *
 * @throws {PipelineError} input: a part is missing, cut short, not a part, or of other inputs.
 */
export function requireTableParts(
  out: string,
  count: number,
  inputs: string,
): { readonly path: string; readonly note: PartNote }[] {
  return requireParts(out, count).map(({ part, path }) => ({ path, note: requireNote(path, inputs, part) }));
}

function requireNote(path: string, inputs: string, part: Part): PartNote {
  const note = partNote(path) as PartNote;
  requireSameInputs(path, inputs, note.inputs);
  if (note.part.number === part.number && note.part.count === part.count) return note;
  throw new PipelineError("input", "File holds another part", {
    path,
    expected: `${part.number}/${part.count}`,
    received: `${note.part.number}/${note.part.count}`,
  });
}

/** Facts of the whole table. */
export function sumFacts(parts: readonly ZonalFacts[], dirty: DirtyRows): ZonalFacts {
  const sum = (of: (facts: ZonalFacts) => number) => parts.reduce((total, facts) => total + of(facts), 0);
  const reasons = [...new Set(parts.flatMap(({ unanswered }) => Object.keys(unanswered)))];
  return {
    rows: sum(({ rows }) => rows),
    answered: sum(({ answered }) => answered),
    unanswered: Object.fromEntries(reasons.map((reason) => [reason, sum(({ unanswered }) => unanswered[reason] ?? 0)])),
    dirty: dirty.counts(),
    dirtyRows: dirty.rowCount,
    validPixels: sum(({ validPixels }) => validPixels),
  };
}
