/** GRS 1980, the ellipsoid of NAD83. */
const A = 6_378_137;
const F = 1 / 298.257222101;
const E2 = F * (2 - F);
const E1 = Math.sqrt(E2);
const DEGREE = Math.PI / 180;

/** EPSG:5070, Conus Albers: latitude and longitude of origin, standard parallels. */
const LAT0 = 23 * DEGREE;
const LNG0 = -96;
const LAT1 = 29.5 * DEGREE;
const LAT2 = 45.5 * DEGREE;

const M1 = parallelRadius(LAT1);
const N = (M1 ** 2 - parallelRadius(LAT2) ** 2) / (authalic(Math.sin(LAT2)) - authalic(Math.sin(LAT1)));
const C = M1 ** 2 + N * authalic(Math.sin(LAT1));
const RHO0 = (A * Math.sqrt(C - N * authalic(Math.sin(LAT0)))) / N;
const QP = authalic(1);

function parallelRadius(lat: number): number {
  return Math.cos(lat) / Math.sqrt(1 - E2 * Math.sin(lat) ** 2);
}

/** Snyder's q: sine of the latitude, with areas kept. */
function authalic(sine: number): number {
  const es = E1 * sine;
  return (1 - E2) * (sine / (1 - es * es) - Math.log((1 - es) / (1 + es)) / (2 * E1));
}

/**
 * From EPSG:5070 meters to longitude and latitude (NAD83, taken as WGS 84 as the
 * field files do).
 *
 * Snyder, Map Projections: A Working Manual (USGS Professional Paper 1395), p. 101:
 * his series for the latitude, then one of his Newton steps (equation 3-16), which
 * leaves nothing above the rounding of a double.
 *
 * @param out  receives degrees at `at` (lng) and `at + 1` (lat).
 */
export function albersToLngLat(x: number, y: number, out: Float64Array, at: number): void {
  const south = RHO0 - y;
  const rho = Math.hypot(x, south);
  const q = (C - ((rho * N) / A) ** 2) / N;
  const beta = Math.asin(q / QP);
  const lat =
    beta +
    E2 * (1 / 3 + E2 * (31 / 180 + (E2 * 517) / 5040)) * Math.sin(2 * beta) +
    E2 * E2 * (23 / 360 + (E2 * 251) / 3780) * Math.sin(4 * beta) +
    E2 * E2 * E2 * (761 / 45360) * Math.sin(6 * beta);
  const sine = Math.sin(lat);
  const w = 1 - E2 * sine * sine;
  const step = ((w * w) / (2 * Math.cos(lat) * (1 - E2))) * (q - authalic(sine));
  out[at] = LNG0 + Math.atan2(x, south) / N / DEGREE;
  out[at + 1] = (lat + step) / DEGREE;
}
