import { Entries } from "../archive/entries.js";
import type { Archive } from "../archive/reader.js";
import { tileName } from "../archive/tile-id.js";
import type { ArchiveWriter } from "../archive/writer.js";
import type { SwapPlan, TemplateFillPlan } from "../kernel/tiles.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { type ContentRange, type Contents, contentsOf, rangesOf, spansOf } from "./contents.js";
import { Places } from "./places.js";
import type { YearAttributes } from "./swap-plan.js";
import type { SwapTemplate } from "./swap-template.js";
import type { FilledTiles } from "./tasks.js";
import { fillTiles } from "./tasks.js";

/** Bytes that a worker hands on at a time, of all outputs together, about: enough that handing on costs nothing. */
const BATCH_BYTES = 4 * 2 ** 20;
const LEAST_BATCH_BYTES = 2 ** 18;
/** Batches a thread at least, so that all end at about the same time. */
const BATCHES = 8;
const BATCH_TILES = 2 ** 16;
/** Classes from here on do not fit a template's slots. */
const SLOT_CLASSES = 2 ** 14;
const AHEAD = 2;

export interface TemplateSwapReport {
  /** Seconds of the workers' CPU: filling in codes; decompressing, rewriting and compressing tiles that do not fit. */
  readonly fillCpu: number;
  readonly swapCpu: readonly [number, number, number];
  /** Tiles of all outputs that did not fit. */
  readonly misfits: number;
}

/** What the kernel is told of years; their crops are what a template takes. */
export function planFill(plan: SwapPlan, outputs: readonly (readonly YearAttributes[])[]): TemplateFillPlan {
  return {
    rows: plan.rows,
    layers: plan.layers,
    outputs: outputs.map(([year]) => {
      const { codes, index } = (year as YearAttributes).crops;
      // Whatever a slot cannot hold is one and the same here: such tiles go the other way.
      const fits = (code: number) => Number.isInteger(code) && code >= 0 && code < SLOT_CLASSES;
      return { index, codes: Uint32Array.from(codes, (code) => (fits(code) ? code : SLOT_CLASSES)) };
    }),
  };
}

/**
 * Fill a template for some years, into files that workers write themselves: the writers get to know which tile came
 * where. Tiles that do not fit are made as they are without a template.
 *
 * @param swap  for those tiles.
 * @throws {PipelineError} input, naming the tile, when template or base is damaged; space.
 */
export async function fillTemplate(
  archive: Archive,
  template: SwapTemplate,
  writers: readonly ArchiveWriter[],
  fill: TemplateFillPlan,
  swap: SwapPlan,
  pool: Pool,
  ctx: Context,
): Promise<TemplateSwapReport> {
  const contents = contentsOf(archive);
  const { starts } = template;
  if (starts.length !== contents.count + 1) {
    template.forget();
    throw new PipelineError("input", "Swap template has other tiles than its base", {
      path: template.path,
      expected: contents.count,
      received: starts.length - 1,
    });
  }
  const size = (c: number) => (starts[c + 1] as number) - (starts[c] as number);
  const most = Math.min(BATCH_BYTES, (starts[contents.count] as number) / (pool.threads * BATCHES)) / writers.length;
  const ranges = [...rangesOf(contents, Math.max(LEAST_BATCH_BYTES, most), BATCH_TILES, size)];
  const places = Places.create(ranges.length, writers.length);
  const shared = {
    template: template.path,
    base: archive.path,
    outputs: writers.map(({ path }) => path),
    places: { shared: places.shared, stretches: places.stretches, outputs: places.outputs },
    fill,
    swap,
  };
  const run = async (range: ContentRange, stretch: number) => {
    try {
      return await pool.run(fillTiles, { ...shared, stretch, ...rangeTask(contents, range, starts) });
    } catch (cause) {
      throw asPipelineError(cause, "input", "Base archive cannot be read", { path: archive.path });
    }
  };
  const lengths = writers.map(() => new Uint32Array(contents.count));
  const swapCpu: [number, number, number] = [0, 0, 0];
  let [fillCpu, misfits, done] = [0, 0, 0];
  const task = ctx.progress.start("tiles given attributes", contents.count);
  try {
    for await (const filled of mapOrdered(ranges.entries(), pool.threads + AHEAD, async ([stretch, range]) => ({
      stretch,
      range,
      ...(await run(range, stretch)),
    }))) {
      ctx.signal.throwIfAborted();
      if (filled.damaged !== undefined) throw damagedTemplate(template, contents, filled.range, filled.damaged);
      if (filled.late !== undefined) writeLate(filled.late, filled.stretch, places, writers);
      for (const [o, ends] of filled.ends.entries()) {
        const to = (lengths[o] as Uint32Array).subarray(filled.range.from, filled.range.to);
        for (let i = 0, begin = 0; i < ends.length; begin = ends[i++] as number) to[i] = (ends[i] as number) - begin;
      }
      fillCpu += filled.fillCpu;
      for (const i of [0, 1, 2] as const) swapCpu[i] += filled.swapCpu[i] as number;
      misfits += filled.misfits;
      done += filled.range.to - filled.range.from;
      task.update(done);
    }
  } finally {
    task.end();
  }
  const ends = places.ends();
  for (const [o, writer] of writers.entries()) {
    writer.adopt(directoryOf(archive.entries, contents, lengths[o] as Uint32Array), contents.count, ends[o] as number);
  }
  return { fillCpu, swapCpu, misfits };
}

function rangeTask(contents: Contents, range: ContentRange, starts: Float64Array) {
  const { from, to } = range;
  const at = starts[from] as number;
  const marked = contents.highest.indexOf(1, from);
  const { spans, ends: contentEnds } = spansOf(contents, range);
  return {
    at,
    ends: new Uint32Array(starts.subarray(from + 1, to + 1).map((end) => end - at)),
    markFrom: marked < 0 || marked >= to ? to - from : marked - from,
    tileIds: contents.tileIds.slice(from, to),
    spans,
    contentEnds,
  };
}

/** The base's directory with the contents where they are now. */
function directoryOf(base: Entries, { ofEntry, count }: Contents, lengths: Uint32Array): Entries {
  const starts = new Float64Array(count);
  for (let c = 1; c < count; c++) starts[c] = (starts[c - 1] as number) + (lengths[c - 1] as number);
  const entries = new Entries(base.count);
  for (let e = 0; e < base.count; e++) {
    const content = ofEntry[e] as number;
    entries.push(base.tileId(e), starts[content] as number, lengths[content] as number, base.runLength(e));
  }
  return entries;
}

/** What a worker could not write, as those before it took long. */
function writeLate(late: readonly Uint8Array[], stretch: number, places: Places, writers: readonly ArchiveWriter[]) {
  const at = places.take(
    stretch,
    late.map(({ length }) => length),
  );
  if (at === undefined)
    throw new PipelineError("failed", "Stretch has no place though all before it have", { stretch });
  for (const [o, content] of late.entries()) writers[o]?.writeTiles(content, at[o] as number);
}

function damagedTemplate(
  template: SwapTemplate,
  contents: Contents,
  { from }: ContentRange,
  { tile, reason }: NonNullable<FilledTiles["damaged"]>,
): PipelineError {
  template.forget();
  return new PipelineError("input", "Swap template is damaged, the next run makes it again", {
    path: template.path,
    tile: tileName(contents.tileIds[from + tile] as number),
    reason,
  });
}
