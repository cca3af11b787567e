const ACRES_PER_HECTARE = 2.4710538146717;

/** `29 %`, `4.3 %`, `< 0.1 %` */
export function percentText(share: number): string {
  if (share >= 0.0995) return `${Math.round(share * 100)} %`;
  return share >= 0.0005 ? `${(share * 100).toFixed(1)} %` : "< 0.1 %";
}

/** Unit of areas. */
export type AreaUnit = "ha" | "acres";

export const UNIT_NAMES: Readonly<Record<AreaUnit, string>> = { ha: "hectares", acres: "acres" };

export function inUnit(hectares: number, unit: AreaUnit): number {
  return unit === "acres" ? hectares * ACRES_PER_HECTARE : hectares;
}

/** An area in hectares as `64.8 ha`, `12,300 ha`, `1.2 M ha`; or as `160 acres` */
export function areaText(hectares: number, unit: AreaUnit): string {
  const area = inUnit(hectares, unit);
  return area >= 999_500 ? `${threeDigits(area / 1e6)} M ${unit}` : `${threeDigits(area)} ${unit}`;
}

export function countText(count: number): string {
  return count.toLocaleString("en");
}

function threeDigits(value: number): string {
  if (value >= 999.5) return Number(value.toPrecision(3)).toLocaleString("en");
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}
