/**
 * One stage in a process of its own, timed from inside:
 * node dist-bench/stage.js '{"stage": "scan", ...}', a StageTask; prints a StageReport.
 */
import { closeSync } from "node:fs";
import { basename, join } from "node:path";
import gdal from "gdal-async";
import { resolveOptions } from "../dist/config/config.js";
import { openFields } from "../dist/fields/fields-file.js";
import { findRepeatedIds } from "../dist/fields/tasks.js";
import { nativeKernel } from "../dist/kernel/native.js";
import { openPool, type Pool } from "../dist/parallel/pool.js";
import type { Context } from "../dist/pipeline/context.js";
import { endScratch, openScratch, publishFile } from "../dist/pipeline/output.js";
import { openRaster, type Raster } from "../dist/raster/raster.js";
import { openTiffBand } from "../dist/raster/tiff-band.js";
import { planWindows } from "../dist/raster/window-plan.js";
import { countFields, verifyZonalTable, type ZoneSource } from "../dist/zonal/count-fields.js";
import { zonalRule } from "../dist/zonal/rule.js";
import { scanLane } from "../dist/zonal/tasks.js";
import { buildZones } from "../dist/zones/build-zones.js";
import { burnSlice } from "../dist/zones/tasks.js";
import { ZoneReader } from "../dist/zones/zone-reader.js";
import { type Cost, type Phase, PhaseTimes, startWatch } from "./stopwatch.js";
import { wake } from "./wake.js";

export interface StageTask {
  /**
   * `start`   nothing: what a process costs before any work.
   * `decode`  every pixel of the raster once, by GDAL alone.
   * `read`    the same by the kernel, as workers do it.
   * `build`   the zone index.
   * `scan`    the table, from the zone index.
   * `direct`  the table, without one.
   */
  readonly stage: "start" | "decode" | "read" | "build" | "scan" | "direct";
  readonly fields: string;
  readonly raster: string;
  /** Zone index: made by `build`, read by `scan`. */
  readonly index: string;
  /** The table to write. */
  readonly out: string;
  readonly threads: number;
  /** How often to do it all; the last time is reported. A second pass finds every program compiled, as a long run does. */
  readonly passes: number;
}

export interface StageReport {
  /** Until everything is loaded and open and every worker has started. */
  readonly start: Cost;
  /** Of the last pass, as are the phases. */
  readonly work: Cost;
  readonly phases: readonly Phase[];
  readonly peakRssMiB: number;
}

/** Rows read at a time by `decode`, at least; whole blocks. */
const DECODE_ROWS = 512;
/** GDAL's block cache for `decode`, MiB: every block is wanted once, so a small one is the fastest. */
const DECODE_CACHE_MIB = "16";

const ended = startWatch();
const task = JSON.parse(process.argv[2] as string) as StageTask;
const options = { ...resolveOptions({}), threads: task.threads };
const rule = zonalRule(options);
const times = new PhaseTimes();
const ctx: Context = { signal: new AbortController().signal, log: warningsOnly(), progress: times };
const work = await prepare(task.stage);
const start = ended();
let cost = start;
for (let pass = 0; pass < task.passes; pass++) {
  times.phases.length = 0;
  const passEnded = startWatch();
  await work.run();
  cost = passEnded();
}
await work.close();
const report: StageReport = {
  start,
  work: cost,
  phases: times.phases,
  peakRssMiB: process.resourceUsage().maxRSS / 1024,
};
process.stdout.write(`${JSON.stringify(report)}\n`);

async function prepare(stage: StageTask["stage"]): Promise<{ run(): Promise<void>; close(): Promise<void> }> {
  const raster = openRaster(task.raster);
  if (stage === "decode") return { run: async () => decode(raster), close: async () => {} };
  if (stage === "read") return { run: async () => read(raster), close: async () => {} };
  const fields = await openFields(task.fields, options);
  const pool = openPool(task.threads);
  await startWorkers(pool);
  const build = (index: string) => buildZones(fields, raster.grid, index, options, pool, ctx);
  const write = async (zones: (scratch: string) => ReturnType<ZoneSource>) => {
    const scratch = openScratch(task.out);
    const partial = join(scratch.path, basename(task.out));
    await countFields(fields, [{ raster, out: partial }], () => zones(scratch.path), rule, {
      options,
      pool: () => pool,
      ctx,
    });
    await verifyZonalTable(partial, fields.rows, rule);
    publishFile(partial, task.out);
    endScratch(scratch, false, ctx);
  };
  const runs = {
    start: async () => {},
    build: async () => void (await build(task.index)),
    scan: () => write(() => ZoneReader.open(task.index)),
    direct: () =>
      write(async (scratch) => {
        const index = join(scratch, "zones");
        await build(index);
        return ZoneReader.open(index);
      }),
  };
  return { run: runs[stage], close: () => pool.close() };
}

/** The floor: one handle, one thread, full rows of blocks, each decoded once. */
function decode(raster: Raster): void {
  gdal.config.set("GDAL_CACHEMAX", DECODE_CACHE_MIB);
  const { width, height } = raster.grid;
  const rows = raster.block.height * Math.ceil(DECODE_ROWS / raster.block.height);
  const pixels = new Uint8Array(width * rows * raster.bytesPerPixel);
  const dataset = gdal.open(raster.path);
  const band = dataset.bands.get(1);
  for (let row = 0; row < height; row += rows) {
    const count = Math.min(rows, height - row);
    band.pixels.read(0, row, width, count, pixels.subarray(0, width * count));
  }
  dataset.close();
}

/** The kernel's reading of the same, in windows as large as a worker's. */
function read(raster: Raster): void {
  const kernel = nativeKernel();
  const band = openTiffBand(raster, kernel);
  if (band === undefined) throw new Error(`the kernel does not read ${raster.path}`);
  const windows = planWindows(raster, raster.grid, { col: 0, row: 0 }).map(({ window }) => window);
  const pixels = new Uint8Array(Math.max(...windows.map(({ width, height }) => width * height)));
  for (const window of windows) kernel.readBlocks(band, window, pixels.subarray(0, window.width * window.height));
  closeSync(band.fd);
}

/** Workers start when tasks wait for them, and load the kernel on their own: until the process rests. */
async function startWorkers(pool: Pool): Promise<void> {
  const modules = [burnSlice, findRepeatedIds, scanLane].map((task) => task.module);
  for (let busy = true; busy; ) {
    const before = process.cpuUsage();
    await Promise.all(Array.from({ length: pool.threads }, () => pool.run(wake, modules)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { user, system } = process.cpuUsage(before);
    busy = user + system > 10_000;
  }
}

function warningsOnly(): Context["log"] {
  const say = (message: string) => void process.stderr.write(`${message}\n`);
  const log: Context["log"] = { debug() {}, info() {}, warn: say, error: say, with: () => log };
  return log;
}
