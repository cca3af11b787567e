/**
 * The guard of a runner, a separate process. If the runner is killed, or cannot renew its heartbeat
 * for the time after which others consider it dead, the guard kills the runner's items, so no other
 * runner takes over an item whose process still runs.
 *
 * guard.js RUNNER LEASE_MS WORK_FOLDER, and lines on stdin: `beat`, `start GROUP`, `end GROUP`, `done`.
 */
import { createInterface } from "node:readline";
import { removePrivate } from "../pipeline/private-folder.js";
import { killProcessesOf } from "./reaper.js";

const [runner = "", leaseMs = "", work = ""] = process.argv.slice(2);
const groups = new Set<number>();
let lastBeat = performance.now();
let done = false;

// The runner handles signals to the whole step.
for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"]) process.on(signal, () => {});

const watch = setInterval(
  () => {
    if (performance.now() - lastBeat < Number(leaseMs)) return;
    lastBeat = Infinity; // Once, until the runner sends again.
    void killProcessesOf(runner, groups);
  },
  Math.max(20, Number(leaseMs) / 20),
);

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [word, group] = line.split(" ");
  if (word === "beat") lastBeat = performance.now();
  else if (word === "start") groups.add(Number(group));
  else if (word === "end") groups.delete(Number(group));
  else if (word === "done") done = true;
});
lines.on("close", () => {
  clearInterval(watch);
  void end();
});

async function end(): Promise<void> {
  if (!done) await killProcessesOf(runner, groups);
  removePrivate(work);
  process.exit();
}
