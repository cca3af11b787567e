import { existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { writeJsonAtomic } from "../pipeline/json-file.js";

/** What a server said about a file's version; a part is only continued with more of the same. */
export interface Version {
  readonly url: string;
  readonly etag?: string;
  readonly lastModified?: string;
  /** Bytes of the whole file; undefined when the server did not tell. */
  readonly total?: number;
}

/**
 * A download that is not finished: the bytes so far in `<path>.part`, and in
 * `<path>.json` what they are the beginning of. The JSON is written before the
 * first byte, so that a kill at any moment leaves a pair that belongs together.
 */
export class PartFile {
  readonly part: string;
  readonly #json: string;
  #version: Version | undefined;

  constructor(
    readonly path: string,
    readonly url: string,
  ) {
    this.part = `${path}.part`;
    this.#json = `${path}.json`;
    this.#version = this.#read();
    if (this.#version === undefined) this.discard();
  }

  /** True when all bytes are there, under the final name. */
  get complete(): boolean {
    return existsSync(this.path);
  }

  get size(): number {
    return statSync(this.part, { throwIfNoEntry: false })?.size ?? 0;
  }

  get version(): Version | undefined {
    return this.#version;
  }

  /** Start from nothing, with bytes of this version. */
  begin(version: Version): void {
    this.discard();
    writeJsonAtomic(this.#json, version);
    this.#version = version;
  }

  finish(): void {
    renameSync(this.part, this.path);
  }

  discard(): void {
    for (const path of [this.part, this.path, this.#json]) rmSync(path, { force: true });
    this.#version = undefined;
  }

  #read(): Version | undefined {
    try {
      const version = JSON.parse(readFileSync(this.#json, "utf8")) as Version;
      return version.url === this.url ? version : undefined;
    } catch {
      return undefined;
    }
  }
}
