import { LAYERS } from "./archive-metadata.js";
import { RECORD_KEY } from "./attribute-plan.js";

/** The fields and the attribute that records are made for. */
export function recordPlan(rows: number) {
  return { rows, layers: LAYERS, key: RECORD_KEY };
}
