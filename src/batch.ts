import { CHANGED } from "./batch/batch-file.js";
import { checkBatch } from "./batch/check-batch.js";
import { parseUntil } from "./batch/drain.js";
import { ISOLATIONS } from "./batch/isolation.js";
import { BatchLayout, itemPathOf } from "./batch/layout.js";
import { readLog } from "./batch/log-pack.js";
import { STATES } from "./batch/records.js";
import { type RunOptions, runBatch } from "./batch/run-batch.js";
import { slurmEnd, slurmJob } from "./batch/slurm.js";
import { batchStatus, itemLines, statusText, tsvHeader, tsvLine, writeSummary } from "./batch/status.js";
import { splitCommand } from "./batch/template.js";
import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { wholeNumber } from "./cli/whole-number.js";
import { suggestion } from "./config/config.js";
import { availableThreads } from "./parallel/threads.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

const STANDARD = { retries: 2, backoff: 1, stale: 60, grace: 60 } as const;
/** More processes than this no node has cores for, by far. */
const MAX_WORKERS = 1024;

const COMMAND: Command = {
  name: "node dist/batch.js",
  summary: "Run a command for each of thousands of items, on any number of nodes at once, and go on where it stopped.",
  positionals: "run|status|list|log|check [-- COMMAND ARGUMENT ...]",
  options: ["json", "quiet"],
  own: {
    items: { type: "string", help: "list of items: .csv, .tsv, .jsonl, .json, else an id per line" },
    id: { type: "string", help: "field that identifies an item [id, item_id, field_id; else a table's first column]" },
    out: { type: "string", help: "folder of the batch: outputs, logs, records; shared by all nodes" },
    command: {
      type: "string",
      help: "what to run, with {id}, {out}, {field}, {item}, {attempt}, {cwd}; or give it after --",
    },
    shell: { type: "boolean", help: "the command is a line for /bin/sh; values never become part of it" },
    isolate: { type: "string", help: `${ISOLATIONS.join(", ")} [process]` },
    image: { type: "string", help: "container image for apptainer or singularity" },
    bind: { type: "string", multiple: true, help: "SOURCE[:DEST[:ro]] to bind beside the output (may be repeated)" },
    env: { type: "string", multiple: true, help: "NAME or NAME=VALUE for the items (may be repeated)" },
    valid: {
      type: "string",
      multiple: true,
      help: "check of the output: [FILE=]exists|size:BYTES|parquet[:ROWS]|json, cmd:COMMAND, none (may be repeated) [exists]",
    },
    cpus: { type: "string", help: "cores that an item takes, or the column that has them" },
    mem: { type: "string", help: "memory that an item takes, as 4G, or the column that has it" },
    workers: { type: "string", help: "items at a time on this node [SLURM_CPUS_PER_TASK, else physical cores]" },
    retries: { type: "string", help: `attempts after an item's own error [${STANDARD.retries}]` },
    backoff: {
      type: "string",
      help: `seconds before the first retry, doubled for each further one [${STANDARD.backoff}]`,
    },
    timeout: { type: "string", help: "seconds after which an item is ended" },
    "item-time": {
      type: "string",
      help: "seconds that an item may take, for what can still be started [the longest so far]",
    },
    until: {
      type: "string",
      help: "time (2026-11-30T06:00) or +SECONDS when all must have ended [the Slurm job's end]",
    },
    grace: { type: "string", help: `seconds before that end when running items are ended [${STANDARD.grace}]` },
    stale: {
      type: "string",
      help: `seconds of silence after which a runner elsewhere counts as dead [${STANDARD.stale}]`,
    },
    tmp: { type: "string", help: "folder for the items' working folders [TMPDIR, else /dev/shm, else /tmp]" },
    changed: { type: "string", help: `${CHANGED.join(" or ")} outputs of an earlier command or input` },
    "retry-failed": { type: "boolean", help: "try failed items anew" },
    state: { type: "string", help: `list: only items in this state (${STATES.join(", ")})` },
  },
  examples: [
    "node dist/batch.js run --items work/demo/outputs/history/us/rotations.csv --out work/batch -- cp /etc/os-release {out}/release",
    "node dist/batch.js status --out work/batch",
  ],
};

async function batch(args: Arguments, ctx: Context): Promise<unknown> {
  const [action, ...rest] = args.positionals;
  const layout = () => new BatchLayout(needed(args, "out"));
  if (action === "log") return showLog(layout(), rest, args);
  if (action !== "run" && rest.length > 0) {
    throw new PipelineError("usage", "Unexpected arguments", { received: rest.join(" ") });
  }
  if (action === "run") return run(args, rest, ctx);
  if (action === "status") {
    const status = await batchStatus(layout());
    if (!args.options.json) process.stdout.write(`${statusText(status)}\n`);
    return status;
  }
  if (action === "list") return list(layout(), args);
  if (action === "check") {
    const result = await checkBatch(
      layout(),
      texts(args, "valid"),
      wholeNumber("--workers", text(args, "workers"), 1, MAX_WORKERS) ?? 8,
      ctx,
    );
    if (!args.options.json)
      process.stdout.write(`${result.checked} outputs checked, ${result.invalid.length} to be made again\n`);
    return result;
  }
  throw new PipelineError(
    "usage",
    `Expected ${COMMAND.positionals}${suggestion(action ?? "", ["run", "status", "list", "log", "check"])}`,
    { received: action ?? "nothing" },
  );
}

async function run(args: Arguments, argv: readonly string[], ctx: Context): Promise<unknown> {
  const options = await runOptions(args, argv);
  try {
    return await runBatch(options, ctx);
  } finally {
    // Items that failed or are left end it with an error: the summary is wanted then most of all.
    const status = await writeSummary(new BatchLayout(options.out));
    if (status) ctx.log.info(statusText(status));
  }
}

async function runOptions(args: Arguments, argv: readonly string[]): Promise<RunOptions> {
  const command = text(args, "command");
  const shell = args.own.shell === true;
  if ((command === undefined) === (argv.length === 0)) {
    throw new PipelineError("usage", "Expected --command TEXT, or the command after --", {
      received: command === undefined ? "neither" : "both",
    });
  }
  const grace = number(args, "grace") ?? STANDARD.grace;
  const until = text(args, "until");
  const end = until === undefined ? await slurmEnd() : parseUntil(until, Date.now());
  const milliseconds = (name: string) => {
    const seconds = number(args, name);
    return seconds === undefined ? undefined : seconds * 1000;
  };
  const cores = availableThreads();
  return {
    items: needed(args, "items"),
    idName: text(args, "id"),
    out: needed(args, "out"),
    command: command === undefined ? argv : shell ? [command] : splitCommand(command),
    shell,
    isolate: choice(args, "isolate", ISOLATIONS) ?? "process",
    image: text(args, "image"),
    binds: texts(args, "bind"),
    env: texts(args, "env"),
    valid: texts(args, "valid"),
    workers: wholeNumber("--workers", text(args, "workers"), 1, MAX_WORKERS) ?? cores,
    cores,
    cpus: text(args, "cpus"),
    mem: text(args, "mem"),
    retries: wholeNumber("--retries", text(args, "retries"), 0, 100) ?? STANDARD.retries,
    backoffMs: milliseconds("backoff") ?? STANDARD.backoff * 1000,
    timeoutMs: milliseconds("timeout"),
    endsAt: end === undefined ? undefined : end - grace * 1000,
    itemMs: milliseconds("item-time"),
    staleMs: milliseconds("stale") ?? STANDARD.stale * 1000,
    tmp: text(args, "tmp"),
    changed: choice(args, "changed", CHANGED),
    retryFailed: args.own["retry-failed"] === true,
    slurm: slurmJob(),
  };
}

/** Print what was logged of an item. */
async function showLog(layout: BatchLayout, ids: readonly string[], { options }: Arguments): Promise<unknown> {
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0)
    throw new PipelineError("usage", "Expected log ID", { received: ids.join(" ") || "nothing" });
  const log = await readLog(layout, itemPathOf(id));
  if (log === undefined) throw new PipelineError("input", "Nothing was logged of this item", { item: id });
  if (!options.json) process.stdout.write(log);
  return { id, log };
}

async function list(layout: BatchLayout, args: Arguments): Promise<undefined> {
  const state = choice(args, "state", STATES);
  if (!args.options.json) process.stdout.write(`${tsvHeader()}\n`);
  for await (const line of itemLines(layout, state)) {
    process.stdout.write(`${args.options.json ? JSON.stringify(line) : tsvLine(line)}\n`);
  }
}

function text(args: Arguments, name: string): string | undefined {
  return args.own[name] as string | undefined;
}

function texts(args: Arguments, name: string): readonly string[] {
  return (args.own[name] as readonly string[] | undefined) ?? [];
}

function needed(args: Arguments, name: string): string {
  const value = text(args, name);
  if (value !== undefined && value !== "") return value;
  throw new PipelineError("usage", `--${name} is needed`);
}

function choice<T extends string>(args: Arguments, name: string, choices: readonly T[]): T | undefined {
  const value = text(args, name);
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  throw new PipelineError("usage", `--${name} must be one of those that are known`, {
    expected: choices.join(" "),
    received: value,
  });
}

/** Seconds, not negative. */
function number(args: Arguments, name: string): number | undefined {
  const value = text(args, name);
  if (value === undefined) return undefined;
  if (/^\d{1,9}(\.\d+)?$/.test(value)) return Number(value);
  throw new PipelineError("usage", `--${name} must be a number of seconds`, { received: value });
}

await main(COMMAND, batch);
