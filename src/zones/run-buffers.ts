import type { Burned } from "../kernel/kernel.js";

/** A buffer that is too small is replaced by one with this much more room than was wanted. */
const HEADROOM = 1.125;
const GRAIN = 2 ** 16;

/**
 * Shared buffers that workers burn into, used again when their runs are on disk: shared memory is freed late, for
 * the collector does not count it. As many exist as are in use at once.
 */
export class RunBuffers {
  readonly #free: SharedArrayBuffer[] = [];

  /** A buffer for one batch; empty where none is free. */
  take(): SharedArrayBuffer {
    return this.#free.pop() ?? new SharedArrayBuffer(0);
  }

  /** Its batch is on disk. */
  give(burned: Burned): void {
    this.#free.push(burned.field.buffer as unknown as SharedArrayBuffer);
  }
}

/** Room for so many words in `buffer`, or in a new one where it is too small. */
export function wordsIn(buffer: SharedArrayBuffer, words: number): Uint32Array {
  const bytes = words * 4;
  if (buffer.byteLength >= bytes) return new Uint32Array(buffer, 0, words);
  return new Uint32Array(new SharedArrayBuffer(Math.ceil((bytes * HEADROOM) / GRAIN) * GRAIN), 0, words);
}

/** A batch with its runs copied into shared memory. */
export function shareRuns(burned: Burned, buffer: SharedArrayBuffer): Burned {
  const { field, shape, run } = burned;
  const words = wordsIn(buffer, 2 * field.length + run.length);
  words.set(field);
  words.set(shape, field.length);
  words.set(run, 2 * field.length);
  return {
    ...burned,
    field: words.subarray(0, field.length),
    shape: words.subarray(field.length, 2 * field.length),
    run: words.subarray(2 * field.length),
  };
}
