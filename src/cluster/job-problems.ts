import { PipelineError } from "../pipeline/errors.js";
import type { Directives } from "./job-script.js";
import type { ClusterProfile, JobType } from "./profiles.js";
import { memoryGiB, walltimeMinutes, walltimeText } from "./slurm-units.js";

/**
 * Everything in a job's directives that the cluster would refuse or bill without use, and what
 * to write instead. Empty if there are no problems.
 *
 * @param name  the job type's name, for the messages.
 */
export function jobProblems(job: Directives, profile: ClusterProfile, name: string, type: JobType): string[] {
  const problems: string[] = [];
  const on = `${name} jobs on ${profile.name}`;
  const text = (key: string) => (typeof job[key] === "string" ? (job[key] as string) : undefined);
  /** The value of a directive, or undefined with a problem noted. */
  const read = <T>(key: string, parse: (value: string) => T): T | undefined => {
    const value = text(key);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      problems.push(`--${key}: ${error instanceof PipelineError ? error.message : String(error)}`);
      return undefined;
    }
  };

  if (text("account") === undefined)
    problems.push("no account: pass --account, set FIELDS_ACCOUNT, or write it into --config");

  const nodes = read("nodes", wholeNumber) ?? 1;
  if (nodes < type.minNodes) problems.push(`--nodes=${nodes}: ${on} have ${type.minNodes} nodes at least`);
  const maxNodes = Math.min(type.maxNodes, type.maxNodesPerUser ?? Infinity);
  if (nodes > maxNodes) {
    const whose = type.maxNodesPerUser === maxNodes ? " for one user" : "";
    problems.push(`--nodes=${nodes}: ${on} have ${maxNodes} nodes at most${whose}`);
  }

  const minutes = read("time", walltimeMinutes);
  if (text("time") === undefined)
    problems.push(`no walltime: pass --time, ${walltimeText(type.maxWalltimeMinutes)} at most`);
  if (minutes !== undefined && minutes > type.maxWalltimeMinutes) {
    problems.push(`--time=${text("time")}: ${on} run ${walltimeText(type.maxWalltimeMinutes)} at most`);
  }

  const noticeS = Number(/@(\d+)$/.exec(text("signal") ?? "")?.[1] ?? 0);
  // Slurm may be a minute early with it.
  if (minutes !== undefined && minutes * 60 <= noticeS + 60) {
    problems.push(`--time=${text("time")}: the notice of its end comes ${noticeS} s ahead, nothing would ever begin`);
  }

  const cpus = read("cpus-per-task", wholeNumber) ?? 1;
  const tasks = read("ntasks-per-node", wholeNumber) ?? 1;
  if (cpus * tasks > type.cores) {
    problems.push(
      `--cpus-per-task=${cpus}: a node for ${on} has ${type.cores} cores (the ${type.logicalCpus} CPUs that it shows count hyperthreads)`,
    );
  }

  const memoryKeys = ["mem", "mem-per-cpu", "mem-per-gpu"].filter((key) => job[key] !== undefined);
  if (type.memory === "forbidden") {
    for (const key of memoryKeys)
      problems.push(`--${key} must not be used: ${on} get whole nodes with all of their memory`);
  }
  if (type.memory === "required" && memoryKeys.length === 0) {
    problems.push(`no memory: ${on} need --mem or --mem-per-cpu (a node has ${type.memoryGiB} GiB)`);
  }
  if (memoryKeys.length > 1) problems.push(`--${memoryKeys.join(" and --")} exclude each other`);

  const gpus = read("gpus-per-node", wholeNumber) ?? 0;
  if (gpus > type.gpus) problems.push(`--gpus-per-node=${gpus}: a node for ${on} has ${type.gpus}`);
  if (job["gpus-per-task"] !== undefined)
    problems.push("--gpus-per-task is billed for more than it uses: pass --gpus-per-node");

  const perNodeGiB =
    read("mem", memoryGiB) ??
    times(read("mem-per-cpu", memoryGiB), cpus * tasks) ??
    times(read("mem-per-gpu", memoryGiB), gpus) ??
    0;
  if (type.memory !== "forbidden" && perNodeGiB > type.memoryGiB) {
    problems.push(`${round(perNodeGiB)} GiB of memory: a node for ${on} has ${type.memoryGiB} GiB`);
  }
  const units = nodes * Math.max(cpus * tasks, perNodeGiB * (type.unitsPerGiB ?? 0), gpus * (type.unitsPerGpu ?? 0));
  if (units > (type.maxUnitsPerJob ?? Infinity)) {
    problems.push(
      `${Math.ceil(units)} billing units (cores, or memory × ${type.unitsPerGiB}): ${on} have ${type.maxUnitsPerJob} at most`,
    );
  }

  const array = read("array", arrayTasks);
  if (array !== undefined && array.tasks > profile.maxArrayTasks) {
    problems.push(`--array: ${array.tasks} tasks, ${profile.name} takes ${profile.maxArrayTasks} at most`);
  }
  if (array !== undefined && array.atOnce > (type.maxJobsPerUser ?? Infinity)) {
    problems.push(
      `--array: ${array.atOnce} tasks at once, ${on} are ${type.maxJobsPerUser} for one user (append %${type.maxJobsPerUser})`,
    );
  }
  return problems;
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new PipelineError("usage", "Expected a whole number", { received: text });
}

/** `0-16%4` → 17 tasks, 4 at once. */
function arrayTasks(text: string): { tasks: number; atOnce: number } {
  const match = /^([\d,-]+)(?:%(\d+))?$/.exec(text);
  const tasks = (match?.[1] ?? "").split(",").reduce((sum, part) => {
    const [first = Number.NaN, last = first] = part.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
  if (match === null || !(tasks > 0))
    throw new PipelineError("usage", "Not a job array", { received: text, expected: "0-16%4" });
  return { tasks, atOnce: Math.min(tasks, Number(match[2] ?? tasks)) };
}

function times(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
