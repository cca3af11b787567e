import { type Arguments, parseYears } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { OPTIONS, type OptionName } from "./config/options.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { planYear, runYear } from "./year/run-year.js";
import { isSelected, type Selection, STAGES, type Stage } from "./year/stages.js";

function yearOf(args: Arguments): number {
  const [text, ...more] = args.positionals;
  const years = text === undefined ? [] : parseYears(text);
  if (years.length !== 1 || more.length > 0) {
    throw new PipelineError("usage", "One year is expected, as in: node dist/year.js 2020", {
      received: args.positionals.join(" "),
    });
  }
  return years[0] as number;
}

function stage(text: unknown): Stage {
  if (STAGES.includes(text as Stage)) return text as Stage;
  throw new PipelineError("usage", "Not a stage", { expected: STAGES.join(" "), received: String(text) });
}

function selectionOf({ own }: Arguments): Selection {
  const optional = (value: unknown) => (value === undefined ? undefined : stage(value));
  const force = new Set(((own.force ?? []) as readonly string[]).map(stage));
  const selection = { force, only: optional(own.only), until: optional(own.until) };
  if (selection.only !== undefined && selection.until !== undefined) {
    throw new PipelineError("usage", "--only and --until exclude each other");
  }
  const idle = [...force].filter((forced) => !isSelected(forced, selection));
  if (idle.length > 0)
    throw new PipelineError("usage", "--force names a stage that is not selected", { received: idle.join(" ") });
  return selection;
}

async function year(args: Arguments, ctx: Context) {
  const wanted = yearOf(args);
  const selection = selectionOf(args);
  if (args.own["dry-run"] === true) {
    const plan = await planYear(wanted, args.options, selection, ctx);
    if (!args.options.json) {
      for (const { stage, runs, reason } of plan)
        process.stdout.write(`${stage.padEnd(9)} ${runs ? "runs" : "skipped"}: ${reason}\n`);
    }
    return { year: wanted, plan };
  }
  const result = await runYear(wanted, args.options, selection, ctx);
  ctx.log.info(`year ${wanted} is done`, { archive: result.archive, manifest: result.manifest });
  return result;
}

await main(
  {
    name: "node dist/year.js",
    summary: "One year, every stage: download, zonal, tiles, publish. What is there and valid is skipped.",
    positionals: "YEAR",
    options: Object.keys(OPTIONS) as OptionName[],
    own: {
      force: {
        type: "string",
        multiple: true,
        help: `make this stage again though it is valid (${STAGES.join(", ")}); may be repeated`,
      },
      only: { type: "string", help: "do this stage alone" },
      until: { type: "string", help: "the last stage to do" },
      "dry-run": { type: "boolean", help: "say what would run, and why" },
    },
    examples: [
      "node dist/year.js 2020",
      "node dist/year.js 2020 --root /cluster/work/fields --target s3://bucket/tiles --threads 128",
      "node dist/year.js 2020 --force tiles --until tiles",
    ],
  },
  year,
  { logFile: (args) => (args.own["dry-run"] === true ? undefined : layoutOf(args.options, yearOf(args)).log) },
);
