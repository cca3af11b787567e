import type { AreaUnit } from "./numbers.js";
import { remember, remembered } from "./remembered.js";

const KEY = "area-unit";
/** West, south, east, north of the conterminous United States. */
const UNITED_STATES = [-125, 24, -66, 50] as const;

/** The remembered unit; by default acres for fields in the United States, hectares for others. */
export function rememberedUnit(center: readonly [number, number]): AreaUnit {
  const known = remembered(KEY);
  if (known === "ha" || known === "acres") return known;
  return isInUnitedStates(center) ? "acres" : "ha";
}

export function rememberUnit(unit: AreaUnit): void {
  remember(KEY, unit);
}

export function isInUnitedStates([lng, lat]: readonly [number, number]): boolean {
  const [west, south, east, north] = UNITED_STATES;
  return lng > west && lng < east && lat > south && lat < north;
}
