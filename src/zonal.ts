import { resolve } from "node:path";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { NETWORK, OUTPUT, POLYGONS, WORKERS } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import { isRemote } from "./network/remote-url.js";
import { PipelineError } from "./pipeline/errors.js";
import { PART_OPTIONS } from "./pipeline/part.js";
import type { Job } from "./zonal/command.js";

/** One raster and one table, or, with --years, one of each a year. */
function jobsOf(own: Arguments["own"]): Job[] {
  const [raster, out] = [path(own, "raster"), path(own, "out")];
  const values = own.values === undefined ? undefined : path(own, "values");
  if (own.years === undefined) return [{ rasterPath: raster, valuesPath: values, out }];
  for (const [flag, text] of [
    ["raster", raster],
    ["out", out],
  ] as const) {
    if (!text.includes("{year}"))
      throw new PipelineError("usage", `With --years, --${flag} must hold {year}`, { received: text });
  }
  const fill = (text: string, year: number) => text.replaceAll("{year}", String(year));
  return parseYears(own.years as string).map((year) => ({
    year,
    rasterPath: fill(raster, year),
    valuesPath: values && fill(values, year),
    out: fill(out, year),
  }));
}

function path(own: Arguments["own"], flag: string): string {
  const value = own[flag];
  if (typeof value !== "string") throw new PipelineError("usage", `--${flag} is missing`);
  return isRemote(value) ? value : resolve(value);
}

await main(
  {
    name: "node dist/zonal.js",
    summary: "Majority class of every field under a raster, or under one a year in a single pass.",
    options: [
      ...POLYGONS,
      "include",
      "nodata",
      "maxDirty",
      "ties",
      "allTouched",
      "smallFields",
      "coverage",
      "weights",
      ...WORKERS,
      ...NETWORK,
      ...OUTPUT,
    ],
    own: {
      fields: { type: "string", help: "parquet of polygons (WKB), or any vector source that GDAL reads, zipped too" },
      raster: {
        type: "string",
        help: "categorical raster that GDAL reads, or the http(s):// or s3:// URL of one; with --years, one that holds {year}",
      },
      out: { type: "string", help: "table to write, .parquet, .csv or .arrow; with --years, a path that holds {year}" },
      years: { type: "string", help: "years to do in one pass, as 2008-2024" },
      index: { type: "string", help: "zone index from dist/prepare.js; without it the fields are burned on the fly" },
      classes: { type: "boolean", help: "also every field's whole histogram: class_codes and class_pixels, lists" },
      stats: {
        type: "string",
        help: "more statistics, by exactextract's definitions, separated by commas: minority, variety, mean, stdev, variance, min, max, sum, median, q25 (a quantile), count_5 (pixels of class 5)",
      },
      values: {
        type: "string",
        help: "second raster on the same grid, of integers of 8 or 16 bits, for --stats value_mean (over the field) and crop_value_mean (over the pixels of its majority), or any other statistic; with --years it may hold {year}",
      },
      band: { type: "string", help: "band of the raster [1]" },
      ...PART_OPTIONS,
      force: { type: "boolean", help: "replace a file at --out, whoever made it" },
      columns: {
        type: "string",
        help: "columns to write, renamed and typed: crop_code=majority:int16,crop_share=share (field_id always)",
      },
    },
    examples: [
      "node dist/zonal.js --fields work/demo/data/fields_raw.parquet --raster work/demo/data/cdl/us_2020/2020_30m_cdls.tif --out work/zonal_us_2020.parquet",
      "node dist/zonal.js --fields work/demo/data/fields_raw.parquet --years 2018-2020 --raster 'work/demo/data/cdl/us_{year}/{year}_30m_cdls.tif' --out 'work/zonal_{year}.csv'",
    ],
  },
  async (args, ctx) => {
    const { own } = args;
    const [fields, jobs] = [path(own, "fields"), jobsOf(own)];
    const index = own.index === undefined ? undefined : path(own, "index");
    const { zonal } = await import("./zonal/command.js");
    return zonal(fields, index, jobs, args, ctx);
  },
);
