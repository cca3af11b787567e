/**
 * A year's crops put into the base's tiles, in a process of its own, timed from inside:
 * node dist-bench/tiles-stage.js '{"root": ..., "threads": 1}', a TilesTask; prints a TilesReport.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { layoutOf, resolveOptions } from "../dist/config/config.js";
import { openFields } from "../dist/fields/fields-file.js";
import { openPool } from "../dist/parallel/pool.js";
import type { Context } from "../dist/pipeline/context.js";
import { cropKeys } from "../dist/tiles/archive-metadata.js";
import { ensureBase } from "../dist/tiles/base-archive.js";
import { indexCrops } from "../dist/tiles/crop-index.js";
import { joinCrop } from "../dist/tiles/sources.js";
import { swapAttributes } from "../dist/tiles/swap.js";
import { checkSample } from "../dist/tiles/swap-check.js";
import { ensureTemplate } from "../dist/tiles/swap-template.js";
import { type Cost, PhaseTimes, startWatch } from "./stopwatch.js";

export interface TilesTask {
  /** Has the fields, the year's zonal table and a base. */
  readonly root: string;
  readonly year: number;
  readonly threads: number;
  /** Years made in one pass, all of the same crops. */
  readonly outputs: number;
  /** How often to do it all; the last time is reported. */
  readonly passes: number;
  /** Without the template. */
  readonly plain?: boolean;
  /** Folder for the archives. */
  readonly out: string;
}

export interface TilesReport {
  /** From the zonal table to the archive: join, swap, sample compared. */
  readonly work: Cost;
  /** Of the work: base in, archive out. */
  readonly swap: Cost;
  /** Of the swap, CPU in the kernel: decompressing, rewriting, compressing; and filling in the template. */
  readonly kernel: readonly [number, number, number, number];
  /** Tiles that the template could not give. */
  readonly misfits: number;
  readonly gzip: string;
  readonly tiles: number;
  readonly peakRssMiB: number;
}

const task = JSON.parse(process.argv[2] as string) as TilesTask;
const options = resolveOptions({ root: task.root, threads: task.threads });
const layout = layoutOf(options, task.year);
const log: Context["log"] = { debug() {}, info() {}, warn: say, error: say, with: () => log };
const ctx: Context = { signal: new AbortController().signal, log, progress: new PhaseTimes() };
const pool = openPool(task.threads);
const plain = await ensureBase(task.year, { options, layout, pool: () => pool, ctx });
const template = task.plain ? undefined : await ensureTemplate(task.year, plain, { layout, pool: () => pool, ctx });
const base = { ...plain, template };
let report: Omit<TilesReport, "peakRssMiB"> | undefined;
for (let pass = 0; pass < task.passes; pass++) report = await makeYears();
await pool.close();
process.stdout.write(`${JSON.stringify({ ...report, peakRssMiB: process.resourceUsage().maxRSS / 1024 })}\n`);

async function makeYears(): Promise<Omit<TilesReport, "peakRssMiB">> {
  const paths = Array.from({ length: task.outputs }, (_, i) => join(task.out, `year-${i}.pmtiles`));
  // As a year finds it: no old archive to be cut to nothing first.
  for (const path of paths) rmSync(path, { force: true });
  const workEnded = startWatch();
  const fields = await openFields(layout.fieldsRaw, options);
  const crop = await joinCrop(fields, layout.zonal, options, ctx);
  const years = [{ keys: cropKeys(false), crops: indexCrops(crop.values) }];
  const metadata = { vector_layers: [] };
  const swapEnded = startWatch();
  const { cpu, gzip, tiles, misfits } = await swapAttributes(
    base,
    paths.map((path) => ({ path, years, metadata })),
    pool,
    ctx,
  );
  const swap = swapEnded();
  for (const path of paths) await checkSample(path, base.path, years, ctx);
  return { work: workEnded(), swap, kernel: cpu, misfits: misfits ?? tiles, gzip, tiles };
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
