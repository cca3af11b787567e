import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { fingerprint } from "../pipeline/fingerprint.js";
import { redactedIdentity } from "../pipeline/redact.js";
import type { Fetch } from "./fetch.js";
import type { Version } from "./part-file.js";
import { checkRemote, proxyName, type RemoteAccess } from "./remote-access.js";
import { fetchFrom } from "./remote-fetch.js";
import { connectionError, FETCH_TIMING, Retry, statusError, withRetries } from "./retry.js";
import { contentRange, rangeHeaders, requireIdentity, sameVersion, versionOf } from "./version.js";

/** What is asked for first: the header of most rasters. */
const HEAD_BYTES = 64 * 2 ** 10;

/** One version of a file on an HTTP or S3 server. */
export class RemoteFile {
  private constructor(
    readonly url: string,
    private readonly fetch: Fetch,
    private readonly access: RemoteAccess,
    readonly version: Version,
    /** The file's first bytes; undefined where the server does not answer ranges. */
    readonly head: Uint8Array | undefined,
  ) {}

  /**
   * Ask for the file's first bytes.
   *
   * @throws {PipelineError} network: no such file, access denied, unreachable after all retries; usage: a URL with a password.
   */
  static async open(url: string, access: RemoteAccess, ctx: Context): Promise<RemoteFile> {
    checkRemote(url, "The source");
    const fetch = fetchFrom(access);
    return retrying(url, access, ctx, async (signal, proxy) => {
      const headers = { "accept-encoding": "identity", range: `bytes=0-${HEAD_BYTES - 1}` };
      const response = await fetch(url, { headers, signal });
      try {
        // An empty file has no first byte.
        if (response.status === 416) return new RemoteFile(url, fetch, access, { url, total: 0 }, undefined);
        if (!response.ok) throw statusError(response, { url, proxy });
        requireIdentity(response, url);
        const version = versionOf(response, url);
        const isPart = response.status === 206 && contentRange(response)?.start === 0 && version.total !== undefined;
        const head = isPart ? new Uint8Array(await response.arrayBuffer()) : undefined;
        return new RemoteFile(url, fetch, access, version, head);
      } finally {
        if (!response.bodyUsed) await response.body?.cancel().catch(() => {});
      }
    });
  }

  /** Undefined when the server does not say. */
  get size(): number | undefined {
    return this.version.total;
  }

  /** Whether parts can be read that are known to be of one version. */
  get hasRanges(): boolean {
    return this.head !== undefined && (this.version.etag ?? this.version.lastModified) !== undefined;
  }

  /** Tells this version of the file from others, without what is secret in its URL. */
  get identity(): string {
    const { etag, lastModified, total } = this.version;
    return `remote:${fingerprint({ url: redactedIdentity(this.url), etag, lastModified, total })}`;
  }

  /**
   * @returns bytes from `offset` to `end`, exclusive.
   * @throws {PipelineError} network; input, when another version lies there now.
   */
  async read(offset: number, end: number, ctx: Context): Promise<Uint8Array> {
    const { url, version, access } = this;
    return retrying(url, access, ctx, async (signal, proxy) => {
      const headers = { "accept-encoding": "identity", ...rangeHeaders(offset, version, end) };
      const response = await this.fetch(url, { headers, signal });
      try {
        const now = versionOf(response, url);
        if (response.status === 416 || (response.ok && !sameVersion(version, now))) throw replaced(url);
        if (!response.ok) throw statusError(response, { url, proxy });
        if (response.status !== 206 || contentRange(response)?.start !== offset)
          throw new Retry(`another part than was asked for (HTTP ${response.status})`);
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length !== end - offset) throw new Retry(`${bytes.length} bytes of ${end - offset}`);
        return bytes;
      } finally {
        if (!response.bodyUsed) await response.body?.cancel().catch(() => {});
      }
    });
  }
}

export function replaced(url: string): PipelineError {
  const sentence = "File was replaced on the server while it was read, so nothing is kept; run again";
  return new PipelineError("input", sentence, { url });
}

function retrying<T>(
  url: string,
  access: RemoteAccess,
  ctx: Context,
  body: (signal: AbortSignal, proxy: string | undefined) => Promise<T>,
): Promise<T> {
  const proxy = proxyName(url, access);
  const attempt = async () => {
    const silence = AbortSignal.timeout(FETCH_TIMING.stallMs);
    try {
      return await body(AbortSignal.any([ctx.signal, silence]), proxy);
    } catch (error) {
      if (error instanceof PipelineError || error instanceof Retry) throw error;
      if (silence.aborted) throw new Retry(`no answer for ${FETCH_TIMING.stallMs / 1000} s`);
      throw connectionError(error, url, proxy);
    }
  };
  const options = {
    retries: access.retries,
    timing: FETCH_TIMING,
    sentence: "Download failed",
    where: () => ({ url, proxy }),
  };
  return withRetries(attempt, options, ctx);
}
