/** Time that a worker waits for the previous batch; after that, the main thread writes its batch. */
const PATIENCE_MS = 100;

/**
 * Offsets of an output's batches that several threads make at the same time: each begins where the previous one ends,
 * which is known once that one's size is known. In shared memory, for several outputs.
 */
export class BatchOffsets {
  readonly #known: Int32Array;
  readonly #starts: Float64Array;

  private constructor(
    readonly shared: SharedArrayBuffer,
    readonly batches: number,
    readonly outputs: number,
  ) {
    this.#starts = new Float64Array(shared, 0, (batches + 1) * outputs);
    this.#known = new Int32Array(shared, this.#starts.byteLength, batches + 1);
  }

  /** All outputs begin at 0. */
  static create(batches: number, outputs: number): BatchOffsets {
    const offsets = new BatchOffsets(new SharedArrayBuffer((batches + 1) * (outputs * 8 + 4)), batches, outputs);
    offsets.#known[0] = 1;
    return offsets;
  }

  /** The same, in another thread. */
  static from({ shared, batches, outputs }: SharedOffsets): BatchOffsets {
    return new BatchOffsets(shared, batches, outputs);
  }

  /**
   * Offsets of a batch with these sizes, by output; they determine the next batch's. Undefined on timeout, while an
   * earlier batch is unknown; the same batch may ask again.
   */
  take(batch: number, sizes: readonly number[], patienceMs = PATIENCE_MS): Float64Array | undefined {
    const known = this.#known;
    if (Atomics.load(known, batch) === 0) Atomics.wait(known, batch, 0, patienceMs);
    if (Atomics.load(known, batch) === 0) return undefined;
    const from = batch * this.outputs;
    const starts = this.#starts.slice(from, from + this.outputs);
    for (const [o, size] of sizes.entries()) this.#starts[from + this.outputs + o] = (starts[o] as number) + size;
    Atomics.store(known, batch + 1, 1);
    Atomics.notify(known, batch + 1);
    return starts;
  }

  /** Ends of the last batch, by output. */
  ends(): Float64Array {
    return this.#starts.slice(this.batches * this.outputs);
  }
}

/** The state to pass to another thread. */
export type SharedOffsets = Pick<BatchOffsets, "shared" | "batches" | "outputs">;
