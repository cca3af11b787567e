import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  createReadStream,
  createWriteStream,
  existsSync,
  linkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { fileDigest } from "../pipeline/fingerprint.js";
import { makeFolder } from "../pipeline/folder.js";
import { withLock } from "../pipeline/lock.js";
import { publishFile, requireHeld } from "../pipeline/output.js";
import { readDocument } from "../pipeline/small-file.js";
import { fileChecksum } from "./checksum.js";
import type {
  Condition,
  Headers,
  PutFileOptions,
  PutOutcome,
  SourceFile,
  StoredObject,
  StoredText,
  Target,
  Transfer,
} from "./target.js";

/** How long a writer waits for others to be done with a file that each of them holds for milliseconds. */
const LOCK_WAIT_MS = 120_000;
const LOCK_POLL_MS = 40;

/**
 * A local (or shared) folder, as a web server or the viewer serves it.
 *
 * A file on the same file system comes in as a hard link: no second copy of
 * 17 GB. That is safe because outputs are replaced by rename, never written in
 * place. On other file systems it is copied next to its destination, read back and renamed.
 */
export class FileTarget implements Target {
  readonly name: string;

  constructor(private readonly folder: string) {
    this.name = `file:${folder}`;
  }

  urlPath(key: string): string {
    return `/${key}`;
  }

  /** Relative, so that the folder can be moved or served from anywhere. */
  url(key: string): Promise<string> {
    return Promise.resolve(encodeURIComponent(key));
  }

  async probe(): Promise<void> {
    await this.#told("Cannot write to the target folder", this.folder, () => {
      this.#makeFolder();
      accessSync(this.folder, constants.W_OK | constants.X_OK);
    });
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    const path = this.#path(key);
    return this.#told("Cannot read in the target folder", path, () => {
      const bytes = statSync(path, { throwIfNoEntry: false })?.size;
      return bytes === undefined ? undefined : { bytes, checksum: undefined, fingerprint: fileDigest(path) };
    });
  }

  async putFile(key: string, source: SourceFile, options: PutFileOptions, ctx: Context): Promise<Transfer> {
    const path = this.#path(key);
    return this.#told("Cannot write to the target folder", path, async () => {
      this.#makeFolder();
      const partial = partialOf(path);
      rmSync(partial, { force: true });
      try {
        requireHeld(ctx);
        const linked = tryLink(source.path, partial);
        if (linked) {
          options.onLink?.(partial);
        } else {
          await copy(source, partial, options, ctx);
          requireHeld(ctx);
        }
        publishFile(partial, path);
        options.onProgress?.(source.bytes);
        return { how: linked ? "linked" : "copied", resumedBytes: 0 };
      } finally {
        rmSync(partial, { force: true });
      }
    });
  }

  async getText(key: string): Promise<StoredText | undefined> {
    const path = this.#path(key);
    return this.#told("Cannot read in the target folder", path, () => readText(path));
  }

  /** The condition holds under a lock file that every writer takes, on all nodes that share the folder. */
  async putText(key: string, text: string, _headers: Headers, condition: Condition, ctx: Context): Promise<PutOutcome> {
    const path = this.#path(key);
    return this.#told("Cannot write to the target folder", path, async () => {
      this.#makeFolder();
      return this.exclusively(key, ctx, async (stillHeld) => {
        const tag = condition === "always" ? undefined : readText(path)?.tag;
        if (condition !== "always" && tag !== ("ifMatch" in condition ? condition.ifMatch : undefined))
          return "conflict";
        const partial = partialOf(path);
        try {
          // Never through what lies there: it may be another user's link.
          rmSync(partial, { force: true });
          writeFileSync(partial, text, { flag: "wx" });
          if (!stillHeld()) return "conflict";
          publishFile(partial, path);
        } finally {
          rmSync(partial, { force: true });
        }
        return "written";
      });
    });
  }

  async clearDeadLock(key: string, ctx: Context): Promise<void> {
    if (existsSync(this.#lock(key))) await this.exclusively(key, ctx, () => Promise.resolve());
  }

  async exclusively<T>(key: string, ctx: Context, body: (stillHeld: () => boolean) => Promise<T>): Promise<T> {
    const deadline = performance.now() + LOCK_WAIT_MS;
    for (;;) {
      try {
        return await withLock(this.#lock(key), ctx, (own) => body(() => own.held?.() !== false));
      } catch (error) {
        const busy = error instanceof PipelineError && error.kind === "locked";
        if (!busy || performance.now() > deadline) throw error;
        await sleep(LOCK_POLL_MS * (0.5 + Math.random()), undefined, { signal: ctx.signal });
      }
    }
  }

  #lock(key: string): string {
    return join(this.folder, `.${key}.lock`);
  }

  #path(key: string): string {
    return join(this.folder, key);
  }

  #makeFolder(): void {
    try {
      makeFolder(this.folder);
    } catch (error) {
      const { kind, sentence, where, cause } = asPipelineError(error, "publish", "Cannot create the target folder");
      throw new PipelineError(kind === "space" ? kind : "publish", sentence, where, { cause });
    }
  }

  async #told<T>(sentence: string, path: string, body: () => T | Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      throw asPipelineError(error, "publish", sentence, { target: this.name, path });
    }
  }
}

/** A fixed name next to the target, so the next run overwrites what a killed one left. */
function partialOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial`);
}

function readText(path: string): StoredText | undefined {
  try {
    const text = readDocument(path).toString("utf8");
    return { text, tag: createHash("sha256").update(text).digest("hex") };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** False where a hard link cannot be: another file system, or one that has none. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) return false;
    throw error;
  }
}

/** Copy, then read the copy back: a full or faulty disk is found here, not by a reader of the map. */
async function copy(source: SourceFile, to: string, options: PutFileOptions, ctx: Context): Promise<void> {
  let done = 0;
  await pipeline(
    createReadStream(source.path, { highWaterMark: 2 ** 20 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        yield chunk;
        done += chunk.length;
        options.onProgress?.(done);
      }
    },
    createWriteStream(to, { flush: true, flags: "wx" }),
    { signal: ctx.signal },
  );
  const received = await fileChecksum(to, ctx);
  if (received !== source.checksum) {
    throw new PipelineError("publish", "The copy differs from the archive", {
      path: to,
      expected: source.checksum,
      received,
    });
  }
}
