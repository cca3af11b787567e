import type { Context } from "../pipeline/context.js";

/** What a target says of an object without sending it. */
export interface StoredObject {
  readonly bytes: number;
  /** SHA-256 of the whole object, 64 hex digits; undefined where the store does not keep it. */
  readonly checksum: string | undefined;
  /** `fileDigest` of the object; undefined where the store does not keep it. */
  readonly fingerprint: string | undefined;
}

/** A local file to publish; its checksum is known before the first byte is sent. */
export interface SourceFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the whole file, 64 hex digits. */
  readonly checksum: string;
  /** `fileDigest` of the file. */
  readonly fingerprint: string;
}

/** What a web server sends along with an object. */
export interface Headers {
  readonly contentType: string;
  readonly cacheControl: string;
}

export interface PutFileOptions extends Headers {
  /** Small local file in which an upload notes what a later run needs to resume it. */
  readonly resumePath: string;
  /** Told the bytes that are in place so far, resumed ones included. */
  readonly onProgress?: (bytes: number) => void;
  /** Told the path of a hard link that the file was given. */
  readonly onLink?: (link: string) => void;
}

/** How a file came to its place, and how many of its bytes an earlier run had sent already. */
export interface Transfer {
  readonly how: "uploaded" | "linked" | "copied";
  readonly resumedBytes: number;
}

export interface StoredText {
  readonly text: string;
  /** Changes whenever the text does: an ETag, or a hash. */
  readonly tag: string;
}

/** Write only over the text with this tag; or only where nothing is; or in any case. */
export type Condition = { readonly ifMatch: string } | { readonly ifNoneMatch: "*" } | "always";

/** `unsupported`: the store refuses conditional writes, and wrote nothing. */
export type PutOutcome = "written" | "conflict" | "unsupported";

/**
 * A place to publish to. Keys are file names below it. An object appears whole
 * under its key or not at all.
 *
 * All methods throw PipelineError of kind `publish` (or `space`) that names the
 * target, and end early when `ctx.signal` is aborted.
 */
export interface Target {
  /** `s3://bucket/prefix` or `file:/folder`; holds no secrets. */
  readonly name: string;
  /** The key's path under a server's root, as `/prefix/key`. */
  urlPath(key: string): string;
  /** How a reader finds `key`: an absolute URL, or for a folder the name relative to the manifest. */
  url(key: string): Promise<string>;
  /** Find out whether the target is there and takes objects; nothing is left in it. `key` is one that would be written. */
  probe(key: string, ctx: Context): Promise<void>;
  /** Undefined when there is no such object. */
  stat(key: string, ctx: Context): Promise<StoredObject | undefined>;
  putFile(key: string, source: SourceFile, options: PutFileOptions, ctx: Context): Promise<Transfer>;
  /** Undefined when there is no such object. */
  getText(key: string, ctx: Context): Promise<StoredText | undefined>;
  putText(key: string, text: string, headers: Headers, condition: Condition, ctx: Context): Promise<PutOutcome>;
  /** Remove what a writer left that was killed between its write and the end of its lock; for stores that have such. */
  clearDeadLock?(key: string, ctx: Context): Promise<void>;
  /**
   * Keep other writers of `key` out while `body` runs; for stores that answer
   * `unsupported`. `body` asks `stillHeld` right before it writes.
   */
  exclusively<T>(key: string, ctx: Context, body: (stillHeld: () => boolean) => Promise<T>): Promise<T>;
}
