import type { Bounds } from "../../archive/header.js";
import type { Tile } from "../../archive/tile-id.js";
import { latitudeAt, longitudeAt, metersPerWorld, worldX, worldY } from "./mercator.js";

/** Smallest frame, about 200 m, for a single small field. */
const MIN_SPAN = 5e-6;
/** A tile's drawn width in pixels; its grid of 4096 then has 8 to 16 units per pixel. */
const TILE_PIXELS = 512;

/** Sides of a rectangle, in pixels of the map, possibly fractions. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The part of the world that a map shows, north up, and its size. */
export interface Frame {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Northwest corner, in units of the world. */
  readonly west: number;
  readonly north: number;
  /** Width of the whole world, in pixels. */
  readonly worldPixels: number;
}

/** Aspect ratio of a map of these bounds: height / width. */
export function shapeOf({ west, south, east, north }: Bounds): number {
  const across = Math.max(worldX(east) - worldX(west), MIN_SPAN);
  return Math.max(worldY(south) - worldY(north), MIN_SPAN) / across;
}

/**
 * All of the bounds, centered in a map of this size, as large as they fit.
 *
 * @param margin  free share of the map's sides.
 */
export function fitFrame(bounds: Bounds, width: number, height: number, margin: number): Frame {
  const [left, right] = [worldX(bounds.west), worldX(bounds.east)];
  const [top, bottom] = [worldY(bounds.north), worldY(bounds.south)];
  const scale = Math.min(width / Math.max(right - left, MIN_SPAN), height / Math.max(bottom - top, MIN_SPAN));
  const worldPixels = scale * (1 - 2 * margin);
  return {
    width,
    height,
    west: (left + right) / 2 - width / 2 / worldPixels,
    north: (top + bottom) / 2 - height / 2 / worldPixels,
    worldPixels,
  };
}

/** Position of a tile on the map. A side that two tiles share is the same number for both. */
export function tileBox(frame: Frame, { z, x, y }: Tile): Box {
  const column = (at: number) => (at / 2 ** z - frame.west) * frame.worldPixels;
  const row = (at: number) => (at / 2 ** z - frame.north) * frame.worldPixels;
  return { left: column(x), right: column(x + 1), top: row(y), bottom: row(y + 1) };
}

/** The zoom whose tiles match the map's resolution; the archive may not have it. */
export function zoomFor({ worldPixels }: Frame): number {
  return Math.max(0, Math.ceil(Math.log2(worldPixels / TILE_PIXELS)));
}

/** The map's extent, in degrees. */
export function frameBounds({ west, north, width, height, worldPixels }: Frame): Bounds {
  return {
    west: longitudeAt(west),
    south: latitudeAt(north + height / worldPixels),
    east: longitudeAt(west + width / worldPixels),
    north: latitudeAt(north),
  };
}

/** Meters on the ground per pixel of this row. */
export function metersPerPixel({ north, worldPixels }: Frame, row: number): number {
  return metersPerWorld(north + (row + 0.5) / worldPixels) / worldPixels;
}
