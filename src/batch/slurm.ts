const ANSWER_LIMIT_MS = 20_000;

/** Job states after which no process of the job runs any more. */
const ENDED = /^(BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT)/;

/** The job that this process runs in. */
export interface SlurmJob {
  readonly job: string;
  readonly step?: string | undefined;
  readonly cluster?: string | undefined;
  readonly node?: string | undefined;
}

/** Undefined outside Slurm. */
export function slurmJob(env: NodeJS.ProcessEnv = process.env): SlurmJob | undefined {
  const job = env.SLURM_JOB_ID;
  if (job === undefined) return undefined;
  return { job, step: env.SLURM_STEP_ID, cluster: env.SLURM_CLUSTER_NAME, node: env.SLURMD_NODENAME };
}

/** When the own job's time is up, in ms since 1970; undefined when that cannot be known. */
export async function slurmEnd(env: NodeJS.ProcessEnv = process.env): Promise<number | undefined> {
  const told = Number(env.SLURM_JOB_END_TIME);
  if (told > 0) return told * 1000;
  if (env.SLURM_JOB_ID === undefined) return undefined;
  const answer = await ask("squeue", ["--noheader", `--jobs=${env.SLURM_JOB_ID}`, "--format=%e"]);
  const time = Date.parse(answer.text.trim().split("\n")[0] ?? "");
  return Number.isNaN(time) ? undefined : time;
}

/** True when Slurm says that the job has ended, false when it runs, undefined when Slurm says nothing of it. */
export async function hasJobEnded(job: string): Promise<boolean | undefined> {
  const answer = await ask("squeue", ["--noheader", "--states=all", `--jobs=${job}`, "--format=%T"]);
  if (!answer.ok) return /Invalid job id/i.test(answer.text) ? true : undefined;
  const states = answer.text.split("\n").filter((line) => line !== "");
  // An empty answer means that it does not know: never that a job has ended.
  return states.length === 0 ? undefined : states.every((state) => ENDED.test(state));
}

async function ask(program: string, args: string[]): Promise<{ ok: boolean; text: string }> {
  const { execa } = await import("execa");
  const result = await execa(program, args, { reject: false, stdin: "ignore", timeout: ANSWER_LIMIT_MS });
  return result.failed ? { ok: false, text: result.stderr ?? "" } : { ok: true, text: result.stdout };
}
