/** Longitude and latitude in degrees; or any x and y. */
export type LngLat = readonly [number, number];

/** The way between longitude and latitude and the fields' own coordinates. */
export interface Coordinates {
  toFields(point: LngLat): LngLat;
  toDegrees(point: LngLat): LngLat;
  /** A length in the fields' units, not less than it is at a latitude. */
  unitsFor(meters: number, lat: number): number;
}

/** East and north, on the mean sphere. */
export function metersPerDegree(lat: number): [number, number] {
  const north = (Math.PI / 180) * 6_371_008.8;
  return [north * Math.cos((lat * Math.PI) / 180), north];
}

const DEGREES: Coordinates = {
  toFields: (point) => point,
  toDegrees: (point) => point,
  unitsFor: (meters, lat) => meters / Math.min(...metersPerDegree(Math.min(Math.abs(lat), 89))),
};

/**
 * Fields in longitude and latitude, which is what GeoParquet holds as a rule, are looked up as
 * they are; PROJ is loaded for others alone.
 */
export async function coordinatesOf(crs: string): Promise<Coordinates> {
  if (isPlainDegrees(crs)) return DEGREES;
  const { planProjection, pointProjection } = await import("../fields/projection.js");
  if (planProjection(crs, "OGC:CRS84").kind === "same") return DEGREES;
  const { unitMeters, forward, back } = pointProjection(crs);
  return {
    toFields: forward,
    toDegrees: back,
    unitsFor: (meters) => (1.1 * meters) / unitMeters,
  };
}

/** By name alone. Codes of EPSG's are here what GeoParquet makes of them: longitude first. */
function isPlainDegrees(crs: string): boolean {
  if (!crs.startsWith("{")) return crs === "OGC:CRS84" || crs === "EPSG:4326";
  const { id } = JSON.parse(crs) as { readonly id?: { readonly authority: string; readonly code: string | number } };
  return id !== undefined && ["OGC:CRS84", "EPSG:4326"].includes(`${id.authority}:${id.code}`);
}
