import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";

export interface SharedSpill {
  readonly path: string;
  readonly taken: BigInt64Array;
}

/**
 * A scratch file that several workers append to: each reserves its range with a shared counter and writes there, so
 * none waits for another. Offsets depend on timing; readers use the offset that `append` returned.
 */
export class SpillFile {
  private constructor(
    readonly path: string,
    /** Bytes reserved so far, in one element. */
    readonly taken: BigInt64Array,
  ) {}

  /** Make the file, empty. */
  static create(path: string): SpillFile {
    closeSync(guarded(path, () => openSync(path, "w")));
    return new SpillFile(path, new BigInt64Array(new SharedArrayBuffer(8)));
  }

  /** A file that another thread created. */
  static from({ path, taken }: SharedSpill): SpillFile {
    return new SpillFile(path, taken);
  }

  /** The data that a worker needs to append. */
  get shared(): SharedSpill {
    return { path: this.path, taken: this.taken };
  }

  /** @returns offset of the bytes. */
  append(bytes: Uint8Array): number {
    const offset = Number(Atomics.add(this.taken, 0, BigInt(bytes.length)));
    guarded(this.path, () => {
      const fd = openSync(this.path, "r+");
      try {
        for (let done = 0; done < bytes.length; ) {
          done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
        }
      } finally {
        closeSync(fd);
      }
    });
    return offset;
  }

  /** @throws {PipelineError} failed, if the file is too short. */
  read({ offset, bytes }: { readonly offset: number; readonly bytes: number }): Uint8Array {
    const content = new Uint8Array(bytes);
    const fd = openSync(this.path, "r");
    try {
      readFully(fd, content, bytes, offset, this.path);
    } finally {
      closeSync(fd);
    }
    return content;
  }
}

/**
 * Read `length` bytes of a scratch file into the start of a buffer.
 *
 * @throws {PipelineError} failed, when the file ends too early.
 */
export function readFully(fd: number, buffer: Uint8Array, length: number, position: number, path: string): void {
  for (let done = 0; done < length; ) {
    const n = readSync(fd, buffer, done, length - done, position + done);
    if (n === 0) {
      throw new PipelineError("failed", "Scratch file ends too early", {
        path,
        expected: position + length,
        received: fstatSync(fd).size,
      });
    }
    done += n;
  }
}

function guarded<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw asPipelineError(cause, "failed", "Cannot write scratch file", { path });
  }
}
