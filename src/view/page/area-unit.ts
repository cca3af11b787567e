import type { AreaUnit } from "./numbers.js";

const KEY = "area-unit";
/** West, south, east, north of the conterminous United States. */
const UNITED_STATES = [-125, 24, -66, 50] as const;

/** The unit that was chosen here before; at first acres for fields in the United States, hectares for others. */
export function rememberedUnit(center: readonly [number, number]): AreaUnit {
  const known = stored();
  if (known !== undefined) return known;
  const [west, south, east, north] = UNITED_STATES;
  const [lng, lat] = center;
  return lng > west && lng < east && lat > south && lat < north ? "acres" : "ha";
}

export function rememberUnit(unit: AreaUnit): void {
  try {
    localStorage.setItem(KEY, unit);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

function stored(): AreaUnit | undefined {
  try {
    const text = localStorage.getItem(KEY);
    return text === "ha" || text === "acres" ? text : undefined;
  } catch {
    return undefined;
  }
}
