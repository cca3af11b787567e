import type { Progress } from "../dist/pipeline/progress.js";

/** What a stretch of a program took, seen from inside. */
export interface Cost {
  readonly wallS: number;
  /** User and system time of all threads. */
  readonly cpuS: number;
  /** How long the main thread was busy: what no number of workers shortens. */
  readonly mainS: number;
}

export interface Phase extends Cost {
  readonly name: string;
}

/** @returns ends the measurement. */
export function startWatch(): () => Cost {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return {
      wallS: (performance.now() - wall) / 1000,
      cpuS: (user + system) / 1e6,
      mainS: performance.eventLoopUtilization(loop).active / 1000,
    };
  };
}

/** A progress that draws nothing and times what the stages announce: the code that users run is what is timed. */
export class PhaseTimes implements Progress {
  readonly phases: Phase[] = [];

  start(name: string): ReturnType<Progress["start"]> {
    const end = startWatch();
    return { update() {}, end: () => void this.phases.push({ name, ...end() }) };
  }
}
