import type { Readable } from "node:stream";
import type { ArchiveEntry } from "../../publish/manifest.js";

/** An archive as it is right now. Whoever opened it closes it. */
export interface StoredArchive {
  readonly bytes: number;
  /** Changes when the bytes do; letters and digits. */
  readonly tag: string;
  /** Bytes from `start` to before `end`; fails when the archive was replaced meanwhile. */
  read(start: number, end: number): Readable;
  close(): Promise<void>;
}

/** The place that `dist/publish.js` published to, read only. */
export interface Store {
  /** As a person would name it; holds no secrets. */
  readonly name: string;
  /** A small text file beside the manifest, or the manifest; undefined when it is not there. */
  text(key: string): Promise<string | undefined>;
  /**
   * The archive of a manifest's entry.
   *
   * @throws {PipelineError} input (a folder) or network, when it is not there or cannot be read.
   */
  open(entry: Pick<ArchiveEntry, "url" | "key">): Promise<StoredArchive>;
}

/** Largest text taken from a store: manifest and legend are a few 100 KB. */
export const MAX_TEXT_BYTES = 32 * 2 ** 20;
