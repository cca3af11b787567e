/** How long a worker waits for the stretch before its own; a longer wait is left to the main thread. */
const PATIENCE_MS = 100;

/**
 * Where stretches of an output go that several threads make at once: each begins where the one before ends, which is
 * known as soon as that one's size is. Shared memory; several outputs at a time.
 */
export class Places {
  readonly #known: Int32Array;
  readonly #starts: Float64Array;

  private constructor(
    readonly shared: SharedArrayBuffer,
    readonly stretches: number,
    readonly outputs: number,
  ) {
    this.#starts = new Float64Array(shared, 0, (stretches + 1) * outputs);
    this.#known = new Int32Array(shared, this.#starts.byteLength, stretches + 1);
  }

  /** All begin at 0. */
  static create(stretches: number, outputs: number): Places {
    const places = new Places(new SharedArrayBuffer((stretches + 1) * (outputs * 8 + 4)), stretches, outputs);
    places.#known[0] = 1;
    return places;
  }

  /** The same, in another thread. */
  static from({ shared, stretches, outputs }: Pick<Places, "shared" | "stretches" | "outputs">): Places {
    return new Places(shared, stretches, outputs);
  }

  /**
   * Places of a stretch of these sizes, by output, which settle those of the next one; undefined when those before are
   * not settled for long. The same stretch may ask again.
   */
  take(stretch: number, sizes: readonly number[], patienceMs = PATIENCE_MS): Float64Array | undefined {
    const known = this.#known;
    if (Atomics.load(known, stretch) === 0) Atomics.wait(known, stretch, 0, patienceMs);
    if (Atomics.load(known, stretch) === 0) return undefined;
    const from = stretch * this.outputs;
    const starts = this.#starts.slice(from, from + this.outputs);
    for (const [o, size] of sizes.entries()) this.#starts[from + this.outputs + o] = (starts[o] as number) + size;
    Atomics.store(known, stretch + 1, 1);
    Atomics.notify(known, stretch + 1);
    return starts;
  }

  /** Ends of the last stretch, by output. */
  ends(): Float64Array {
    return this.#starts.slice(this.stretches * this.outputs);
  }
}
