/** Web mercator: the world is the square from 0, 0 in the northwest to 1, 1 in the southeast. */

/** Equator of web mercator's sphere, in meters. */
const EQUATOR_M = 2 * Math.PI * 6_378_137;
/** Latitude of the square's edges, degrees. */
const MAX_LATITUDE = 85.051128779806604;

export function worldX(lng: number): number {
  return lng / 360 + 0.5;
}

export function worldY(lat: number): number {
  const phi = (Math.min(Math.max(lat, -MAX_LATITUDE), MAX_LATITUDE) * Math.PI) / 180;
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + phi / 2)) / (2 * Math.PI);
}

export function longitudeAt(x: number): number {
  return (x - 0.5) * 360;
}

export function latitudeAt(y: number): number {
  return (360 / Math.PI) * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - 90;
}

/** Meters on the ground per unit of the world, at this y. */
export function metersPerWorld(y: number): number {
  return EQUATOR_M * Math.cos((latitudeAt(y) * Math.PI) / 180);
}
