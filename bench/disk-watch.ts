import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

const POLL_MS = 500;

/** The most bytes that a folder takes on disk while it is watched, looked at twice a second. */
export class DiskWatch {
  #peak = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly folder: string) {
    this.#timer = setInterval(() => this.#look(), POLL_MS);
  }

  get peak(): number {
    this.#look();
    return this.#peak;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, DiskWatch.bytesOf(this.folder));
  }

  /** Bytes of all blocks of the files below a folder; what goes while it is looked at does not count. */
  static bytesOf(path: string): number {
    try {
      const stat = lstatSync(path);
      if (!stat.isDirectory()) return 512 * stat.blocks;
      return readdirSync(path).reduce((bytes, name) => bytes + DiskWatch.bytesOf(join(path, name)), 0);
    } catch {
      return 0;
    }
  }
}
