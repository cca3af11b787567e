import { addToCensus, type Census, newCensus } from "../archive/census.js";
import type { CensusTask } from "../archive/tasks.js";
import { BaseTiles } from "./base-tiles.js";

/** The same as censusRange, of precompressed tiles. */
export function auditBaseRange({ path, plan, from, to }: CensusTask): Census {
  const tiles = new BaseTiles(path, plan.rows ?? 0);
  try {
    const census = newCensus(plan);
    addToCensus(census, tiles, plan, from, to);
    return census;
  } finally {
    tiles.close();
  }
}
auditBaseRange.module = import.meta.url;
