/**
 * The row group that a row is in.
 *
 * @param starts  first row of each row group, ascending, and the end of the last.
 */
export function rowGroupOf(starts: readonly number[], row: number): number {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) <= row) low = middle;
    else high = middle;
  }
  return low;
}
