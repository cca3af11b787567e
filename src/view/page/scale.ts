/** Round values from 0 to at least `largest`, for an axis. */
export function niceScale(largest: number): { readonly end: number; readonly values: readonly number[] } {
  if (largest <= 0) return { end: 1, values: [0] };
  const rough = largest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) as number) * power;
  const count = Math.ceil(largest / step - 1e-9);
  return { end: count * step, values: Array.from({ length: count + 1 }, (_, i) => i * step) };
}
