import { statSync } from "node:fs";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fileChecksum } from "./checksum.js";
import type { PutFileOptions, SourceFile, StoredObject, Target, Transfer } from "./target.js";

/** A reader that has a part of an older file notices by its ETag; an hour bounds how long it may not ask. */
export const CACHE_CONTROL = "public, max-age=3600";

/** How a file came to the target, and the bytes that an earlier, cut-off run had sent. */
export interface Sent {
  readonly transfer: Transfer["how"] | "already there";
  readonly resumedBytes: number;
}

/** By whole-object checksum where the store keeps it, else by fingerprint. */
export function isStored(stored: StoredObject, wanted: Omit<SourceFile, "path">): boolean {
  if (stored.bytes !== wanted.bytes) return false;
  if (stored.checksum !== undefined) return stored.checksum === wanted.checksum;
  return stored.fingerprint === wanted.fingerprint;
}

/** @param digest  `fileDigest` of the file. */
export async function sourceOf(path: string, digest: string, ctx: Context): Promise<SourceFile> {
  const bytes = statSync(path).size;
  const task = ctx.progress.start("bytes checksummed", bytes);
  try {
    const checksum = await fileChecksum(path, ctx, (done) => task.update(done));
    return { path, bytes, checksum, fingerprint: digest };
  } finally {
    task.end();
  }
}

/**
 * Send a file unless the target has it, then look at it there.
 *
 * @throws {PipelineError} publish, when the stored object differs from the file.
 */
export async function sendFile(
  target: Target,
  key: string,
  source: SourceFile,
  options: PutFileOptions,
  ctx: Context,
): Promise<Sent> {
  const before = await target.stat(key, ctx);
  if (before !== undefined && isStored(before, source)) {
    ctx.log.info("the target already has this file", { key });
    return { transfer: "already there", resumedBytes: 0 };
  }
  const task = ctx.progress.start("bytes published", source.bytes);
  try {
    const { how, resumedBytes } = await target.putFile(
      key,
      source,
      { ...options, onProgress: (done) => task.update(done) },
      ctx,
    );
    const after = await target.stat(key, ctx);
    if (after === undefined || !isStored(after, source)) {
      throw new PipelineError("publish", "The stored object differs from the file that was sent", {
        target: target.name,
        key,
        expected: `${source.bytes} bytes, ${source.checksum}`,
        received: after && `${after.bytes} bytes, ${after.checksum ?? after.fingerprint}`,
      });
    }
    return { transfer: how, resumedBytes };
  } finally {
    task.end();
  }
}
