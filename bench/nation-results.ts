import type { Machine } from "./machine.js";
import type { Usage } from "./measured.js";
import type { TruthReport } from "./truth.js";

/** One command of the run, or what it took until it was killed. */
export interface StageRun extends Usage {
  readonly stage: string;
  readonly year?: number;
  readonly killed: boolean;
}

export interface NationResults {
  readonly machine: Machine;
  readonly date: string;
  readonly fields: number;
  readonly years: readonly number[];
  readonly like: string;
  readonly raster: { readonly width: number; readonly height: number };
  readonly stages: readonly StageRun[];
  /** All stages together, the killed ones too. */
  readonly total: Usage;
  /** Most bytes on disk at any time: of the run alone, and of the world that it reads. */
  readonly disk: { readonly run: number; readonly world: number };
  readonly checks: readonly string[];
  readonly truth: readonly TruthReport[];
}
