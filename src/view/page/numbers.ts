const ACRES_PER_HECTARE = 2.4710538146717;

/** `29 %`, `4.3 %`, `< 0.1 %` */
export function percentText(share: number): string {
  if (share >= 0.0995) return `${Math.round(share * 100)} %`;
  return share >= 0.0005 ? `${(share * 100).toFixed(1)} %` : "< 0.1 %";
}

/** Hectares as `64.8 ha`, `12,300 ha`, `1.2 M ha` */
export function hectaresText(hectares: number): string {
  if (hectares >= 999_500) return `${threeDigits(hectares / 1e6)} M ha`;
  return `${threeDigits(hectares)} ha`;
}

export function acresText(hectares: number): string {
  const acres = hectares * ACRES_PER_HECTARE;
  return acres >= 999_500 ? `${threeDigits(acres / 1e6)} M acres` : `${threeDigits(acres)} acres`;
}

export function countText(count: number): string {
  return count.toLocaleString("en");
}

function threeDigits(value: number): string {
  if (value >= 999.5) return Number(value.toPrecision(3)).toLocaleString("en");
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}
