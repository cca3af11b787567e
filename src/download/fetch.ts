import { open } from "node:fs/promises";
import { STATUS_CODES } from "node:http";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Fetch, fetchBy } from "../network/fetch.js";
import { ProxyRules } from "../network/proxy.js";
import { ProxyError } from "../network/proxy-error.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { PartFile, type Version } from "./part-file.js";
import { requireSpace } from "./space.js";

const MIB = 2 ** 20;
/** A connection that brought this much was a good one: the retries start anew after it. */
const GOOD_BYTES = MIB;
/** Beyond this a Retry-After is no hiccup, and a job's hours are better not slept away. */
const LONGEST_WAIT_MS = 3_600_000;
/** Client errors that pass: request timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);

export interface FetchTiming {
  /** Wait before the first retry; doubled with each further one, give or take half (so that nodes do not knock in step). */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** A connection that brings no byte for this long counts as broken. */
  readonly stallMs: number;
}

export const FETCH_TIMING: FetchTiming = { backoffMs: 1_000, maxBackoffMs: 60_000, stallMs: 60_000 };

/** A failed attempt after which another one may help. */
class Retry extends Error {
  constructor(
    message: string,
    /** As long as the server asked to wait, or longer. */
    readonly waitMs = 0,
  ) {
    super(message);
  }
}

/**
 * Download `url` to `path`. Broken connections are continued by Range, also by a
 * later process: `<path>.part` and `<path>.json` stay until `path` is whole. The
 * file's size is what the server announced; a file that changed on the server in
 * between is fetched from its beginning.
 *
 * @param options.retries  attempts after a failed one; counted anew whenever a MiB came through.
 * @param options.proxies  how the server is reached; directly by default.
 * @returns what the server said about the file.
 * @throws {PipelineError} network after all retries or on a status that no retry
 *   mends (404), space on a full disk; the signal's reason at once when aborted.
 */
export async function fetchFile(
  url: string,
  path: string,
  options: { readonly retries: number; readonly proxies?: ProxyRules; readonly timing?: Partial<FetchTiming> },
  ctx: Context,
): Promise<Version> {
  const timing = { ...FETCH_TIMING, ...options.timing };
  const proxies = options.proxies ?? ProxyRules.none;
  const connection = { fetch: fetchBy(proxies), proxy: proxies.proxyFor(new URL(url))?.name };
  const part = new PartFile(path, url);
  let reached = part.size;
  for (let failures = 0; !part.complete; ) {
    try {
      await attempt(part, connection, timing, ctx);
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof Retry)) throw error;
      if (part.size >= reached + GOOD_BYTES) failures = 0;
      reached = Math.max(reached, part.size);
      failures++;
      const where = {
        url,
        proxy: connection.proxy,
        received: error.message,
        retryAfterS: error.waitMs > 0 ? Math.round(error.waitMs / 1000) : undefined,
        bytes: part.size,
        expected: part.version?.total,
      };
      if (failures > options.retries || error.waitMs > LONGEST_WAIT_MS) {
        throw new PipelineError("network", `Download failed after ${failures} attempts`, where);
      }
      const backoff = Math.min(timing.maxBackoffMs, timing.backoffMs * 2 ** (failures - 1)) * (0.5 + Math.random());
      const waitMs = Math.max(backoff, error.waitMs);
      ctx.log.warn("download interrupted, trying again", {
        ...where,
        retry: failures,
        waitS: Math.round(waitMs / 100) / 10,
      });
      await sleep(waitMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
    }
  }
  return part.version as Version;
}

interface Connection {
  readonly fetch: Fetch;
  /** That the URL is reached by, if any. */
  readonly proxy: string | undefined;
}

async function attempt(part: PartFile, { fetch, proxy }: Connection, timing: FetchTiming, ctx: Context): Promise<void> {
  const known = part.version;
  if (known?.total !== undefined && part.size === known.total) return part.finish();
  if (known?.total !== undefined && part.size > known.total) part.discard();
  const offset = part.size;
  const stalled = new AbortController();
  let writing = false;
  // A slow disk is not a slow server: while bytes are written the clock stands.
  const watch: NodeJS.Timeout = setTimeout(() => (writing ? watch.refresh() : stalled.abort()), timing.stallMs);
  try {
    const response = await fetch(part.url, {
      headers: { "accept-encoding": "identity", ...(offset > 0 && rangeHeaders(offset, known)) },
      signal: AbortSignal.any([ctx.signal, stalled.signal]),
    });
    watch.refresh();
    try {
      await accept(response, part, offset, proxy);
      if (part.version?.total !== undefined)
        requireSpace(dirname(part.path), part.version.total - part.size, "the download");
    } catch (error) {
      await response.body?.cancel().catch(() => {});
      throw error;
    }
    const task = ctx.progress.start("MiB downloaded", mebibytes(part.version?.total));
    const file = await open(part.part, "a");
    try {
      let size = part.size;
      for await (const chunk of response.body ?? []) {
        writing = true;
        await file.appendFile(chunk).catch((error) => {
          throw asPipelineError(error, "failed", "Cannot write the download", { path: part.part });
        });
        writing = false;
        size += chunk.byteLength;
        task.update(Math.floor(size / MIB));
        watch.refresh();
      }
    } finally {
      task.end();
      await file.close();
    }
  } catch (error) {
    if (error instanceof PipelineError || error instanceof Retry) throw error;
    if (isOfDisk(error)) throw asPipelineError(error, "failed", "Cannot write the download", { path: part.part });
    if (stalled.signal.aborted) throw new Retry(`no byte for ${timing.stallMs / 1000} s`);
    throw connectionError(error, part.url, proxy);
  } finally {
    clearTimeout(watch);
  }
  const total = part.version?.total;
  if (total === undefined || part.size === total) return part.finish();
  const received = part.size;
  if (received > total) part.discard();
  throw new Retry(`${received} bytes where ${total} were announced`);
}

/** An error of the part's own file system, which no other try mends. */
function isOfDisk(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException;
  return path !== undefined || ["ENOSPC", "EDQUOT", "EIO", "EROFS"].includes(code ?? "");
}

function rangeHeaders(offset: number, version: Version | undefined): Record<string, string> {
  // If-Range takes only strong validators; a weak one is compared by ourselves in the answer.
  const validator = version?.etag?.startsWith('"') ? version.etag : version?.lastModified;
  return { range: `bytes=${offset}-`, ...(validator && { "if-range": validator }) };
}

/** Judge the answer's head, and begin the part anew where it cannot be continued. */
async function accept(response: Response, part: PartFile, offset: number, proxy: string | undefined): Promise<void> {
  const { status } = response;
  if (status === 416 && offset > 0) {
    part.discard();
    throw new Retry(`HTTP 416 for bytes from ${offset} on; the file has changed`);
  }
  if (status !== 200 && status !== 206) {
    // In the standard's words: the server's own get lost on the way through a proxy.
    const received = ["HTTP", status, STATUS_CODES[status]].filter(Boolean).join(" ");
    if (status >= 500 || PASSING.has(status)) throw new Retry(received, retryAfterMs(response));
    throw new PipelineError("network", "Download refused by the server", { url: part.url, proxy, received });
  }
  if (response.headers.has("content-encoding") && response.headers.get("content-encoding") !== "identity") {
    // Sizes and ranges would speak of other bytes than those that arrive.
    const received = response.headers.get("content-encoding") as string;
    throw new PipelineError("network", "Server compresses the file on the way", {
      url: part.url,
      expected: "identity",
      received,
    });
  }
  const range = status === 206 ? contentRange(response) : undefined;
  const version = versionOf(response, part.url, range?.total);
  if (status === 200) {
    part.begin(version);
  } else if (range === undefined || range.start !== offset || (offset > 0 && !sameVersion(part.version, version))) {
    part.discard();
    throw new Retry(
      `a part that does not fit (content-range ${response.headers.get("content-range")}); the file has changed`,
    );
  } else if (offset === 0) {
    part.begin(version);
  }
}

function versionOf(response: Response, url: string, rangeTotal: number | undefined): Version {
  const etag = response.headers.get("etag");
  const lastModified = response.headers.get("last-modified");
  const length = response.headers.get("content-length");
  const total = response.status === 206 ? rangeTotal : length === null ? undefined : Number(length);
  return { url, ...(etag && { etag }), ...(lastModified && { lastModified }), ...(total !== undefined && { total }) };
}

/** Without any validator the total alone must do; the zip's checksums have the last word. */
function sameVersion(before: Version | undefined, now: Version): boolean {
  const agrees = <T>(a: T | undefined, b: T | undefined) => a === undefined || b === undefined || a === b;
  return (
    before !== undefined &&
    agrees(before.etag, now.etag) &&
    agrees(before.lastModified, now.lastModified) &&
    agrees(before.total, now.total)
  );
}

function contentRange(response: Response): { start: number; total: number | undefined } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (match === null) return undefined;
  return { start: Number(match[1]), total: match[2] === "*" ? undefined : Number(match[2]) };
}

/** Retry-After in ms, given as seconds or as a date; 0 when there is none. */
function retryAfterMs(response: Response): number {
  const text = response.headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** `fetch failed` hides what happened in its causes; certificates do not mend themselves. */
function connectionError(error: unknown, url: string, proxy: string | undefined): Error {
  if (error instanceof ProxyError) {
    return error.isFinal
      ? new PipelineError("network", "Download failed", { url }, { cause: error })
      : new Retry(error.message);
  }
  let root = error as NodeJS.ErrnoException;
  while (root.cause instanceof Error) root = root.cause as NodeJS.ErrnoException;
  const received = [root.code, root.message].filter(Boolean).join(" ");
  if (/CERT|TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(root.code ?? "")) {
    return new PipelineError("network", "Server's certificate cannot be trusted", { url, proxy, received });
  }
  return new Retry(received);
}

function mebibytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.ceil(bytes / MIB);
}
