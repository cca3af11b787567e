import type { Machine } from "./machine.js";
import type { Run } from "./run.js";
import type { World } from "./world.js";

/** What a contender did in all rounds. */
export interface Outcome {
  readonly key: string;
  readonly title: string;
  readonly threads: number;
  readonly fields: number;
  readonly mpx: number;
  /** By round. */
  readonly runs: readonly Run[];
}

/** Peak memory of one run. */
export interface MemoryPoint {
  readonly stage: "scan" | "direct";
  readonly fields: number;
  readonly threads: number;
  readonly peakRssMiB: number;
}

/** The results file. Times in seconds, memory in MiB. */
export interface Results {
  readonly machine: Machine;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly quick: boolean;
  readonly rounds: number;
  readonly worlds: readonly World[];
  /** What was held against what before anything was timed. */
  readonly checks: readonly string[];
  /** How each peer is run. */
  readonly peers: readonly string[];
  readonly outcomes: readonly Outcome[];
  readonly memory: readonly MemoryPoint[];
  readonly tableBytes: number;
  readonly indexBytes: number;
}

export function outcomeOf(results: Pick<Results, "outcomes">, key: string): Outcome | undefined {
  return results.outcomes.find((outcome) => outcome.key === key);
}

/** CPU seconds of the work alone, by round. */
export const workCpu = (outcome: Outcome): number[] => outcome.runs.map(({ work }) => work.cpuS);
/** Wall seconds of the work alone, by round. */
export const workWall = (outcome: Outcome): number[] => outcome.runs.map(({ work }) => work.wallS);
/** CPU seconds of the whole process, by round. */
export const processCpu = (outcome: Outcome): number[] => outcome.runs.map(({ process }) => process.cpuS);
/** Wall seconds of the whole process, by round. */
export const processWall = (outcome: Outcome): number[] => outcome.runs.map(({ process }) => process.wallS);
