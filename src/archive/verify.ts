import { setImmediate as breathe } from "node:timers/promises";
import { type ErrorKind, PipelineError } from "../pipeline/errors.js";
import { type Audit, type AuditPlan, auditTiles, missingRows, newAudit } from "./audit.js";
import { GENERATOR } from "./metadata.js";
import { Archive } from "./reader.js";
import { checkStructure, type Expectations } from "./structure.js";
import { entriesOfZoom } from "./zooms.js";

const ENTRIES_PER_TURN = 256;
/** tippecanoe's buffer is 5 of 256 pixels; where it mends a polygon, vertices lie up to half a pixel beyond it. */
export const OWN_BUFFER = 6 / 256;
/** Archives of other makers: the widest buffer in use (PostGIS' ST_AsMVT). */
const ANY_BUFFER = 1 / 16;

export interface ArchiveExpectations extends Expectations {
  /** Each layer's geometry type and the rows that every layer must have; see AuditPlan. */
  readonly audit?: Omit<AuditPlan, "maxZoom">;
}

export interface VerifyOptions {
  /** Open this many tiles, seeded, and each zoom's first and last; undefined: all. */
  readonly sample?: number;
  /** Kind of the error when something is wrong; `input`, or `tool` where a tool just made the archive. */
  readonly kind?: ErrorKind;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Check an archive: structure (see checkStructure), then that its tiles decompress
 * and parse, with their geometry and attributes as announced, and, where rows are expected and no sample was asked for, that every row
 * is in every layer at the highest zoom.
 *
 * @returns what was counted.
 * @throws {PipelineError} naming file, tile or entry, what was expected and what is there.
 */
export async function verifyArchive(
  path: string,
  expected: ArchiveExpectations = {},
  options: VerifyOptions = {},
): Promise<Audit> {
  let archive: Archive | undefined;
  try {
    archive = new Archive(path);
    checkStructure(archive, expected);
    const plan = planOf(archive, expected.audit);
    const audit = newAudit(plan);
    const turns = options.sample === undefined ? allEntries(archive) : sampleEntries(archive, options.sample);
    for (const { from, to } of turns) {
      await breathe();
      options.signal?.throwIfAborted();
      auditTiles(audit, archive, plan, from, to);
      options.onProgress?.(audit.entries, options.sample ?? archive.entries.count);
    }
    if (options.sample === undefined) requireEveryRow(audit, plan, path);
    return audit;
  } catch (error) {
    if (!(error instanceof PipelineError) || error.kind !== "input" || options.kind === undefined) throw error;
    throw new PipelineError(options.kind, error.sentence, error.where, { cause: error.cause });
  } finally {
    archive?.close();
  }
}

/** What is expected, and what the archive's own metadata announce. */
function planOf(archive: Archive, expected: ArchiveExpectations["audit"] = { layers: [] }): AuditPlan {
  const metadata = archive.metadata();
  const announced = metadata.vector_layers ?? [];
  const layers = announced.map(({ id, fields, minzoom, maxzoom }) => ({
    name: id,
    fields,
    ...(minzoom !== undefined && { minzoom }),
    ...(maxzoom !== undefined && { maxzoom }),
    ...expected.layers.find(({ name }) => name === id),
  }));
  const buffer = metadata.generator === GENERATOR ? OWN_BUFFER : ANY_BUFFER;
  return { buffer, ...expected, layers, maxZoom: archive.header.maxZoom };
}

/** @throws {PipelineError} input, when a layer lacks rows: how many, and the first twenty. */
export function requireEveryRow(audit: Audit, plan: AuditPlan, path: string): void {
  const { rows } = plan;
  if (rows === undefined) return;
  plan.layers.forEach(({ name }, i) => {
    const layer = audit.layers[i];
    const missing = layer === undefined ? { count: rows, first: [] } : missingRows(layer, rows);
    if (missing.count === 0) return;
    throw new PipelineError("input", "Features are missing at the highest zoom", {
      path,
      layer: name,
      zoom: plan.maxZoom,
      expected: rows,
      received: rows - missing.count,
      missing: missing.first.join(" "),
    });
  });
}

function* allEntries({ entries }: Archive): Generator<{ from: number; to: number }> {
  for (let from = 0; from < entries.count; from += ENTRIES_PER_TURN) {
    yield { from, to: Math.min(from + ENTRIES_PER_TURN, entries.count) };
  }
}

/** Always the same entries of the same archive, in ascending order. */
function* sampleEntries(archive: Archive, sample: number): Generator<{ from: number; to: number }> {
  const { entries, header } = archive;
  const chosen = new Set<number>();
  for (let z = header.minZoom; z <= header.maxZoom; z++) {
    const { from, to } = entriesOfZoom(archive, z);
    if (to > from) chosen.add(from).add(to - 1);
  }
  const wanted = Math.min(entries.count, Math.max(sample, chosen.size));
  // A full-period generator modulo a power of two; numbers past the end are passed over.
  const period = 2 ** Math.ceil(Math.log2(Math.max(4, entries.count)));
  for (let i = 1; chosen.size < wanted; ) {
    i = (Math.imul(i, 1_664_525) + 1_013_904_223) & (period - 1);
    if (i < entries.count) chosen.add(i);
  }
  for (const entry of Uint32Array.from(chosen).sort()) yield { from: entry, to: entry + 1 };
}
