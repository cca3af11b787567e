import type { Bounds, Header } from "./header.js";

/** Pixels of a map's side that the data shall fit into, and of a tile's side. */
const VIEW_PIXELS = 768;
const TILE_PIXELS = 512;

/** A center as a viewer opens it: this place, at the highest zoom that shows all of the bounds. */
export function centerOf(
  { lng, lat }: { lng: number; lat: number },
  bounds: Bounds,
  min: number,
  max: number,
): Header["center"] {
  const width = (bounds.east - bounds.west) / 360;
  const height = down(bounds.south) - down(bounds.north);
  const fitting = Math.floor(Math.log2(VIEW_PIXELS / TILE_PIXELS / Math.max(width, height, 2 ** -30)));
  return { lng, lat, zoom: Math.min(max, Math.max(min, fitting)) };
}

/** Web Mercator from the north, 0 to 1. */
function down(lat: number): number {
  return 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);
}
