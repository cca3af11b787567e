import type { AlbersConstants } from "./geometry.js";

/** Parameters of an Albers conic as a CRS names them; degrees and meters. */
export interface AlbersParameters {
  readonly lat0: number;
  readonly lon0: number;
  readonly lat1: number;
  readonly lat2: number;
  readonly x0: number;
  readonly y0: number;
  readonly semiMajor: number;
  /** 0 for a sphere. */
  readonly inverseFlattening: number;
}

/**
 * Constants of the forward projection.
 *
 * @see Snyder, Map Projections: A Working Manual, USGS PP 1395, equations 14-12 to 14-15.
 */
export function albersConstants(p: AlbersParameters): AlbersConstants {
  const flattening = p.inverseFlattening === 0 ? 0 : 1 / p.inverseFlattening;
  const e2 = flattening * (2 - flattening);
  const radians = Math.PI / 180;
  const [phi0, phi1, phi2] = [p.lat0 * radians, p.lat1 * radians, p.lat2 * radians];
  const m = (phi: number) => Math.cos(phi) / Math.sqrt(1 - e2 * Math.sin(phi) ** 2);
  const q = (phi: number) => authalic(Math.sin(phi), e2);
  const n = Math.abs(phi1 - phi2) < 1e-10 ? Math.sin(phi1) : (m(phi1) ** 2 - m(phi2) ** 2) / (q(phi2) - q(phi1));
  const c = m(phi1) ** 2 + n * q(phi1);
  const rho0 = (p.semiMajor * Math.sqrt(c - n * q(phi0))) / n;
  return { lon0: p.lon0 * radians, a: p.semiMajor, e2, n, c, rho0, x0: p.x0, y0: p.y0 };
}

/** q of equation 3-12. */
function authalic(sine: number, e2: number): number {
  if (e2 === 0) return 2 * sine;
  const e = Math.sqrt(e2);
  return (1 - e2) * (sine / (1 - e2 * sine * sine) + Math.atanh(e * sine) / e);
}
