/**
 * Since when, on this process's own clock, things have stood as they stand. Clocks of other
 * hosts and of file servers are never compared with it.
 */
export class LivenessTracker {
  readonly #seen = new Map<string, { readonly sign: string; readonly since: number }>();

  /**
   * Milliseconds since `key` was first seen with this `sign`; 0 when the sign has just changed.
   *
   * @param sign  all that changes with a sign of life.
   */
  ms(key: string, sign: string): number {
    const now = performance.now();
    const before = this.#seen.get(key);
    if (before?.sign === sign) return now - before.since;
    this.#seen.set(key, { sign, since: now });
    return 0;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
