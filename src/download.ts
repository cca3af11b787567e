import { join } from "node:path";
import { parseYears } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { type DownloadFacts, downloadStep } from "./download/download.js";
import { PipelineError } from "./pipeline/errors.js";
import { withLock } from "./pipeline/lock.js";
import { runStep } from "./pipeline/step.js";

await main(
  {
    name: "node dist/download.js",
    summary: "Fetch a year's Cropland Data Layer, check it and unpack its raster.",
    positionals: "YEAR...",
    options: ["root", "region", "cdlSource", "retries", "json", "quiet"],
    own: { force: { type: "boolean", help: "fetch again, also when a valid raster is there" } },
    examples: ["node dist/download.js 2020", "node dist/download.js 2018-2020 --cdl-source /data/cdl"],
  },
  async ({ options, positionals, own }, ctx) => {
    const years = positionals.flatMap(parseYears);
    if (years.length === 0) throw new PipelineError("usage", "A year is expected, as in: node dist/download.js 2020");
    const results: Record<string, DownloadFacts> = {};
    for (const year of years) {
      const layout = layoutOf(options, year);
      results[year] = await withLock(join(layout.state, `${options.region}_${year}.lock`), ctx, (locked) =>
        runStep(downloadStep(year, options, layout), locked, { force: own.force === true }),
      );
    }
    return results;
  },
);
