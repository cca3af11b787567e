import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, isNoSpace, PipelineError } from "../pipeline/errors.js";
import { requireSpace } from "../system/free-space.js";
import type { Fetch } from "./fetch.js";
import { PartFile, type Version } from "./part-file.js";
import { proxyName, type RemoteAccess, withoutProxies } from "./remote-access.js";
import { fetchFrom } from "./remote-fetch.js";
import { connectionError, FETCH_TIMING, type FetchTiming, Retry, statusError, withRetries } from "./retry.js";
import { contentRange, rangeHeaders, requireIdentity, sameVersion, versionOf } from "./version.js";

const MIB = 2 ** 20;
/** A connection that brought this much was a good one: the retries start anew after it. */
const GOOD_BYTES = MIB;

/**
 * Download an http(s):// or s3:// URL to `path`. Broken connections are continued by Range, also by a
 * later process: `<path>.part` and `<path>.json` stay until `path` is whole. The
 * file's size is what the server announced; a file that changed on the server in
 * between is fetched from its beginning.
 *
 * @param options.retries  attempts after a failed one; counted anew whenever a MiB came through.
 * @param options  how the server is reached; directly by default.
 * @returns what the server said about the file.
 * @throws {PipelineError} network after all retries or on a status that no retry
 *   mends (404), space on a full disk; the signal's reason at once when aborted.
 */
export async function fetchFile(
  url: string,
  path: string,
  options: Partial<RemoteAccess> & { readonly retries: number; readonly timing?: Partial<FetchTiming> | undefined },
  ctx: Context,
): Promise<Version> {
  const timing = { ...FETCH_TIMING, ...options.timing };
  const access = { ...withoutProxies, ...options };
  const connection = { fetch: fetchFrom(access), proxy: proxyName(url, access) };
  const part = new PartFile(path, url);
  let reached = part.size;
  const progressed = () => {
    const good = part.size >= reached + GOOD_BYTES;
    reached = Math.max(reached, part.size);
    return good;
  };
  const where = () => ({ url, proxy: connection.proxy, bytes: part.size, expected: part.version?.total });
  const retrying = { retries: options.retries, timing, sentence: "Download failed", where, progressed };
  while (!part.complete) await withRetries(() => attempt(part, connection, timing, ctx), retrying, ctx);
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

/** Judge the answer's head, and begin the part anew where it cannot be continued. */
async function accept(response: Response, part: PartFile, offset: number, proxy: string | undefined): Promise<void> {
  const { status } = response;
  if (status === 416 && offset > 0) {
    part.discard();
    throw new Retry(`HTTP 416 for bytes from ${offset} on; the file has changed`);
  }
  if (status !== 200 && status !== 206) throw statusError(response, { url: part.url, proxy });
  requireIdentity(response, part.url);
  const range = status === 206 ? contentRange(response) : undefined;
  const version = versionOf(response, part.url);
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

function mebibytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.ceil(bytes / MIB);
}

/** An error of the part's own file system, which no other try mends. */
function isOfDisk(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException;
  return path !== undefined || isNoSpace(error) || ["EIO", "EROFS"].includes(code ?? "");
}
