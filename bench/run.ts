import { fileURLToPath } from "node:url";
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

/** Run a stage in a process of its own. */
export async function runStage(task: StageTask, signal: AbortSignal): Promise<Run> {
  const { usage, stdout } = await measure([process.execPath, STAGE, JSON.stringify(task)], signal);
  const { start, work, phases, peakRssMiB } = JSON.parse(stdout) as StageReport;
  return { process: { ...usage, peakRssMiB: Math.max(usage.peakRssMiB, peakRssMiB) }, start, work, phases };
}

/** Run one of the project's commands as users do. Its start-up is not told apart. */
export async function runCommand(args: readonly string[], signal: AbortSignal): Promise<Run> {
  const { usage } = await measure([process.execPath, ...args], signal);
  return { process: usage, work: { wallS: usage.wallS, cpuS: usage.cpuS, mainS: usage.wallS }, phases: [] };
}
