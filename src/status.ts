import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import { rootOptionsText } from "./config/root-options.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { requireRoot } from "./pipeline/folder.js";
import { reportText, type StatusReport } from "./status/report.js";
import { type QueuedJob, slurmQueue } from "./status/slurm-queue.js";
import { tilersHere } from "./status/tiler-view.js";
import { knownYears, yearStatus } from "./status/year-status.js";

const WATCH_S = 5;
/** Sites ask not to be queried more often; a job's own state is in its files. */
const SLURM_INTERVAL_MS = 60_000;
const CLEAR_SCREEN = "\x1b[H\x1b[2J";

async function status(args: Arguments, ctx: Context): Promise<unknown> {
  const { options, own, positionals } = args;
  const years = positionals.length === 0 ? undefined : positionals.flatMap(parseYears);
  requireRoot(options.root);
  const interval = secondsOf(own.interval);
  const look = reporter(args, years, ctx);
  if (own.watch !== true) {
    const report = await look();
    if (!options.json) process.stdout.write(reportText(report));
    return report;
  }
  for (;;) {
    const report = await look();
    const screen = process.stdout.isTTY ? CLEAR_SCREEN : "";
    process.stdout.write(
      options.json ? `${JSON.stringify(report)}\n` : `${screen}${report.at}  ${reportText(report)}\n`,
    );
    // Nobody reads on: `| head` had enough.
    if (!process.stdout.writable) return undefined;
    try {
      await sleep(interval * 1000, undefined, { signal: ctx.signal });
    } catch {
      return undefined;
    }
  }
}

/** Looks anew each time; Slurm is asked once a minute. */
function reporter({ options }: Arguments, years: readonly number[] | undefined, ctx: Context) {
  let asked = -Infinity;
  let jobs: readonly QueuedJob[] | undefined;
  return async (): Promise<StatusReport> => {
    if (performance.now() - asked >= SLURM_INTERVAL_MS) {
      jobs = await slurmQueue(ctx.signal);
      asked = performance.now();
    }
    const madeWith = rootOptionsText(options.root, options.region);
    return {
      version: 1,
      at: new Date().toISOString(),
      root: resolve(options.root),
      region: options.region,
      ...(madeWith !== undefined && { madeWith }),
      years: (years ?? knownYears(options)).map((year) => yearStatus(year, options)),
      ...(jobs !== undefined && { slurm: jobs }),
      tippecanoe: await tilersHere(resolve(options.root)),
    };
  };
}

function secondsOf(text: unknown): number {
  const seconds = text === undefined ? WATCH_S : Number(text);
  if (Number.isFinite(seconds) && seconds >= 1) return seconds;
  throw new PipelineError("usage", "Option --interval must be a number of seconds, at least 1", {
    received: String(text),
  });
}

await main(
  {
    name: "node dist/status.js",
    summary:
      "How every year stands, from state files alone: stage, rate, ETA, sizes, errors; jobs where Slurm answers.",
    positionals: "[YEARS]",
    rootOptions: "use",
    options: [...ROOT, ...OUTPUT],
    own: {
      watch: { type: "boolean", help: "look again and again until interrupted; with --json a line each time" },
      interval: { type: "string", help: `seconds between two looks [${WATCH_S}]` },
    },
    examples: ["node dist/status.js --root work/demo", "node dist/status.js 2018-2020 --root work/demo --json"],
  },
  status,
);
