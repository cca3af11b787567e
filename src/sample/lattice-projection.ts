import { albersToLngLat } from "./albers-inverse.js";
import { SECTION_PIXELS } from "./traced-section.js";
import { PIXEL_M, type World } from "./world.js";

/**
 * By how much fields lie off the pixels that they were traced from, in meters east
 * and north: no border runs through the centers of pixels, and each pixel stays with
 * its field.
 */
export const SHIFT_EAST_M = 7.3;
export const SHIFT_NORTH_M = -4.1;
const HALF = SECTION_PIXELS / 2;
/** Coefficients of x^i y^j, i and j from 0 to 2, of longitude and of latitude. */
const COEFFICIENTS = 9;
export type Patches = readonly [own: Float64Array, east: Float64Array, south: Float64Array, southEast: Float64Array];

/** Patches kept: a county's row of sections and the next one, with room. */
const KEPT = 64;

/**
 * Longitude and latitude of the corners of pixels, by a polynomial of the second
 * degree for every section: within 2 µm of the projection, at a thirtieth of its
 * cost. Which polynomial serves a corner depends on the corner alone, so sections
 * agree on the corners that they share.
 */
export class LatticeProjection {
  readonly #patches = new Map<number, Float64Array>();
  readonly #lngLat = new Float64Array(2);

  constructor(private readonly world: World) {}

  /** Patches that a section's corners lie in: its own, and those to its east, south and southeast. */
  around(sx: number, sy: number): Patches {
    return [this.patch(sx, sy), this.patch(sx + 1, sy), this.patch(sx, sy + 1), this.patch(sx + 1, sy + 1)];
  }

  /** Coefficients for corners whose section is `sx, sy`: of longitude, then of latitude. */
  patch(sx: number, sy: number): Float64Array {
    const key = sy * (this.world.columns + 2) + sx;
    const known = this.#patches.get(key);
    if (known) return known;
    if (this.#patches.size >= KEPT) this.#patches.delete(this.#patches.keys().next().value as number);
    const made = new Float64Array(2 * COEFFICIENTS);
    const values = new Float64Array(2 * COEFFICIENTS);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        this.exact(sx * SECTION_PIXELS + i * HALF, sy * SECTION_PIXELS + j * HALF, this.#lngLat);
        values[i * 3 + j] = this.#lngLat[0] as number;
        values[COEFFICIENTS + i * 3 + j] = this.#lngLat[1] as number;
      }
    }
    fit(values, 0, made);
    fit(values, COEFFICIENTS, made);
    this.#patches.set(key, made);
    return made;
  }

  /** Longitude and latitude of a corner by the projection itself; `x` and `y` in pixels from the land's northwest. */
  exact(x: number, y: number, out: Float64Array): void {
    const { landX, landY } = this.world;
    albersToLngLat(landX + x * PIXEL_M + SHIFT_EAST_M, landY - y * PIXEL_M + SHIFT_NORTH_M, out, 0);
  }
}

/** Longitude and latitude of a corner, counted from a section's northwestern one. */
export function project(patches: Patches, x: number, y: number, out: Float64Array): void {
  const east = x === SECTION_PIXELS;
  const south = y === SECTION_PIXELS;
  const patch = patches[south ? (east ? 3 : 2) : east ? 1 : 0];
  const [u, v] = [east ? 0 : x, south ? 0 : y];
  out[0] = evaluate(patch, 0, u, v);
  out[1] = evaluate(patch, COEFFICIENTS, u, v);
}

function evaluate(patch: Float64Array, at: number, x: number, y: number): number {
  const c = (i: number) => patch[at + i] as number;
  const row0 = c(0) + y * (c(1) + y * c(2));
  const row1 = c(3) + y * (c(4) + y * c(5));
  const row2 = c(6) + y * (c(7) + y * c(8));
  return row0 + x * (row1 + x * row2);
}

/** The polynomial through 3 x 3 values, at 0, HALF and SECTION_PIXELS along both axes. */
function fit(values: Float64Array, at: number, out: Float64Array): void {
  const rows = new Float64Array(COEFFICIENTS);
  const line = (a: number, b: number, c: number): [number, number, number] => [
    a,
    (4 * b - 3 * a - c) / (2 * HALF),
    (a - 2 * b + c) / (2 * HALF * HALF),
  ];
  const v = (i: number) => values[at + i] as number;
  for (let i = 0; i < 3; i++) rows.set(line(v(3 * i), v(3 * i + 1), v(3 * i + 2)), 3 * i);
  for (let j = 0; j < 3; j++) {
    const [a, b, c] = line(rows[j] as number, rows[3 + j] as number, rows[6 + j] as number);
    out[at + j] = a;
    out[at + 3 + j] = b;
    out[at + 6 + j] = c;
  }
}
