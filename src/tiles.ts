import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { AREAS, FIELDS, OUTPUT, ROOT, WORKERS } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

/** Archives of years whose zonal tables are there: all of them in one pass over the base, or all in one archive. */
async function tiles({ options, positionals, own }: Arguments, ctx: Context): Promise<unknown> {
  const texts = typeof own.years === "string" ? [...positionals, own.years] : positionals;
  const years = [...new Set(texts.flatMap(parseYears))].sort((a, b) => a - b);
  if (years.length === 0) throw new PipelineError("usage", "Missing YEAR, e.g. tiles 2020 or tiles --years 2008-2024");
  const force = own.force === true;
  const single = own["single-archive"] === true;
  if (single && options.tiles === "full") {
    throw new PipelineError("usage", "--single-archive cannot be used with --tiles=full");
  }
  const { tileYears, tileYearsTogether } = await import("./tiles/tile-years.js");
  return single ? tileYearsTogether(years, options, force, ctx) : tileYears(years, options, force, ctx);
}

await main(
  {
    name: "node dist/tiles.js",
    summary: "Tile years whose zonal tables are there: their crops go into the base archive's tiles, in one pass.",
    positionals: "YEAR...",
    rootOptions: "keep",
    options: [
      ...ROOT,
      ...FIELDS,
      ...AREAS,
      "include",
      "tiles",
      "base",
      "cropNames",
      "minZoom",
      "maxZoom",
      "tiler",
      "tippecanoe",
      "scratch",
      ...WORKERS,
      ...OUTPUT,
    ],
    own: {
      years: { type: "string", help: "years to do in one pass, as 2008-2024" },
      "single-archive": {
        type: "boolean",
        help: "one archive for all years, with attributes crop_2008, crop_2009 ...",
      },
      force: { type: "boolean", help: "make again what is there and valid" },
    },
    examples: [
      "node dist/tiles.js 2020 --root work/demo",
      "node dist/tiles.js --years 2018-2020 --single-archive --root work/demo",
    ],
  },
  tiles,
);
