import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { asTyped } from "./cli/program.js";
import { wholeNumber } from "./cli/whole-number.js";
import { layoutOf } from "./config/config.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import { keepRootOptions } from "./config/root-options.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { runStep } from "./pipeline/step.js";

const SEED = 1;

/** Make a small world and take its years through every stage. */
async function demo(args: Arguments, ctx: Context) {
  const fields = wholeNumber("--fields", args.own.fields as string | undefined, 1) ?? 2000;
  const years = parseYears(typeof args.own.years === "string" ? args.own.years : "2018-2020");
  const { root } = args.options;
  // The rasters stay, for the other commands to be tried on.
  const options = { ...args.options, root, cdlSource: join(root, "cdl-source"), keepCdl: true };
  ctx.log.info(`sample world of ${fields} fields and ${years.length} years under ${root}`);
  const { makeSample } = await import("./sample/make-sample.js");
  const { historyStep } = await import("./history/step.js");
  const { runYear } = await import("./year/run-year.js");
  await makeSample(
    {
      root,
      fields,
      years,
      seed: SEED,
      shapes: "drawn",
      dirty: false,
      unzipped: false,
      force: args.own.force === true,
      format: "tif",
      layout: "tiled",
      block: 512,
    },
    ctx,
  );
  await keepRootOptions(options, { cdlSource: options.cdlSource, keepCdl: true }, ctx);
  const results = [];
  for (const year of years) {
    const selection = { force: new Set<never>(), until: undefined };
    results.push(await runYear(year, options, selection, { ...ctx, log: ctx.log.with({ year }) }));
  }
  const history = await historyStep(options, { years, csv: false });
  await runStep(history, ctx);
  if (!args.options.json) process.stdout.write(asTyped(farewell(root, years, args)));
  return { root, years: results };
}

function farewell(root: string, years: readonly number[], args: Arguments): string {
  const layout = layoutOf({ ...args.options, root }, years[0] as number);
  const lines = [
    "",
    `zonal tables  ${join(root, "outputs", "zonal")}`,
    `history       ${layout.history}`,
    `archives      ${join(root, "outputs", "tiles")}`,
    `manifest      ${layout.manifest}`,
    "",
    "To look at them:",
    `  node dist/serve.js --root ${root}    a map of all years in the browser`,
    `  node dist/archive.js show ${layout.archive}`,
  ];
  if (existsSync(layout.zonal)) lines.push(`The sample knows its own truth: ${join(root, "data", "truth.parquet")}`);
  lines.push(`A rerun does nothing: node dist/year.js ${years[0]} --root ${root}`, "");
  return lines.join("\n");
}

await main(
  {
    name: "node dist/demo.js",
    summary: "The main job on sample data: a small world, three years, every stage.",
    defaults: { root: "work/demo" },
    options: [...ROOT, "tiler", "tippecanoe", "scratch", "threads", ...OUTPUT],
    own: {
      fields: { type: "string", help: "fields of the sample world [2000]" },
      years: { type: "string", help: "years to make [2018-2020]" },
      force: { type: "boolean", help: "replace files of the same names that are not of a sample" },
    },
    examples: ["node dist/demo.js", "node dist/demo.js --fields 500 --years 2019-2020"],
  },
  demo,
);
