import { LAYERS } from "./archive-metadata.js";
import { RECORD_KEY } from "./attribute-plan.js";

/** What records of a field set are made from and for. */
export function recordPlan(rows: number) {
  return { rows, layers: LAYERS, key: RECORD_KEY };
}
