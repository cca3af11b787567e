/**
 * One source of batches for several concurrent consumers.
 *
 * Every consumer gets every batch, and the next one is read when all have taken the
 * last: at most one is held. An error of the source reaches all consumers; `fail`
 * passes on a consumer's error, so that none waits for a failed one.
 */
export class BatchTee<T> {
  readonly #source: AsyncIterator<T>;
  #batch: Promise<IteratorResult<T>> | undefined;
  #takers = 0;
  #round = 0;
  #waiting: (() => void)[] = [];
  #failed: { error: unknown } | undefined;

  constructor(
    source: AsyncIterable<T>,
    private readonly consumers: number,
  ) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The batches for one consumer; call it once per consumer. */
  async *output(): AsyncGenerator<T> {
    for (let round = 0; ; round++) {
      while (round > this.#round && !this.#failed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.#failed) throw this.#failed.error;
      this.#batch ??= this.#source.next();
      const batch = this.#batch;
      if (++this.#takers === this.consumers) {
        this.#takers = 0;
        this.#round++;
        this.#batch = undefined;
        this.#wake();
      }
      const { done, value } = await batch;
      if (done) return;
      yield value;
    }
  }

  /** End all consumers with an error of one of them. @throws the error that came first. */
  fail(error: unknown): never {
    this.#failed ??= { error };
    this.#wake();
    throw this.#failed.error;
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
