/** Containers that may be in the middle of their start at once, when starts succeed. */
const MOST = 16;

/**
 * Bounds how many containers start at once: a hundred images mounted in one moment make
 * starts slow and some of them fail. One at first, one more with each that succeeds, half
 * after one that fails.
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
    let told = false;
    return (started) => {
      if (told) return;
      told = true;
      this.#starting--;
      this.#failures = started ? 0 : this.#failures + 1;
      this.#limit = started ? Math.min(MOST, this.#limit + 1) : Math.max(1, this.#limit >> 1);
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }
}
