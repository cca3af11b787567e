import { existsSync, mkdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Arguments } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import { openFields } from "./fields/fields-file.js";
import { openPool } from "./parallel/pool.js";
import { availableThreads } from "./parallel/threads.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { openScratch, publishFile, removeScratch } from "./pipeline/output.js";
import { openRaster } from "./raster/raster.js";
import { countFields, publishDirtyRows, verifyZonalTable } from "./zonal/zonal.js";
import { buildZones } from "./zones/build-zones.js";
import { ZoneReader } from "./zones/zone-reader.js";

/** The drop-in for the Python step: fields and a raster in, a parquet of majorities out. */
async function zonal(args: Arguments, ctx: Context) {
  const { options, own } = args;
  const [fieldsPath, rasterPath, out] = ["fields", "raster", "out"].map((flag) => {
    const value = own[flag];
    if (typeof value !== "string") throw new PipelineError("usage", `--${flag} is missing`);
    return resolve(value);
  }) as [string, string, string];
  const fields = await openFields(fieldsPath, options);
  const raster = openRaster(rasterPath);
  if (!existsSync(dirname(out))) mkdirSync(dirname(out), { recursive: true });
  const scratch = openScratch(out);
  const pool = openPool(availableThreads(options.threads));
  try {
    const partial = join(scratch, basename(out));
    const facts = await countFields(
      fields,
      raster,
      async () => {
        const index = join(scratch, "zones");
        await buildZones(fields, raster.grid, index, options, pool, ctx);
        return ZoneReader.open(index);
      },
      partial,
      options,
      pool,
      ctx,
    );
    await verifyZonalTable(partial, fields.rows);
    publishFile(partial, out);
    publishDirtyRows(out);
    ctx.log.info(`${facts.answered} of ${facts.rows} fields have a crop: ${out}`);
    return { out, ...facts };
  } catch (error) {
    throw ctx.signal.aborted ? ctx.signal.reason : error;
  } finally {
    await pool.close();
    removeScratch(out);
  }
}

await main(
  {
    name: "node dist/zonal.js",
    summary: "Majority class of every field under one raster.",
    options: [
      "idColumn",
      "geometryColumn",
      "fieldsCrs",
      "nodata",
      "maxDirty",
      "kernel",
      "batch",
      "threads",
      "json",
      "quiet",
    ],
    own: {
      fields: { type: "string", help: "parquet of polygons (WKB)" },
      raster: { type: "string", help: "categorical raster that GDAL reads" },
      out: { type: "string", help: "parquet to write" },
    },
    examples: [
      "node dist/zonal.js --fields data/fields_raw.parquet --raster data/cdl/2020_30m_cdls.tif --out zonal_us_2020.parquet",
    ],
  },
  zonal,
);
