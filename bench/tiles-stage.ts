/**
 * Fields tiled, tiles precompressed, or a year's crops put into them, in a process of its own, timed from inside:
 * node dist-bench/tiles-stage.js '{"root": ..., "threads": 1}', a TileTask, MakeTask or YearsTask; prints its report.
 */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArchiveWriter } from "../dist/archive/writer.js";
import { layoutOf, resolveOptions } from "../dist/config/config.js";
import { openFields } from "../dist/fields/fields-file.js";
import { openPool } from "../dist/parallel/pool.js";
import type { Context } from "../dist/pipeline/context.js";
import { cropKeys } from "../dist/tiles/archive-metadata.js";
import { ensureBase } from "../dist/tiles/base.js";
import { type ContentsTask, convertContents } from "../dist/tiles/convert-contents.js";
import { indexCrops } from "../dist/tiles/crop-index.js";
import { tileNatively } from "../dist/tiles/native-tiler.js";
import { precompressArchive } from "../dist/tiles/precompress.js";
import { recordPlan } from "../dist/tiles/record-plan.js";
import { rewriteAttributes } from "../dist/tiles/rewrite-attributes.js";
import { checkSample } from "../dist/tiles/rewrite-check.js";
import { joinCrop } from "../dist/tiles/sources.js";
import { readBaseTiles } from "../dist/tiles/tasks.js";
import { type Cost, PhaseTimes, startWatch } from "./stopwatch.js";

export interface YearsTask {
  readonly kind: "years";
  /** Has the fields, the year's zonal table and a base. */
  readonly root: string;
  readonly year: number;
  readonly threads: number;
  /** Years made in one pass, all of the same crops. */
  readonly outputs: number;
  /** How often to do it all; the last time is reported. */
  readonly passes: number;
  /** The base as PMTiles: every tile is rewritten. */
  readonly archive?: string;
  /** Folder for the archives. */
  readonly out: string;
}

export interface YearsReport {
  /** From the zonal table to the archive: join, attributes written, sample compared. */
  readonly work: Cost;
  /** Of the work: base in, archive out. */
  readonly write: Cost;
  /** Of the latter, CPU in the kernel: reading base tiles, rewriting, compressing; and filling records. */
  readonly kernel: readonly [number, number, number, number];
  /** Tiles that were rewritten, as their records could not be filled. */
  readonly rewritten: number;
  readonly gzip: string;
  readonly tiles: number;
  readonly peakRssMiB: number;
}

export interface MakeTask {
  readonly kind: "make";
  /** The base as PMTiles, and the number of fields. */
  readonly archive: string;
  readonly rows: number;
  readonly out: string;
}

/** One thread, archive in, file out: each decompresses the same tiles first. */
export interface MakeReport {
  readonly precompress: Cost;
  /** By libdeflate, or what the kernel was built with. */
  readonly gzip6: Cost;
  readonly precompressedBytes: number;
  readonly gzip6Bytes: number;
}

export interface TileTask {
  readonly kind: "tile";
  /** Has the fields. */
  readonly root: string;
  readonly threads: number;
  readonly out: string;
}

/** The native tiler, parquet in, archive out; without joining areas, the audit and precompressing. */
export interface TileReport {
  readonly tile: Cost;
  readonly peakRssMiB: number;
}

const task = JSON.parse(process.argv[2] as string) as YearsTask | MakeTask | TileTask;
const log: Context["log"] = { debug() {}, info() {}, warn: say, error: say, with: () => log };
const ctx: Context = { signal: new AbortController().signal, log, progress: new PhaseTimes() };
const pool = openPool(task.kind === "make" ? 1 : task.threads);
const report =
  task.kind === "make" ? await makeBase(task) : task.kind === "tile" ? await tile(task) : await makeYears(task);
await pool.close();
process.stdout.write(`${JSON.stringify({ ...report, peakRssMiB: process.resourceUsage().maxRSS / 1024 })}\n`);

async function makeBase({ archive, rows, out }: MakeTask): Promise<MakeReport> {
  const metadata = { vector_layers: [] };
  let [precompress, gzip6]: (Cost | undefined)[] = [];
  const [records, tiles] = [join(out, "made.precompressed"), join(out, "made.pmtiles")];
  // Twice, so that the second time finds the code compiled and the file in memory.
  for (let pass = 0; pass < 2; pass++) {
    const precompressed = startWatch();
    await precompressArchive(archive, records, rows, metadata, pool, ctx);
    precompress = precompressed();
    const compressed = startWatch();
    const plan = { ...recordPlan(rows), level: 6 };
    const convert = (part: ContentsTask) => pool.run(readBaseTiles, { ...part, plan });
    const conversion = { source: archive, target: new ArchiveWriter(tiles), metadata, convert, title: "", threads: 1 };
    await convertContents(conversion, ctx);
    gzip6 = compressed();
  }
  const [precompressedBytes, gzip6Bytes] = [statSync(records).size, statSync(tiles).size];
  for (const path of [records, tiles]) rmSync(path);
  return { precompress: precompress as Cost, gzip6: gzip6 as Cost, precompressedBytes, gzip6Bytes };
}

async function tile({ root, out, threads }: TileTask): Promise<Omit<TileReport, "peakRssMiB">> {
  const options = resolveOptions({ root, threads });
  const fields = await openFields(layoutOf(options, 0).fieldsRaw, options);
  const attributes = { area: new SharedArrayBuffer(4 * fields.rows), fieldId: false };
  const ended = startWatch();
  const { path } = await tileNatively(fields, attributes, join(out, "made"), options, pool, ctx);
  const cost = ended();
  rmSync(path);
  return { tile: cost };
}

async function makeYears(own: YearsTask): Promise<Omit<YearsReport, "peakRssMiB">> {
  const options = resolveOptions({ root: own.root, threads: own.threads });
  const layout = layoutOf(options, own.year);
  const base = await ensureBase(own.year, { options, layout, pool: () => pool, ctx });
  const paths = Array.from({ length: own.outputs }, (_, i) => join(own.out, `year-${i}.pmtiles`));
  let result: Omit<YearsReport, "peakRssMiB"> | undefined;
  for (let pass = 0; pass < own.passes; pass++) {
    // As a year finds it: no old archive to be cut to nothing first.
    for (const path of paths) rmSync(path, { force: true });
    const workEnded = startWatch();
    const fields = await openFields(layout.fieldsRaw, options);
    const crop = await joinCrop(fields, layout.zonal, options, ctx);
    const years = [{ keys: cropKeys(false), crops: indexCrops(crop.values) }];
    const metadata = { vector_layers: [] };
    const writeEnded = startWatch();
    const { cpu, gzip, tiles, rewritten } = await rewriteAttributes(
      own.archive === undefined ? base : { ...base, path: own.archive },
      paths.map((path) => ({ path, years, metadata })),
      pool,
      ctx,
    );
    const write = writeEnded();
    for (const path of paths) await checkSample(path, { path: base.path, rows: base.facts.rows }, years, ctx);
    result = { work: workEnded(), write, kernel: cpu, rewritten, gzip, tiles };
  }
  return result as Omit<YearsReport, "peakRssMiB">;
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
