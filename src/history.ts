import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { AREAS, FIELDS, OUTPUT, ROOT, TARGET, WORKERS } from "./config/option-sets.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

/** Join the zonal tables of all years. */
async function history({ options, positionals, own }: Arguments, ctx: Context) {
  const asked = [...new Set(positionals.flatMap(parseYears))].sort((a, b) => a - b);
  const pixelHa = pixelHectares(own["pixel-size"]);
  const { historyFiles } = await import("./history/format.js");
  const { runHistory } = await import("./history/run-history.js");
  const { yearsThere } = await import("./history/step.js");
  const years = asked.length > 0 ? asked : yearsThere(options);
  const layout = layoutOf(options, years[0] ?? 0);
  const facts = await runHistory(options, { years, csv: own.csv === true, pixelHa }, own.force === true, ctx);
  const files = historyFiles(layout.history, options.region);
  if (!options.json) {
    const { rows, crops } = facts;
    process.stdout.write(
      `${files.history}: ${rows.toLocaleString("en")} fields, ${years.length} years, ${crops} crops\n`,
    );
  }
  const published = own.publish === true && { published: await publish(files, years, options, layout, ctx) };
  return { folder: files.folder, history: files.history, legend: files.legend, ...facts, ...published };
}

async function publish(...args: Parameters<typeof import("./publish/publish-history.js").publishHistory>) {
  const { publishHistory } = await import("./publish/publish-history.js");
  return publishHistory(...args);
}

/** Undefined where no size was given. */
function pixelHectares(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  const side = Number(text);
  if (side > 0 && Number.isFinite(side)) return side ** 2 / 10_000;
  throw new PipelineError("usage", "--pixel-size must be a length in meters", { received: String(text) });
}

await main(
  {
    name: "node dist/history.js",
    summary:
      "Join the zonal tables of all years: every field's crops by year, areas of crops, transitions, rotations, legend.",
    positionals: "[YEAR ...]",
    rootOptions: "use",
    options: [...ROOT, ...FIELDS, ...AREAS, ...WORKERS, ...TARGET, ...OUTPUT],
    own: {
      csv: { type: "boolean", help: "also write all fields as CSV" },
      "pixel-size": {
        type: "string",
        help: "areas by pixels of this side in meters, where there is no table of areas; exact for equal-area rasters only",
      },
      publish: {
        type: "boolean",
        help: "also publish legend and table next to the archives, and list them in the manifest",
      },
      force: { type: "boolean", help: "make it again though it is valid" },
    },
    examples: ["node dist/history.js --root work/demo", "node dist/history.js 2019-2020 --csv --root work/demo"],
  },
  history,
);
