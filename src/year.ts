import type { Arguments } from "./cli/command.js";
import { type CommandTools, main } from "./cli/main.js";
import { layoutOf } from "./config/config.js";
import { OPTIONS, type OptionName } from "./config/options.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { EXIT_CODES, PipelineError, unexpectedError } from "./pipeline/errors.js";
import { settledYears } from "./pipeline/settled-years.js";
import type { YearResult } from "./year/run-year.js";
import { isSelected, type Selection, STAGES, stageOf } from "./year/stages.js";

function yearsOf({ positionals }: Arguments): number[] {
  const years = positionals.flatMap(parseYears);
  if (years.length > 0) return [...new Set(years)];
  throw new PipelineError("usage", "Missing YEAR, e.g. year 2020 or year 2008-2024");
}

function selectionOf({ own }: Arguments): Selection {
  const optional = (value: unknown) => (value === undefined ? undefined : stageOf(value as string));
  const force = new Set(((own.force ?? []) as readonly string[]).map(stageOf));
  const selection = { force, only: optional(own.only), until: optional(own.until) };
  if (selection.only !== undefined && selection.until !== undefined) {
    throw new PipelineError("usage", "--only and --until exclude each other");
  }
  const idle = [...force].filter((forced) => !isSelected(forced, selection));
  if (idle.length > 0)
    throw new PipelineError("usage", "--force names a stage that is not selected", { received: idle.join(" ") });
  return selection;
}

async function year(args: Arguments, ctx: Context, { logTo }: CommandTools) {
  if (args.own.check === true) return check(args, ctx);
  const years = yearsOf(args);
  const selection = selectionOf(args);
  if (args.own.port !== undefined && args.own.serve !== true) throw new PipelineError("usage", "--port needs --serve");
  if (args.own["dry-run"] === true) return plan(years, selection, args, ctx);
  if (years.length > 1) return severalYears(years, selection, args, ctx, logTo);
  const { runYear } = await import("./year/run-year.js");
  const result = await runYear(years[0] as number, args.options, selection, ctx);
  logDone(result, selection, ctx);
  return result;
}

/** Read all files of the years in full, and compare them with the records. */
async function check({ positionals, options, own }: Arguments, ctx: Context) {
  const other = ["force", "only", "until", "dry-run"].find((name) => own[name] !== undefined && own[name] !== false);
  if (other !== undefined) throw new PipelineError("usage", `--check and --${other} exclude each other`);
  const { checkFiles } = await import("./year/check-files.js");
  const checked = await checkFiles([...new Set(positionals.flatMap(parseYears))], options, ctx);
  for (const { path, problem, step, year, role } of checked.changed) {
    ctx.log.error(`${path} ${problem}`, { year, step, role });
  }
  const { files, changed } = checked;
  if (changed.length > 0) process.exitCode = EXIT_CODES.input;
  if (!options.json) process.stdout.write(`${files} files read in full, ${changed.length} not as recorded\n`);
  return checked;
}

/** The map of all years that are there, once these are made. */
async function thenServe(args: Arguments, ctx: Context, tools: CommandTools): Promise<void> {
  if (args.own.check === true) throw new PipelineError("usage", "--check and --serve exclude each other");
  const selection = selectionOf(args);
  if (!isSelected("publish", selection))
    throw new PipelineError("usage", "--serve shows what is published: leave --only and --until out");
  const { readPort, serveMap } = await import("./view/server/serve-map.js");
  const port = readPort(args.own.port as string | undefined);
  await year({ ...args, options: { ...args.options, json: false } }, ctx, tools);
  const { runHistory } = await import("./history/run-history.js");
  const { yearsThere } = await import("./history/step.js");
  await runHistory(args.options, { years: yearsThere(args.options), csv: false }, false, ctx);
  await serveMap(args.options, { port }, ctx);
}

async function plan(years: readonly number[], selection: Selection, { options }: Arguments, ctx: Context) {
  const { planYear } = await import("./year/run-year.js");
  const plans = [];
  for (const year of years) {
    const planned = await planYear(year, options, selection, ctx);
    plans.push({ year, plan: planned });
    if (options.json) continue;
    for (const { stage, runs, reason } of planned) {
      const which = years.length > 1 ? `${year} ` : "";
      process.stdout.write(`${which}${stage.padEnd(9)} ${runs ? "runs" : "skipped"}: ${reason}\n`);
    }
  }
  return plans.length === 1 ? plans[0] : { years: plans };
}

/**
 * One year after the other, each with its own log file; what they share is made by the first. A year that fails
 * does not end the others. At the end the history of all years that have a zonal table.
 */
async function severalYears(
  years: readonly number[],
  selection: Selection,
  { options }: Arguments,
  ctx: Context,
  logTo: CommandTools["logTo"],
) {
  const { runHistory } = await import("./history/run-history.js");
  const { yearsThere } = await import("./history/step.js");
  const { runYear } = await import("./year/run-year.js");
  const done: Record<string, YearResult> = {};
  const errors = new Map<number, PipelineError>();
  for (const year of years) {
    const own = { ...ctx, log: logTo(layoutOf(options, year).log) };
    try {
      const result = await runYear(year, options, selection, own);
      logDone(result, selection, own);
      done[year] = result;
    } catch (error) {
      ctx.signal.throwIfAborted();
      const known = unexpectedError(error, "Year failed", { year });
      if (known.kind === "paused") throw known;
      own.log.error(known.message);
      errors.set(year, known);
    } finally {
      own.log.close();
    }
  }
  const counted = isSelected("zonal", selection) && Object.keys(done).length > 0;
  const history = counted
    ? await runHistory(options, { years: yearsThere(options), csv: false }, false, ctx)
    : undefined;
  settledYears(done, errors);
  return { years: Object.values(done), ...(history && { history }) };
}

function logDone({ year, archive, manifest }: YearResult, selection: Selection, ctx: Context): void {
  const made = {
    ...(isSelected("tiles", selection) && { archive }),
    ...(isSelected("publish", selection) && { manifest }),
  };
  ctx.log.info(`year ${year} is done`, made);
}

await main(
  {
    name: "node dist/year.js",
    summary:
      "Every stage of a year, or of several: download, zonal, tiles, publish. What is there and valid is skipped.",
    positionals: "YEAR...",
    rootOptions: "keep",
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
      check: {
        type: "boolean",
        help: "read all files of the years, or of all years, in full and compare them with the records; change nothing",
      },
      serve: { type: "boolean", help: "then show the map in the browser, until Ctrl-C" },
      port: { type: "string", help: "with --serve: port to listen on; 0 for any free one [8080]" },
    },
    examples: ["node dist/year.js 2018-2020 --root work/demo", "node dist/year.js 2020 --root work/demo --dry-run"],
  },
  (args, ctx, tools) =>
    args.own.serve === true && args.own["dry-run"] !== true ? thenServe(args, ctx, tools) : year(args, ctx, tools),
  { logFile },
);

/** A single year's; several open theirs in turn. */
function logFile(args: Arguments): string | undefined {
  if (args.own.check === true) return undefined;
  const years = yearsOf(args);
  return args.own["dry-run"] === true || years.length > 1 ? undefined : layoutOf(args.options, years[0] as number).log;
}
