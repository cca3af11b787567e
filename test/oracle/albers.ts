import type { Polygons } from "../../dist/fields/wkb.js";
import type { AlbersConstants } from "../../dist/kernel/geometry.js";

// The same operations in the same order as native/geometry/albers.cc, which names their source. Math.sin and Math.log
// are not used: their last bit differs between engines.

const RADIANS = 0.017453292519943295;
const TWO_OVER_PI = 6.36619772367581382433e-1;
const HALF_PI_HIGH = 1.57079632673412561417;
const HALF_PI_LOW = 6.07710050650619224932e-11;

function sinPoly(x: number): number {
  const z = x * x;
  const r =
    8.33333333332248946124e-3 +
    z *
      (-1.98412698298579493134e-4 +
        z * (2.75573137070700676789e-6 + z * (-2.50507602534068634195e-8 + z * 1.58969099521155010221e-10)));
  return x + z * x * (-1.66666666666666324348e-1 + z * r);
}

function cosPoly(x: number): number {
  const z = x * x;
  const r =
    z *
    (4.16666666666666019037e-2 +
      z *
        (-1.38888888888741095749e-3 +
          z *
            (2.48015872894767294178e-5 +
              z * (-2.75573143513906633035e-7 + z * (2.0875723212981748279e-9 + z * -1.13596475577881948265e-11)))));
  return 1.0 - (0.5 * z - z * r);
}

/** Quadrant of an angle in radians, and what is left of it within ±π/4. */
function reduce(x: number): { quadrant: number; rest: number } {
  const k = Math.floor(x * TWO_OVER_PI + 0.5);
  return { quadrant: k & 3, rest: x - k * HALF_PI_HIGH - k * HALF_PI_LOW };
}

function sin(x: number): number {
  const { quadrant, rest } = reduce(x);
  const value = quadrant % 2 === 0 ? sinPoly(rest) : cosPoly(rest);
  return quadrant < 2 ? value : -value;
}

function cos(x: number): number {
  const { quadrant, rest } = reduce(x);
  const value = quadrant % 2 === 0 ? cosPoly(rest) : sinPoly(rest);
  return quadrant === 0 || quadrant === 3 ? value : -value;
}

function logTerm(t: number): number {
  let sum = 1 / 17;
  for (let k = 15; k >= 3; k -= 2) sum = 1 / k + t * sum;
  return 1 + t * sum;
}

/** Project degrees to meters in place. False when a vertex lies outside the projection's domain. */
export function project(p: AlbersConstants, polygons: Polygons): boolean {
  const xs = polygons.x.data;
  const ys = polygons.y.data;
  for (let i = 0; i < polygons.x.length; i++) {
    const lon = xs[i] as number;
    const lat = ys[i] as number;
    if (!(lat >= -90 && lat <= 90 && lon >= -540 && lon <= 540)) return false;
    let dlon = lon * RADIANS - p.lon0;
    if (dlon > Math.PI) dlon -= 2 * Math.PI;
    if (dlon < -Math.PI) dlon += 2 * Math.PI;
    const s = sin(lat * RADIANS);
    const t = p.e2 * s * s;
    const q = (1 - p.e2) * s * (1 / (1 - t) + logTerm(t));
    const square = p.c - p.n * q;
    if (square < 0) return false;
    const rho = (p.a * Math.sqrt(square)) / p.n;
    const angle = p.n * dlon;
    xs[i] = p.x0 + rho * sin(angle);
    ys[i] = p.y0 + (p.rho0 - rho * cos(angle));
  }
  return true;
}
