import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Every process of an item carries its runner's name in this variable, and so do their children. */
export const RUNNER_VARIABLE = "FIELDS_BATCH_RUNNER";

const ROUNDS = 100;
const ROUND_MS = 20;

/**
 * Kill every process on this host that a runner's items started and that still runs.
 *
 * @param groups  process groups known to be its; processes that cleared their environment are found by these.
 * @returns true when none is left.
 */
export async function killProcessesOf(runner: string, groups: Iterable<number> = []): Promise<boolean> {
  for (const group of groups) kill(-group);
  for (let round = 0; round < ROUNDS; round++) {
    const pids = processesOf(runner);
    if (pids.length === 0) return true;
    for (const pid of pids) kill(pid);
    await sleep(ROUND_MS);
  }
  return false;
}

function processesOf(runner: string): number[] {
  const entry = `${RUNNER_VARIABLE}=${runner}`;
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && environment(pid).includes(entry));
}

/** Empty for a process that has ended or belongs to somebody else. */
function environment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
