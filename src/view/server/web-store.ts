import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { type Fetch, fetchBy } from "../../network/fetch.js";
import { ProxyRules } from "../../network/proxy.js";
import { ProxyError } from "../../network/proxy-error.js";
import { PipelineError } from "../../pipeline/errors.js";
import type { ArchiveEntry } from "../../publish/manifest.js";
import { MAX_TEXT_BYTES, type Store, type StoredArchive } from "./store.js";

const CACHE_BYTES = 256 * 2 ** 20;
/** Larger reads are passed through; tiles and directories are always smaller. */
const CACHED_READ_BYTES = 8 * 2 ** 20;
const TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
/** Time that an archive's size and version are cached. */
const FRESH_MS = 15_000;

interface Known {
  readonly bytes: number;
  /** The server's ETag or its substitute; undefined if it sends none. */
  readonly version: string | undefined;
  readonly until: number;
}

/**
 * A web server or bucket. Its bytes pass through this process, so the page uses one origin
 * only: the bucket needs no CORS, and the content security policy is strict. Ranges are cached in memory.
 */
export class WebStore implements Store {
  readonly name: string;
  readonly #known = new Map<string, Known>();
  readonly #cache = new Map<string, Promise<Buffer>>();
  readonly #sizes = new Map<string, number>();
  #cached = 0;

  readonly #fetch: Fetch;

  /**
   * @param base     URL of the manifest's folder; ends with a slash.
   * @param proxies  the web proxies that reach it.
   */
  constructor(
    private readonly base: URL,
    proxies = ProxyRules.none,
  ) {
    this.name = base.href;
    this.#fetch = fetchBy(proxies);
  }

  async text(key: string): Promise<string | undefined> {
    const url = new URL(encodeURIComponent(key), this.base);
    const response = await this.#ask(url, {});
    if (response.status === 404 || response.status === 403) {
      await response.body?.cancel();
      return undefined;
    }
    if (response.status !== 200) throw await wrongStatus(url, response, "200");
    return readText(url, response);
  }

  async open({ url: reference }: Pick<ArchiveEntry, "url">): Promise<StoredArchive> {
    const url = this.#resolve(reference);
    const known = await this.#look(url);
    return {
      bytes: known.bytes,
      tag: createHash("sha256").update(`${url.href} ${known.bytes} ${known.version}`).digest("hex").slice(0, 20),
      read: (start, end) => {
        if (end - start > CACHED_READ_BYTES) return Readable.from(this.#stream(url, known, start, end));
        return Readable.from(this.#cachedRead(url, known, start, end));
      },
      close: async () => {},
    };
  }

  #resolve(reference: string): URL {
    const url = URL.canParse(reference, this.base.href) ? new URL(reference, this.base) : undefined;
    if (
      url === undefined ||
      !/^https?:$/.test(url.protocol) ||
      (url.protocol === "http:" && url.origin !== this.base.origin)
    ) {
      throw new PipelineError("input", "The manifest's URL of an archive cannot be used", {
        expected: "one relative to the manifest, or https://",
        received: reference,
      });
    }
    return url;
  }

  /** Size and version, requested again after a while. */
  async #look(url: URL): Promise<Known> {
    const before = this.#known.get(url.href);
    if (before !== undefined && before.until > performance.now()) return before;
    const response = await this.#ask(url, { range: "bytes=0-0" });
    const known = { ...(await describePart(url, response, 0, 1)), until: performance.now() + FRESH_MS };
    await response.body?.cancel();
    this.#known.set(url.href, known);
    return known;
  }

  async *#cachedRead(url: URL, known: Known, start: number, end: number): AsyncGenerator<Buffer> {
    const key = `${url.href} ${known.version} ${known.bytes} ${start} ${end}`;
    let content = this.#cache.get(key);
    if (content === undefined) {
      content = this.#collect(url, known, start, end);
      content.catch(() => this.#forget(key));
      this.#cached += end - start;
      this.#sizes.set(key, end - start);
    }
    // Moved to the end: the map is ordered by last use.
    this.#cache.delete(key);
    this.#cache.set(key, content);
    for (const oldest of this.#cache.keys()) {
      if (this.#cached <= CACHE_BYTES) break;
      this.#forget(oldest);
    }
    yield await content;
  }

  #forget(key: string): void {
    if (this.#cache.delete(key)) this.#cached -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
  }

  async #collect(url: URL, known: Known, start: number, end: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#stream(url, known, start, end)) parts.push(part);
    return Buffer.concat(parts);
  }

  async *#stream(url: URL, known: Known, start: number, end: number): AsyncGenerator<Uint8Array> {
    const response = await this.#ask(url, { range: `bytes=${start}-${end - 1}` });
    const { bytes, version } = await describePart(url, response, start, end);
    if (bytes !== known.bytes || version !== known.version) {
      await response.body?.cancel();
      this.#known.delete(url.href);
      throw new PipelineError("network", "The archive was replaced meanwhile", { url: url.href });
    }
    let received = 0;
    for await (const part of response.body as ReadableStream<Uint8Array>) {
      received += part.length;
      // Leaving the loop aborts the transfer, whatever its length.
      if (received > end - start) break;
      yield part;
    }
    if (received !== end - start) {
      const where = { url: url.href, expected: end - start, received };
      throw new PipelineError("network", "The server's answer is not of the length that it announced", where);
    }
  }

  /** Follows redirects only within the origin, because another host was not requested by the user. */
  async #fetchFrom(url: URL, headers: Record<string, string>): Promise<Response> {
    let at = url;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#fetch(at, {
        headers: { "accept-encoding": "identity", ...headers },
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) return response;
      await response.body?.cancel();
      const next = URL.canParse(location, at.href) ? new URL(location, at) : undefined;
      if (next?.origin !== url.origin || redirects === MAX_REDIRECTS) {
        throw new PipelineError("network", "The server redirects to another place, which is not followed", {
          url: url.href,
          expected: `${url.origin}, ${MAX_REDIRECTS} times at most`,
          received: next?.href ?? location,
        });
      }
      at = next;
    }
  }

  /** With compressed answers, ranges would refer to another representation. */
  async #ask(url: URL, headers: Record<string, string>): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await this.#fetchFrom(url, headers);
        if (response.status < 500 || attempt > 0) return response;
        await response.body?.cancel();
      } catch (cause) {
        if (cause instanceof PipelineError) throw cause;
        if (attempt > 0) throw new PipelineError("network", "No answer", { url: url.href }, { cause: rootOf(cause) });
      }
    }
  }
}

/** fetch hides the reason (ECONNREFUSED, a certificate) one level down; a proxy's error contains it. */
function rootOf(error: unknown): unknown {
  if (error instanceof ProxyError) return error;
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}

async function describePart(url: URL, response: Response, start: number, end: number) {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  const [, first, last, total] = (match ?? []).map(Number);
  if (response.status !== 206 || first !== start || last !== end - 1 || total === undefined) {
    throw await wrongStatus(url, response, `206 with bytes ${start}-${end - 1}: the server must serve ranges`);
  }
  const version = response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined;
  return { bytes: total, version };
}

async function wrongStatus(url: URL, response: Response, expected: string): Promise<PipelineError> {
  await response.body?.cancel();
  const received = [response.status, response.headers.get("content-range")].filter(Boolean).join(" ");
  return new PipelineError("network", "The server's answer cannot be used", { url: url.href, expected, received });
}

async function readText(url: URL, response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body as ReadableStream<Uint8Array>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MAX_TEXT_BYTES) {
      const where = { url: url.href, expected: `at most ${MAX_TEXT_BYTES} bytes` };
      throw new PipelineError("network", "The file is too large to be what its name says", where);
    }
  }
  return Buffer.concat(parts).toString("utf8");
}
