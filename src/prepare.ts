import { mkdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Arguments } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import type { Options } from "./config/options.js";
import { openFields } from "./fields/fields-file.js";
import { withFieldsParquet } from "./fields/vector-source.js";
import { openPool } from "./parallel/pool.js";
import { availableThreads } from "./parallel/threads.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { openScratch, publishFile, removeScratch } from "./pipeline/output.js";
import type { Grid } from "./raster/grid.js";
import { openRaster } from "./raster/raster.js";
import { buildZones, fieldsFingerprint } from "./zones/build-zones.js";
import { fitRaster } from "./zones/fit.js";
import { ZoneReader } from "./zones/zone-reader.js";

/** Burn a field set once, on the grid of a raster, into a zone index that every year on that grid uses. */
async function prepare(args: Arguments, ctx: Context) {
  const { options, own } = args;
  const [fieldsPath, rasterPath, out] = ["fields", "raster", "out"].map((flag) => {
    const value = own[flag];
    if (typeof value !== "string") throw new PipelineError("usage", `--${flag} is missing`);
    return resolve(value);
  }) as [string, string, string];
  const { grid } = openRaster(rasterPath);
  const vector = { layer: own.layer as string | undefined, idColumn: options.idColumn };
  return withFieldsParquet(fieldsPath, vector, out, ctx, (parquet) => makeIndex(parquet, grid, out, options, ctx));
}

async function makeIndex(fieldsPath: string, grid: Grid, out: string, options: Options, ctx: Context) {
  const fields = await openFields(fieldsPath, options);
  const print = fieldsFingerprint(fields, options);
  const before = await ZoneReader.open(out, print).catch(() => undefined);
  await before?.close();
  if (before !== undefined && fitRaster(before.header, grid) !== undefined) {
    ctx.log.info(`valid, nothing to do: ${out}`);
    return { out, rows: before.header.rows, runs: before.header.runs, made: false };
  }
  mkdirSync(dirname(out), { recursive: true });
  // Kept when this run is ended: the next one goes on from its checkpoint.
  const partial = join(openScratch(out, true), basename(out));
  const pool = openPool(availableThreads(options.threads));
  try {
    const { rows, runs } = await buildZones(fields, grid, partial, options, pool, ctx);
    await (await ZoneReader.open(partial, print)).close();
    publishFile(partial, out);
    removeScratch(out);
    ctx.log.info(`${rows} fields, ${runs} runs of pixels: ${out}`);
    return { out, rows, runs, made: true };
  } catch (error) {
    throw ctx.signal.aborted ? ctx.signal.reason : error;
  } finally {
    await pool.close();
  }
}

await main(
  {
    name: "node dist/prepare.js",
    summary:
      "Make the zone index of a field set: which pixels belong to which field. Once per field set and raster grid.",
    options: [
      "idColumn",
      "geometryColumn",
      "fieldsCrs",
      "allTouched",
      "smallFields",
      "coverage",
      "kernel",
      "batch",
      "threads",
      "json",
      "quiet",
    ],
    own: {
      fields: { type: "string", help: "parquet of polygons (WKB), or any vector source that GDAL opens" },
      layer: { type: "string", help: "the layer of a source that has several" },
      raster: { type: "string", help: "a raster on the grid that the years share" },
      out: { type: "string", help: "zone index to write" },
    },
    examples: [
      "node dist/prepare.js --fields data/fields_raw.parquet --raster data/cdl/2020_30m_cdls.tif --out data/us.zones",
    ],
  },
  prepare,
);
