import { fileURLToPath } from "node:url";
import { coreCpus } from "../dist/parallel/threads.js";
import { measure, type Usage } from "./measured.js";
import type { StageReport, StageTask } from "./stage.js";
import type { Cost, Phase } from "./stopwatch.js";

/** One execution of something that is compared. */
export interface Run {
  /** The whole process, from outside. */
  readonly process: Usage;
  /** Start-up, where the program can tell: until all is loaded and open and the workers have started. */
  readonly start?: Cost;
  /** All but start-up. */
  readonly work: Cost;
  readonly phases: readonly Phase[];
  readonly note?: string;
}

const STAGE = fileURLToPath(new URL("./stage.js", import.meta.url));

/**
 * Run a stage in a process of its own, held to as many cores as it has worker threads: its main
 * thread and GDAL's readers are threads too, and on other cores than were counted they would
 * make one look like several.
 */
export async function runStage(task: StageTask, signal: AbortSignal): Promise<Run> {
  const command = [...onCores(task.threads), process.execPath, STAGE, JSON.stringify(task)];
  const { usage, stdout } = await measure(command, signal);
  const { start, work, phases, peakRssMiB } = JSON.parse(stdout) as StageReport;
  return { process: { ...usage, peakRssMiB: Math.max(usage.peakRssMiB, peakRssMiB) }, start, work, phases };
}

/** The beginning of a command that holds it to the first of this machine's cores; nothing where it has no more. */
export function onCores(count: number): string[] {
  const cpus = coreCpus();
  return process.platform === "linux" && count < cpus.length ? ["taskset", "-c", cpus.slice(0, count).join(",")] : [];
}

/** Run one of the project's commands as users do. Its start-up is not told apart. */
export async function runCommand(args: readonly string[], signal: AbortSignal): Promise<Run> {
  const { usage } = await measure([process.execPath, ...args], signal);
  return { process: usage, work: { wallS: usage.wallS, cpuS: usage.cpuS, mainS: usage.wallS }, phases: [] };
}
