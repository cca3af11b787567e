import { existsSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { flagName, OPTIONS, type OptionName, type OptionSpec, type Options } from "../config/options.js";
import { parseYears } from "../config/years.js";
import { ProxyRules } from "../network/proxy.js";
import { PipelineError } from "../pipeline/errors.js";
import { makeFolder } from "../pipeline/folder.js";
import { jobProblems } from "./job-problems.js";
import { type Directives, renderScript, scriptDirectives } from "./job-script.js";
import { clusterProfile } from "./profile-file.js";
import type { ClusterProfile, JobType } from "./profiles.js";
import { memoryGiB } from "./slurm-units.js";

/** Jobs that can be submitted, with their default job types: the first that the cluster has is used. */
export const JOBS = {
  years: ["normal"],
  prepare: ["preproc", "normal"],
  batch: ["preproc", "normal"],
  train: ["accel", "a100"],
} as const;
export type JobName = keyof typeof JOBS;

/** Options for the submission, not for the work. */
const NOT_FOR_THE_JOB: readonly OptionName[] = ["cluster", "clusterProfile", "account", "container", "json", "quiet"];

export interface SubmitRequest {
  readonly job: JobName;
  /** As typed, `2008-2024`. */
  readonly years: string | undefined;
  readonly jobType: string | undefined;
  /** An array job, one year (or worker) per task; a number of tasks for a job without years. */
  readonly array: number | "years" | undefined;
  /** Tasks of the array that may run at once. */
  readonly atOnce: number | undefined;
  /** Directives that replace the script's. */
  readonly given: Directives;
  /** Arguments for the job's command, after its options. */
  readonly rest: readonly string[];
}

export interface Submission {
  /** The job's directives: those of the script, overridden by the requested ones. */
  readonly directives: Directives;
  /** The script as it is submitted, and where it is kept. */
  readonly script: { readonly path: string; readonly text: string };
  /** sbatch and its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Problems; empty if there are none. */
  readonly problems: readonly string[];
}

/**
 * The sbatch call, and everything that the cluster would refuse.
 *
 * @throws {PipelineError} usage, if there is no cluster or job type to check it against.
 */
export function planSubmission(request: SubmitRequest, options: Options): Submission {
  if (options.cluster === undefined) {
    throw new PipelineError("usage", "--cluster is missing", {
      expected: "betzy, saga, or a name with --cluster-profile",
    });
  }
  const profile = clusterProfile(options.cluster, options.clusterProfile);
  if (profile.scheduler !== "slurm") {
    throw new PipelineError("usage", "This cluster profile submits no jobs: run the command itself", {
      cluster: profile.name,
    });
  }
  refusePassword(options.proxy);
  const { name, type } = jobTypeOf(request, profile);
  const code = fileURLToPath(new URL("../..", import.meta.url));
  const root = resolve(options.root);
  const container = options.container ?? process.env.FIELDS_CONTAINER;
  const years = request.years === undefined ? [] : parseYears(request.years);
  const array = request.array === "years" ? years.length : request.array;
  const source = join(code, "slurm", scriptOf(request, type));
  const logs = join(root, "logs");
  const directives = {
    ...fitted(scriptDirectives(source), request.given, type),
    ...ownDirectives(type, options, array, request, logs),
    ...request.given,
  };
  const path = join(logs, `fields-${request.job}_${timeStamp()}.sbatch`);
  const script = { path, text: renderScript(source, directives) };

  const problems = jobProblems(directives, profile, name, type);
  problems.push(...placeProblems(root, code, container, profile, options));
  if (request.job === "years" && years.length === 0) problems.push("no years: pass --years 2008-2024");

  const work = request.job === "years" ? [years.join(","), ...optionArguments(options)] : [];
  const env: Record<string, string> = {
    FIELDS_CODE: code.replace(/\/$/, ""),
    FIELDS_LOGS: logs,
    FIELDS_BIND: root,
    ...(container !== undefined && { FIELDS_CONTAINER: resolve(container) }),
    ...(request.job === "train" && { FIELDS_CHECKPOINTS: process.env.FIELDS_CHECKPOINTS ?? join(root, "checkpoints") }),
  };
  const command = ["sbatch", "--parsable", script.path, ...work, ...request.rest];
  return { directives, script, command, env, problems };
}

/** @throws {PipelineError} usage, naming every problem. */
export function requireAccepted(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `  ${problem}`).join("\n");
  throw new PipelineError("usage", `The job would be refused:\n${list}`);
}

/**
 * Submit the job to Slurm.
 *
 * @returns its id.
 * @throws {PipelineError} usage, naming every problem, before sbatch is called; tool, if sbatch refuses.
 */
export async function submit({ command, env, problems, script }: Submission): Promise<string> {
  requireAccepted(problems);
  const [program, ...args] = command;
  makeFolder(dirname(script.path));
  writeFileSync(script.path, script.text);
  const { execa } = await import("execa");
  const result = await execa(program as string, args, { env, reject: false, stdin: "ignore" });
  if (result.exitCode !== 0) {
    const received = result.exitCode === undefined ? result.shortMessage : result.stderr.trim();
    throw new PipelineError("tool", "sbatch rejected the job", { exitCode: result.exitCode, received });
  }
  // With several clusters joined, `id;cluster`.
  return result.stdout.trim().split(";")[0] as string;
}

/** The option becomes part of the job's command line, which everybody can see. */
function refusePassword(proxy: string | undefined): void {
  const [found] = proxy === undefined ? [] : ProxyRules.of(proxy, {}).proxies;
  if (!found?.hasUser) return;
  throw new PipelineError("usage", "--proxy must not carry a user and password to a job; export HTTPS_PROXY instead", {
    received: found.name,
  });
}

function jobTypeOf({ job, jobType }: SubmitRequest, profile: ClusterProfile): { name: string; type: JobType } {
  const name = jobType ?? JOBS[job].find((candidate) => Object.hasOwn(profile.jobTypes, candidate));
  const type = name !== undefined && Object.hasOwn(profile.jobTypes, name) ? profile.jobTypes[name] : undefined;
  if (name !== undefined && type !== undefined) return { name, type };
  throw new PipelineError("usage", "The cluster has no such job type", {
    cluster: profile.name,
    received: jobType ?? JOBS[job].join(" or "),
    expected: Object.keys(profile.jobTypes).join(", "),
  });
}

function scriptOf({ job, array }: SubmitRequest, { wholeNodes }: JobType): string {
  if (job !== "years") return `${job}.sbatch`;
  if (array !== undefined) return "year.sbatch";
  return wholeNodes ? "betzy-years.sbatch" : "saga-years.sbatch";
}

function ownDirectives(
  type: JobType,
  options: Options,
  array: number | undefined,
  { atOnce, job }: SubmitRequest,
  logs: string,
): Directives {
  const account = options.account ?? process.env.FIELDS_ACCOUNT ?? process.env.SBATCH_ACCOUNT;
  const name = array === undefined ? "%x_%j.out" : "%x_%A_%a.out";
  return {
    ...(account !== undefined && { account }),
    ...(type.partition !== undefined && { partition: type.partition }),
    ...(type.qos !== undefined && { qos: type.qos }),
    // Whole nodes are billed in full.
    ...(type.wholeNodes && { "cpus-per-task": String(type.cores) }),
    ...(array !== undefined && { array: `0-${array - 1}${atOnce === undefined ? "" : `%${atOnce}`}` }),
    output: join(logs, name),
    "job-name": `fields-${job}`,
  };
}

/**
 * A script's directives, limited to the cores and memory of a node of this job type. One memory option replaces
 * another, and none is kept for whole nodes, which include all memory.
 */
function fitted(script: Directives, given: Directives, type: JobType): Directives {
  const keys = ["mem", "mem-per-cpu", "mem-per-gpu"];
  const replaced = type.memory === "forbidden" || keys.some((key) => given[key] !== undefined);
  const kept = Object.fromEntries(Object.entries(script).filter(([key]) => !(replaced && keys.includes(key))));
  const { "cpus-per-task": cpus, mem } = kept;
  return {
    ...kept,
    ...(Number(cpus) > type.cores && { "cpus-per-task": String(type.cores) }),
    ...(typeof mem === "string" && memoryGiB(mem) > type.memoryGiB && { mem: `${Math.floor(type.memoryGiB)}G` }),
  };
}

function placeProblems(
  root: string,
  code: string,
  container: string | undefined,
  profile: ClusterProfile,
  options: Options,
): string[] {
  const problems: string[] = [];
  if (!existsSync(join(code, "dist", "year.js"))) problems.push(`${code} is not built: npm run setup`);
  if (container !== undefined && !existsSync(container)) problems.push(`the container is not there: ${container}`);
  const account = options.account ?? process.env.FIELDS_ACCOUNT ?? "";
  const filled = (path: string) => path.replace("{account}", account).replace("{user}", userInfo().username);
  const inProject = account !== "" && `${root}${sep}`.startsWith(`${filled(profile.projectSpace)}/`);
  if (inProject) {
    problems.push(
      `${root} lies in the project space, whose quota is small: pass a --root in ${filled(profile.workSpace)}`,
    );
  }
  return problems;
}

/** `20261122T084500123Z`, for names of files. */
function timeStamp(): string {
  return new Date().toISOString().replace(/[-:.]/g, "");
}

/** The options that differ from their defaults, as typed: the job keeps what the submission was given. */
export function optionArguments(options: Options): string[] {
  return (Object.keys(OPTIONS) as OptionName[]).flatMap((name) => {
    const { default: standard }: OptionSpec = OPTIONS[name];
    const value = options[name];
    if (value === undefined || NOT_FOR_THE_JOB.includes(name)) return [];
    if (name !== "root" && JSON.stringify(value) === JSON.stringify(standard)) return [];
    if (value === true) return [`--${flagName(name)}`];
    const text = name === "root" ? resolve(options.root) : String(value);
    return value === false ? [] : [`--${flagName(name)}=${text}`];
  });
}
