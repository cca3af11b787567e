import { PipelineError } from "../pipeline/errors.js";

/** The stages of a year, in order; each one's output is the next one's input. */
export const STAGES = ["download", "zonal", "tiles", "publish"] as const;
export type Stage = (typeof STAGES)[number];

/** @throws {PipelineError} usage, when it is none. */
export function stageOf(text: string): Stage {
  if (STAGES.includes(text as Stage)) return text as Stage;
  const [last, ...others] = [...STAGES].reverse();
  const known = `${others.reverse().join(", ")} or ${last}`;
  throw new PipelineError("usage", `Unknown stage ${JSON.stringify(text)}; use ${known}`);
}

/** Which stages a run may do, and which it must do again. */
export interface Selection {
  /** Made again though valid. */
  readonly force: ReadonlySet<Stage>;
  /** This one alone; the others' outputs must be there. */
  readonly only?: Stage | undefined;
  /** The last one to do. */
  readonly until?: Stage | undefined;
}

export function isSelected(stage: Stage, { only, until }: Selection): boolean {
  if (only !== undefined) return stage === only;
  return until === undefined || STAGES.indexOf(stage) <= STAGES.indexOf(until);
}

/** Whether a stage is not selected itself, but the one after it is. */
export function isNeeded(stage: Stage, selection: Selection): boolean {
  const next = STAGES[STAGES.indexOf(stage) + 1];
  return next !== undefined && isSelected(next, selection) && !isSelected(stage, selection);
}

/** Whether neither this stage nor a later one is selected. */
export function isBeyond(stage: Stage, selection: Selection): boolean {
  return STAGES.slice(STAGES.indexOf(stage)).every((later) => !isSelected(later, selection));
}
