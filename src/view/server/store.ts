import type { Readable } from "node:stream";
import type { ArchiveEntry } from "../../publish/manifest.js";

/** The current version of an archive. The caller that opened it closes it. */
export interface StoredArchive {
  readonly bytes: number;
  /** Changes with the bytes; letters and digits. */
  readonly tag: string;
  /** Bytes [start, end); fails if the archive was replaced. */
  read(start: number, end: number): Readable;
  close(): Promise<void>;
}

/** The target of `dist/publish.js`, read only. */
export interface Store {
  /** Name for messages; contains no secrets. */
  readonly name: string;
  /** The manifest, or a small text file next to it; undefined if missing. */
  text(key: string): Promise<string | undefined>;
  /**
   * The archive of a manifest's entry.
   *
   * @throws {PipelineError} input (a folder) or network, if it is missing or cannot be read.
   */
  open(entry: Pick<ArchiveEntry, "url" | "key">): Promise<StoredArchive>;
}

/** Largest text that is read from a store: manifest and legend are a few 100 KB. */
export const MAX_TEXT_BYTES = 32 * 2 ** 20;
