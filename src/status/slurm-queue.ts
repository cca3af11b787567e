/** A job, or a step of one, as squeue tells of it. */
export interface QueuedJob {
  /** `4711`, `4711_2` of an array, `4711.3` of a step. */
  readonly id: string;
  readonly name: string;
  /** `RUNNING`, `PENDING` ...; steps that are listed run. */
  readonly state: string;
  readonly elapsed: string;
  readonly limit: string;
  readonly nodes: string;
  /** Why it waits; empty when it does not. */
  readonly reason: string;
}

const JOBS = ["--noheader", "--format=%i|%j|%T|%M|%l|%N|%r"];
const STEPS = ["--steps", "--noheader", "--format=%i|%j|%M|%N"];

/**
 * The user's jobs and steps, by one query each.
 *
 * @returns undefined where Slurm does not answer: nothing is known then, and nothing has failed.
 */
export async function slurmQueue(signal: AbortSignal): Promise<readonly QueuedJob[] | undefined> {
  const user = process.env.USER ?? process.env.LOGNAME;
  const whose = user === undefined ? ["--me"] : ["--user", user];
  const [jobs, steps] = await Promise.all([ask([...whose, ...JOBS], signal), ask([...whose, ...STEPS], signal)]);
  if (jobs === undefined) return undefined;
  return [
    ...jobs.map(([id = "", name = "", state = "", elapsed = "", limit = "", nodes = "", why = ""]) => {
      const reason = why === "None" ? "" : why;
      return { id, name, state, elapsed, limit, nodes, reason };
    }),
    ...(steps ?? []).map(([id = "", name = "", elapsed = "", nodes = ""]) => {
      return { id, name, state: "RUNNING", elapsed, limit: "", nodes, reason: "" };
    }),
  ];
}

async function ask(args: string[], cancelSignal: AbortSignal): Promise<string[][] | undefined> {
  const { execa } = await import("execa");
  const result = await execa("squeue", args, { reject: false, stdin: "ignore", timeout: 20_000, cancelSignal });
  if (result.failed) return undefined;
  return result.stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.split("|").map((cell) => cell.trim()));
}
