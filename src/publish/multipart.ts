import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type Part,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { awsCode } from "../network/aws-errors.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { writeJsonAtomic } from "../pipeline/json-file.js";
import { requireHeld } from "../pipeline/output.js";
import type { PutFileOptions, SourceFile } from "./target.js";

/** S3's own limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PARTS = 10_000;
const MIN_PART_BYTES = 5 * 2 ** 20;
const MIB = 2 ** 20;
const USUAL_PART_BYTES = 16 * MIB;
/** Parts in flight; with 16 MiB parts 64 MiB of memory. */
const PARALLEL_PARTS = 4;
/** Checksum of each part: the hash that its request is signed with, so it is computed once. */
const CHECKSUM = "SHA256";
/** Uploads of this very object that nobody finished for so long are given up: their parts cost money. */
const ORPHAN_AGE_MS = 7 * 24 * 3600 * 1000;

export interface UploadTuning {
  /** Bytes of a part, and the size up to which an object goes in one request; at least 5 MiB. */
  readonly partBytes?: number;
  /** Parts in flight at once. */
  readonly parallelParts?: number;
}

export interface S3Object {
  readonly Bucket: string;
  readonly Key: string;
}

/** State that a later run needs to resume an upload; one JSON file next to the step's output. */
interface UploadState {
  readonly target: string;
  readonly uploadId: string;
  readonly checksum: string;
  readonly bytes: number;
  readonly partBytes: number;
}

/** Bytes of a part for an object of this size: whole MiB, and 10 % below the limit of 10,000 parts. */
export function partBytesFor(bytes: number, tuning: UploadTuning): number {
  const least = Math.ceil(bytes / (MAX_PARTS * 0.9) / MIB) * MIB;
  return Math.max(MIN_PART_BYTES, tuning.partBytes ?? USUAL_PART_BYTES, least);
}

/**
 * Upload a file in parts, several at a time. A part that is there already from an
 * ended run (same file, MD5 equal to the local bytes) is not sent again.
 *
 * When `ctx.signal` is aborted the upload is aborted at the server and leaves no
 * parts. After an error or a kill the parts stay, to be resumed through
 * `options.resumePath`.
 *
 * @param checksums  send a checksum with each part.
 * @param name      the target's name, in `resumePath` to tell one bucket and server from another.
 * @param metadata  kept with the object.
 * @returns bytes that an earlier run had sent.
 * @throws {PipelineError} publish, when the server does not start the upload, or the archive was truncated.
 */
export async function uploadInParts(
  client: S3Client,
  checksums: boolean,
  object: S3Object,
  name: string,
  source: SourceFile,
  metadata: Record<string, string>,
  tuning: UploadTuning,
  options: PutFileOptions,
  ctx: Context,
): Promise<number> {
  const abort = { abortSignal: ctx.signal };
  const partBytes = partBytesFor(source.bytes, tuning);
  const wanted = { target: `${name}/${object.Key}`, checksum: source.checksum, bytes: source.bytes, partBytes };
  const earlier = await findEarlier(client, object, wanted, options.resumePath, ctx);
  await abortOrphans(client, object, earlier?.uploadId, ctx);
  const uploadId = earlier?.uploadId ?? (await begin());
  const upload = { ...object, UploadId: uploadId };

  async function begin(): Promise<string> {
    const created = await client.send(
      new CreateMultipartUploadCommand({
        ...object,
        ContentType: options.contentType,
        CacheControl: options.cacheControl,
        Metadata: metadata,
        // Announced here, or AWS refuses the checksums that come with the parts.
        ...(checksums && { ChecksumAlgorithm: CHECKSUM }),
      }),
      abort,
    );
    if (created.UploadId === undefined)
      throw new PipelineError("publish", "The server did not start an upload", { target: name });
    const state: UploadState = { ...wanted, uploadId: created.UploadId };
    writeJsonAtomic(options.resumePath, state);
    return created.UploadId;
  }

  async function complete(): Promise<void> {
    const command = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } });
    try {
      await client.send(command, abort);
    } catch (error) {
      // The answer to a first attempt got lost: the upload is done, which the caller checks by looking at the object.
      if (awsCode(error) !== "NoSuchUpload") throw error;
    }
  }

  const file = await open(source.path);
  const parts: CompletedPart[] = [];
  try {
    let [sent, resumed] = [0, 0];
    const count = Math.max(1, Math.ceil(source.bytes / partBytes));
    const failed = new AbortController();
    const partSignal = AbortSignal.any([ctx.signal, failed.signal]);
    let next = 0;
    const sendParts = async () => {
      // One buffer a lane: fresh ones for every part cost as much as sending them.
      const buffer = Buffer.allocUnsafeSlow(Math.min(partBytes, source.bytes));
      for (let index = next++; index < count && !partSignal.aborted; index = next++) {
        const body = await readPart(file, source, index * partBytes, buffer);
        const there = earlier?.parts.get(index + 1);
        if (there !== undefined && isSame(there, body)) {
          parts[index] = completed(index + 1, there);
          resumed += body.length;
        } else {
          const command = partCommand(upload, index + 1, body, checksums);
          parts[index] = completed(index + 1, await client.send(command, { abortSignal: partSignal }));
        }
        sent += body.length;
        options.onProgress?.(sent);
      }
    };
    const lanes = Array.from({ length: tuning.parallelParts ?? PARALLEL_PARTS }, () =>
      sendParts().catch((error: unknown) => {
        if (!failed.signal.aborted) failed.abort(error);
      }),
    );
    // Every request has ended before anything else is said to the server: no part lands after an abort.
    await Promise.all(lanes);
    ctx.signal.throwIfAborted();
    failed.signal.throwIfAborted();
    requireHeld(ctx);
    await complete();
    rmSync(options.resumePath, { force: true });
    return resumed;
  } catch (error) {
    // A run that lost its lock leaves the upload to its successor, which may go on with it.
    if (ctx.signal.aborted && ctx.held?.() !== false) {
      await giveUp(client, upload, ctx);
      rmSync(options.resumePath, { force: true });
    }
    throw error;
  } finally {
    await file.close();
  }
}

/** The upload that an ended run noted, with its parts; one for other content is aborted. */
async function findEarlier(
  client: S3Client,
  object: S3Object,
  wanted: Omit<UploadState, "uploadId">,
  resumePath: string,
  ctx: Context,
): Promise<{ uploadId: string; parts: Map<number, Part> } | undefined> {
  const state = readState(resumePath);
  if (state === undefined || state.target !== wanted.target) return undefined;
  const upload = { ...object, UploadId: state.uploadId };
  if (state.checksum !== wanted.checksum || state.bytes !== wanted.bytes || state.partBytes !== wanted.partBytes) {
    await giveUp(client, upload, ctx);
    return undefined;
  }
  let parts: Map<number, Part>;
  try {
    parts = await listParts(client, upload, ctx);
  } catch (error) {
    // Finished or swept away in the meantime.
    if (awsCode(error) === "NoSuchUpload") return undefined;
    throw error;
  }
  ctx.log.info(`resuming an interrupted upload: ${parts.size} parts are there`);
  return { uploadId: state.uploadId, parts };
}

/** By part number. The SDK's paginator asks Swift for ever: it names a next marker on the last page too. */
async function listParts(client: S3Client, upload: S3Object & { UploadId: string }, ctx: Context) {
  const parts = new Map<number, Part>();
  for (let marker: string | undefined, more = true; more; ) {
    const page = await client.send(new ListPartsCommand({ ...upload, ...(marker && { PartNumberMarker: marker }) }), {
      abortSignal: ctx.signal,
    });
    for (const part of page.Parts ?? []) if (part.PartNumber !== undefined) parts.set(part.PartNumber, part);
    marker = page.NextPartNumberMarker;
    more = page.IsTruncated === true && marker !== undefined;
  }
  return parts;
}

function readState(path: string): UploadState | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const state = JSON.parse(readFileSync(path, "utf8")) as UploadState;
    return typeof state.uploadId === "string" ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Housekeeping only: not every credential may list uploads, and not every server can. */
async function abortOrphans(client: S3Client, object: S3Object, own: string | undefined, ctx: Context): Promise<void> {
  try {
    const listed = await client.send(new ListMultipartUploadsCommand({ Bucket: object.Bucket, Prefix: object.Key }), {
      abortSignal: ctx.signal,
    });
    for (const { Key, UploadId, Initiated } of listed.Uploads ?? []) {
      if (Key !== object.Key || UploadId === undefined || UploadId === own || Initiated === undefined) continue;
      if (Date.now() - Initiated.getTime() < ORPHAN_AGE_MS) continue;
      ctx.log.info("aborting an old unfinished upload", { key: Key, since: Initiated.toISOString() });
      await giveUp(client, { ...object, UploadId }, ctx);
    }
  } catch (error) {
    ctx.log.debug("cannot list unfinished uploads", { reason: awsCode(error) });
  }
}

/** Abort an upload at the server, also after `ctx.signal` was aborted; a failure is logged, not thrown. */
async function giveUp(client: S3Client, upload: S3Object & { UploadId: string }, ctx: Context): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand(upload));
  } catch (error) {
    if (awsCode(error) === "NoSuchUpload") return;
    ctx.log.warn("cannot abort an unfinished upload; its parts stay until the bucket's lifecycle rule removes them", {
      key: upload.Key,
      reason: awsCode(error),
    });
  }
}

/** The bytes from `offset` on, as many as the buffer takes or are left, as a view of the buffer. */
async function readPart(file: FileHandle, source: SourceFile, offset: number, buffer: Buffer): Promise<Buffer> {
  const length = Math.min(buffer.length, source.bytes - offset);
  const body = buffer.subarray(0, length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(body, filled, length - filled, offset + filled);
    if (bytesRead === 0) {
      throw new PipelineError("publish", "The archive was truncated during the upload", {
        path: source.path,
        expected: source.bytes,
        received: offset + filled,
      });
    }
    filled += bytesRead;
  }
  return body;
}

/**
 * The SDK would hash the body twice, for the signature and for the checksum.
 * Another thread (`crypto.subtle`) would copy it first, which costs as much as the hash.
 */
function partCommand(
  upload: S3Object & { UploadId: string },
  PartNumber: number,
  body: Buffer,
  checksums: boolean,
): UploadPartCommand {
  const hash = createHash("sha256").update(body).digest();
  const command = new UploadPartCommand({
    ...upload,
    PartNumber,
    Body: body,
    ContentLength: body.length,
    ...(checksums && { ChecksumSHA256: hash.toString("base64") }),
  });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = hash.toString("hex");
      return next(args);
    },
    { step: "build", name: "signedBodyHash" },
  );
  return command;
}

/** A part's ETag is its MD5, but for some kinds of encryption: then it never matches, and is sent again. */
function isSame(part: Part, body: Buffer): boolean {
  if (part.Size !== body.length) return false;
  return part.ETag?.replaceAll('"', "") === createHash("md5").update(body).digest("hex");
}

/** What the server said of a part, as it wants it back; checksums only where it computed them. */
function completed(PartNumber: number, said: Pick<Part, "ETag" | "ChecksumSHA256">): CompletedPart {
  return {
    PartNumber,
    ETag: said.ETag,
    ...(said.ChecksumSHA256 !== undefined && { ChecksumSHA256: said.ChecksumSHA256 }),
  };
}
