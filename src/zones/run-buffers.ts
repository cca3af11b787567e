import type { Burned } from "../kernel/zonal.js";

/** A buffer that is too small is replaced by one with this much more room than was wanted; unused room takes no memory. */
const HEADROOM = 1.5;
const GRAIN = 2 ** 16;

/**
 * Shared buffers that workers burn into, used again when their runs are on disk: shared memory is freed late, for
 * the collector does not count it. As many exist as are in use at once.
 */
export class RunBuffers {
  readonly #free: SharedArrayBuffer[] = [];
  #largest = 0;

  /** A buffer for one batch, as large as any that one has needed yet. */
  take(): SharedArrayBuffer {
    const buffer = this.#free.pop();
    return buffer && buffer.byteLength >= this.#largest ? buffer : new SharedArrayBuffer(this.#largest);
  }

  /** A batch came in this buffer. */
  note(burned: Burned): void {
    this.#largest = Math.max(this.#largest, bufferOf(burned).byteLength);
  }

  /** Its batch is on disk. */
  give(burned: Burned): void {
    this.#free.push(bufferOf(burned));
  }
}

function bufferOf({ field }: Burned): SharedArrayBuffer {
  return field.buffer as unknown as SharedArrayBuffer;
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
