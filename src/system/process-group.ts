import { setTimeout as sleep } from "node:timers/promises";

/**
 * End a process that leads its own group, and all in it: SIGTERM, then SIGKILL.
 * Returns at the latest a second grace after that, because what waits for a file
 * system that is gone does not die of SIGKILL either.
 *
 * @param ended  resolves when the leader has ended.
 */
export async function endGroup(leader: number, ended: Promise<unknown>, graceMs: number): Promise<void> {
  signalGroup(leader, "SIGTERM");
  await within(ended, graceMs);
  // The leader may be gone and what it started not.
  signalGroup(leader, "SIGKILL");
  await within(ended, graceMs);
}

/** Nothing happens when nobody is left in the group. */
export function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // ESRCH.
  }
}

async function within(ended: Promise<unknown>, ms: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([ended, sleep(ms, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
