import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { eachYear } from "./config/each-year.js";
import { NETWORK, OUTPUT, ROOT } from "./config/option-sets.js";

await main(
  {
    name: "node dist/download.js",
    summary: "Fetch a year's Cropland Data Layer, check it and unpack its raster.",
    positionals: "YEAR...",
    rootOptions: "keep",
    options: [...ROOT, "cdlSource", ...NETWORK, ...OUTPUT],
    own: { force: { type: "boolean", help: "fetch again, also when a valid raster is there" } },
    examples: [
      "node dist/download.js 2020 --root work/demo",
      "node dist/download.js 2018-2020 --root work/demo --force",
    ],
  },
  async ({ options, positionals, own }, ctx) =>
    eachYear(positionals, options, ctx, async (year, locked) => {
      const { downloadStep } = await import("./download/step.js");
      const { runStep } = await import("./pipeline/step.js");
      return runStep(downloadStep(year, options, layoutOf(options, year)), locked, { force: own.force === true });
    }),
);
