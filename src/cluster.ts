import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { wholeNumber } from "./cli/whole-number.js";
import type { Directives } from "./cluster/job-script.js";
import { clusterProfile } from "./cluster/profile-file.js";
import {
  JOBS,
  type JobName,
  optionArguments,
  planSubmission,
  requireAccepted,
  type Submission,
  submit,
} from "./cluster/submit.js";
import { suggestion } from "./config/config.js";
import { OPTIONS, type OptionName, type Options } from "./config/options.js";
import { parseYears } from "./config/years.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { requireRoot } from "./pipeline/folder.js";
import { type Stage, stageOf } from "./year/stages.js";

/** Options of this command that become sbatch's of the same name. */
const SBATCH_OPTIONS = ["nodes", "time", "mem", "mem-per-cpu", "cpus-per-task", "gpus-per-node", "dependency"] as const;

async function submitJob(args: Arguments, ctx: Context) {
  const { own, options, positionals } = args;
  const [, job = "years", ...rest] = positionals;
  if (!Object.hasOwn(JOBS, job)) {
    throw new PipelineError("usage", "Not a job", { received: job, expected: Object.keys(JOBS).join(" ") });
  }
  const text = (name: string) => own[name] as string | undefined;
  const given: Directives = Object.fromEntries(
    SBATCH_OPTIONS.flatMap((name) => (text(name) === undefined ? [] : [[name, text(name) as string]])),
  );
  const until = untilOf(own);
  const untilArguments = until === undefined ? [] : [`--until=${until}`];
  const plan = (name: JobName, given: Directives, rest: readonly string[], jobType?: string) =>
    planSubmission(
      {
        job: name,
        years: text("years"),
        jobType,
        array: own.array === true ? "years" : wholeNumber("--workers", text("workers"), 1),
        atOnce: wholeNumber("--at-once", text("at-once"), 1),
        given,
        rest,
      },
      options,
    );
  const main = (given: Directives) =>
    plan(
      job as JobName,
      given,
      [...untilArguments, ...restartArguments(job, text("max-restarts")), ...rest],
      text("job-type"),
    );
  const alone = main(given);
  if (job !== "years" || own["no-prepare"] === true || !preparesFirst(alone, options))
    return submitted([alone], args, ctx);
  const dependency = typeof given.dependency === "string" ? { dependency: given.dependency } : {};
  // With --base, no other base is needed.
  const last = options.base !== undefined && until !== "download" ? ["--until=zonal"] : untilArguments;
  const shared = optionArguments({ ...options, base: undefined });
  const first = plan("prepare", dependency, ["--years", String(text("years")), ...last, ...shared]);
  return submitted([first, (id) => main({ ...given, dependency: `afterany:${id}` })], args, ctx);
}

/** A submission, or one that waits for the job submitted before it. */
type Planned = Submission | ((before: string) => Submission);

/** Submit jobs one after the other; all are checked against the cluster's rules before the first one. */
async function submitted(planned: readonly Planned[], { own, options }: Arguments, ctx: Context) {
  const shown = planned.map((each) => (typeof each === "function" ? each("PREPARE") : each));
  const last = shown.at(-1) as Submission;
  const problems = shown.flatMap((submission) => submission.problems);
  const before = shown
    .slice(0, -1)
    .map(({ command, env, directives, script }) => ({ command, env, directives, script }));
  if (own["dry-run"] === true) {
    if (!options.json) {
      for (const { env, script, command } of shown) {
        const variables = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
        process.stdout.write(`${script.text}\n${[...variables, ...command.map(quoted)].join(" ")}\n`);
      }
      for (const problem of problems) process.stdout.write(`refused: ${problem}\n`);
    }
    if (problems.length > 0) process.exitCode = 2;
    const { command, env, directives, script } = last;
    return { command, env, directives, script, problems, ...(before.length > 0 && { before }) };
  }
  requireAccepted(problems);
  const ids: string[] = [];
  for (const each of planned) {
    const submission = typeof each === "function" ? each(ids.at(-1) as string) : each;
    try {
      ids.push(await submit(submission));
    } catch (error) {
      if (ids.length > 0) ctx.log.error(`job ${ids.join(", ")} stays submitted; scancel it, or submit the years again`);
      throw error;
    }
    ctx.log.info(`submitted as job ${ids.at(-1)}; its output: ${String(submission.directives.output)}`);
  }
  const job = ids.at(-1) as string;
  if (!options.json) process.stdout.write(`${job}\n`);
  return { job, command: last.command, ...(ids.length > 1 && { after: ids.slice(0, -1) }) };
}

/** Whether a separate job prepares what the years share, because nodes that are billed in full would wait for it. */
function preparesFirst({ directives }: Submission, { cluster, clusterProfile: file }: Options): boolean {
  const { jobTypes } = clusterProfile(cluster as string, file);
  return Number(directives.nodes ?? 1) > 1 && Object.hasOwn(jobTypes, "preproc");
}

/** How often torchrun restarts all ranks; slurm/train.sh expects it before the script. */
function restartArguments(job: string, restarts: string | undefined): string[] {
  if (restarts === undefined) return [];
  if (job !== "train") throw new PipelineError("usage", "--max-restarts goes with submit train", { received: job });
  if (/^\d+$/.test(restarts)) return [`--max-restarts=${restarts}`];
  throw new PipelineError("usage", "--max-restarts must be a whole number", { received: restarts });
}

async function check(args: Arguments, ctx: Context) {
  const years = args.positionals.slice(1).flatMap(parseYears);
  if (years.length === 0)
    throw new PipelineError("usage", "Expected years, as in: node dist/cluster.js check 2008-2024");
  const until = untilOf(args.own);
  requireRoot(args.options.root);
  // Loads every stage and its libraries, so a submission does not wait for it.
  const { checkYears } = await import("./cluster/check-years.js");
  const checked = await checkYears(years, args.options, { force: new Set(), until }, ctx);
  if (!args.options.json && !args.options.quiet) {
    for (const { year, done, reason } of checked)
      process.stdout.write(`${year}  ${done ? "done" : `NOT DONE  ${reason}`}\n`);
    process.stdout.write(`${checked.filter(({ done }) => done).length} of ${years.length} years are done\n`);
  }
  if (checked.some(({ done }) => !done)) process.exitCode = 3;
  return { years: checked };
}

function untilOf({ until }: Arguments["own"]): Stage | undefined {
  return until === undefined ? undefined : stageOf(until as string);
}

/** Quoted for a shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

await main(
  {
    name: "node dist/cluster.js",
    summary:
      "submit [years|prepare|batch|train]: hand a job to Slurm, checked against the cluster's rules first.\n" +
      "check YEARS: which years are done; exit code 3 unless all are.",
    positionals: "submit [JOB] | check YEARS",
    rootOptions: "use",
    options: Object.keys(OPTIONS) as OptionName[],
    own: {
      years: { type: "string", help: "years to make, as 2008-2024 or 2008,2012-2015" },
      until: { type: "string", help: "the last stage to do" },
      "job-type": { type: "string", help: "partition or quality of service, by its name in the cluster's profile" },
      nodes: { type: "string", help: "nodes" },
      time: { type: "string", help: "walltime, as 2-00:00:00; it is debited in full until the job ends" },
      mem: { type: "string", help: "memory of a node, as 170G; never on Betzy's whole nodes" },
      "mem-per-cpu": { type: "string", help: "memory of a core, as 1900M" },
      "cpus-per-task": { type: "string", help: "cores" },
      "gpus-per-node": { type: "string", help: "GPUs of a node" },
      dependency: { type: "string", help: "as sbatch takes it: afterok:JOB" },
      array: { type: "boolean", help: "an array job, a year a task" },
      workers: { type: "string", help: "an array job of that many workers over the same items (batch)" },
      "no-prepare": { type: "boolean", help: "no job of its own ahead of the years for what they share" },
      "max-restarts": {
        type: "string",
        help: "how often torchrun starts all ranks again after one failed (train) [0]",
      },
      "at-once": { type: "string", help: "tasks of an array that may run at once" },
      "dry-run": {
        type: "boolean",
        help: "show the script and what sbatch would be called with; exit code 2 if it would be refused",
      },
    },
    examples: [
      "node dist/cluster.js check 2018-2020 --root work/demo",
      "node dist/cluster.js submit --cluster betzy --account ACCOUNT --years 2018-2020 --root work/demo --dry-run",
    ],
  },
  async (args, ctx) => {
    const [verb] = args.positionals;
    if (verb === "submit") return submitJob(args, ctx);
    if (verb === "check") return check(args, ctx);
    throw new PipelineError("usage", `Expected submit or check${suggestion(verb ?? "", ["submit", "check"])}`, {
      received: verb ?? "nothing",
    });
  },
);
