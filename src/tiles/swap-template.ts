import { rmSync } from "node:fs";
import { basename, join } from "node:path";
import { COMPRESSION } from "../archive/header.js";
import { Archive, readHeader } from "../archive/reader.js";
import type { Run } from "../config/run.js";
import type { TemplateMakerPlan } from "../kernel/tiles.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { ensureStep } from "../pipeline/ensure.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { InputFiles } from "../pipeline/input-files.js";
import type { Step } from "../pipeline/step.js";
import { type CropKeys, cropKeys, LAYERS } from "./archive-metadata.js";
import type { BaseArchive } from "./base-archive.js";
import { type ContentRange, contentsOf, rangesOf, spansOf } from "./contents.js";
import { makeTemplates } from "./tasks.js";
import {
  openTemplate,
  TEMPLATE_VERSION,
  type TemplateFacts,
  type TemplateFile,
  TemplateWriter,
} from "./template-file.js";

/** Bytes of the base that a worker takes at a time. */
const BATCH_BYTES = 2 ** 18;
const BATCH_TILES = 1024;
const AHEAD = 2;
/** Crops of the trial year. */
const TRIAL_CODES = [1, 5, 24, 36, 61, 176, 254];

/** A base archive's swap template, and how to be rid of it. */
export interface SwapTemplate extends TemplateFile {
  /** Take it for invalid: the next run makes it again. */
  forget(): void;
}

/** A base, and its template where a year has use for it. */
export interface PreparedBase extends BaseArchive {
  readonly template?: SwapTemplate | undefined;
}

/** Whether a year's attributes are what templates are made for: the crop's code alone. */
export function suitsTemplate(keys: CropKeys): boolean {
  return keys.name === undefined && keys.code === cropKeys(false).code;
}

/**
 * The swap template of a base, in `data/base/` under the root; made where there is none that fits. One process makes
 * it, others that start at the same time wait for it.
 *
 * @param year  that wants it, for the log alone.
 * @returns undefined for a base whose tiles are not compressed.
 * @throws {PipelineError} input, naming the tile, when the base is damaged; space.
 */
export async function ensureTemplate(
  year: number | undefined,
  base: BaseArchive,
  run: Pick<Run, "layout" | "pool" | "ctx">,
): Promise<SwapTemplate | undefined> {
  if (readHeader(base.path).tileCompression !== COMPRESSION.gzip) return undefined;
  const step = templateStep(year, base, run);
  await ensureStep(step, join(run.layout.state, `${basename(step.record, ".json")}.lock`), run.ctx);
  const forget = () => rmSync(step.record, { force: true });
  try {
    return { ...openTemplate(step.target), forget };
  } catch (error) {
    forget();
    throw error;
  }
}

function templateStep(
  year: number | undefined,
  base: BaseArchive,
  { layout, pool }: Pick<Run, "layout" | "pool">,
): Step<{ tiles: number; withoutTemplate: number; bytes: number }> {
  const name = basename(base.path, ".pmtiles");
  const files = new InputFiles();
  const facts: TemplateFacts = {
    base: files.digest(base.path),
    key: cropKeys(false).code,
    layers: LAYERS,
    rows: base.facts.rows,
  };
  return {
    name: "template",
    year,
    version: TEMPLATE_VERSION,
    target: join(layout.root, "data", "base", `${name}.template`),
    record: join(layout.state, `template_${name}.json`),
    errorKind: "failed",
    files,
    inputs: { ...facts },
    async validate() {},
    run: (partial, ctx) => makeTemplate(base, facts, partial, pool(), ctx),
    async verify(partial, { tiles }) {
      const { starts } = openTemplate(partial);
      if (starts.length === tiles + 1) return;
      throw new PipelineError("failed", "Swap template lacks tiles", {
        path: partial,
        expected: tiles,
        received: starts.length - 1,
      });
    },
  };
}

async function makeTemplate(base: BaseArchive, facts: TemplateFacts, partial: string, pool: Pool, ctx: Context) {
  const archive = new Archive(base.path);
  const contents = contentsOf(archive);
  archive.close();
  const plan: TemplateMakerPlan = { ...facts, trial: trialOf(facts.rows) };
  const ranges = rangesOf(contents, BATCH_BYTES, BATCH_TILES, (c) => contents.lengths[c] as number);
  const run = async (range: ContentRange) => {
    const tileIds = contents.tileIds.slice(range.from, range.to);
    try {
      return await pool.run(makeTemplates, { path: base.path, ...spansOf(contents, range), tileIds, plan });
    } catch (cause) {
      throw asPipelineError(cause, "input", "Base archive cannot be read", { path: base.path });
    }
  };
  const writer = new TemplateWriter(partial);
  const task = ctx.progress.start("tiles prepared for all years", contents.count);
  let [tiles, withoutTemplate, bytes] = [0, 0, 0];
  try {
    for await (const { records, ends } of mapOrdered(ranges, pool.threads + AHEAD, run)) {
      ctx.signal.throwIfAborted();
      writer.write(records, ends);
      bytes += records.length;
      withoutTemplate += ends.reduce((sum, end, i) => sum + (end === (ends[i - 1] ?? 0) ? 1 : 0), 0);
      tiles += ends.length;
      task.update(tiles);
    }
    writer.finish(facts);
  } finally {
    task.end();
    writer.close();
  }
  return { tiles, withoutTemplate, bytes };
}

/** A crop for most rows, any one. */
function trialOf(rows: number): TemplateMakerPlan["trial"] {
  const index = new Uint8Array(new SharedArrayBuffer(rows));
  for (let row = 0; row < rows; row++) index[row] = (Math.imul(row, 0x9e3779b1) >>> 24) % (TRIAL_CODES.length + 1);
  return { index, codes: Uint32Array.from(TRIAL_CODES) };
}
