/** Bits of a coordinate on the curve's lattice. */
const BITS = 16;

/** Place of a lattice point on the Hilbert curve: points near each other on the curve are near each other. */
export function hilbertKey(x: number, y: number): number {
  let key = 0;
  for (let side = 1 << (BITS - 1); side > 0; side >>= 1) {
    const [right, up] = [(x & side) > 0 ? 1 : 0, (y & side) > 0 ? 1 : 0];
    key += side * side * ((3 * right) ^ up);
    if (up === 1) continue;
    if (right === 1) [x, y] = [side - 1 - (x & (side - 1)), side - 1 - (y & (side - 1))];
    [x, y] = [y, x];
  }
  return key;
}

/** The lattice coordinate of a number between `low` and `high`. */
export function latticeOf(value: number, low: number, high: number): number {
  const last = 2 ** BITS - 1;
  return high > low ? Math.min(last, Math.max(0, Math.round(((value - low) / (high - low)) * last))) : 0;
}
