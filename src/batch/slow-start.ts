/** Maximum of containers that start at the same time, while starts succeed. */
const MAX_STARTS_AT_ONCE = 16;

/**
 * Limits how many containers start at the same time, because a hundred simultaneous mounts make
 * starts slow and some fail. The limit is one at first, grows by one with each success, and
 * halves after a failure.
 */
export class SlowStart {
  #limit = 1;
  #starting = 0;
  #failures = 0;
  readonly #waiting: (() => void)[] = [];

  /** Failed starts since one last succeeded. */
  get failures(): number {
    return this.#failures;
  }

  /** Wait for a turn; the answer is called once, when the start has succeeded or failed. */
  async turn(): Promise<(started: boolean) => void> {
    while (this.#starting >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#starting++;
    let reported = false;
    return (started) => {
      if (reported) return;
      reported = true;
      this.#starting--;
      this.#failures = started ? 0 : this.#failures + 1;
      this.#limit = started ? Math.min(MAX_STARTS_AT_ONCE, this.#limit + 1) : Math.max(1, this.#limit >> 1);
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }
}
