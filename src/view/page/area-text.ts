/** Corners of an area, longitude and latitude; the first is not repeated at the end. */
export type Ring = readonly (readonly [number, number])[];

/** Maximum of corners in a URL. */
const MAX_CORNERS = 400;

/** `-97.12345,39.5;...`: to a meter, for the URL and the server. Surplus corners are left out. */
export function areaText(ring: Ring): string {
  const every = Math.ceil(ring.length / MAX_CORNERS);
  return ring
    .filter((_, i) => i % every === 0)
    .map((point) => point.map((value) => Number(value.toFixed(5))).join(","))
    .join(";");
}

/** @returns undefined if the text is not a ring, such as a place's id. */
export function ringOf(text: string): Ring | undefined {
  const ring = text.split(";").map((point) => point.split(",").map(Number));
  const sound = ring.length >= 3 && ring.every((point) => point.length === 2 && point.every(Number.isFinite));
  return sound ? (ring as unknown as Ring) : undefined;
}

/** Whether the text is valid in a URL: a place's id, or corners. */
export function isArea(text: string): boolean {
  return /^\d{2}(\d{3})?$/.test(text) || ringOf(text) !== undefined;
}

/** By the even-odd rule. */
export function isInside(ring: Ring, lng: number, lat: number): boolean {
  let inside = false;
  for (const [i, [ax, ay]] of ring.entries()) {
    const [bx, by] = ring[(i + 1) % ring.length] as readonly [number, number];
    if (ay <= lat !== by <= lat && lng < ax + ((lat - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  }
  return inside;
}
