import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { isIPv4 } from "node:net";
import { finished, type Readable } from "node:stream";
import type { Rings } from "../../lookup/area.js";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import type { Log } from "../../pipeline/log.js";
import { type Asset, chooseEncoding, compress, encodeAsset, inlineScriptHashes, loadAssets } from "./assets.js";
import { UsAtlas } from "./atlas.js";
import type { FieldFinder } from "./field-finder.js";
import type { FieldHistory } from "./field-history.js";
import type { Publication } from "./publication.js";
import { checkConditions, rangeStands, readRange } from "./range.js";
import type { StoredArchive } from "./store.js";

export interface ViewerOptions {
  readonly publication: Publication;
  readonly history: FieldHistory;
  /** Undefined if the fields are not on this machine. */
  readonly finder?: FieldFinder | undefined;
  readonly log: Log;
  /** Address to listen on, one of this machine's. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface RunningViewer {
  /** The URL for a browser on this machine. */
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

/** Maximum for a requested polygon, which must fit into a URL. */
const MAX_VERTICES = 400;
/** JSON below this size is sent uncompressed. */
const WORTH_COMPRESSING_BYTES = 1024;
const LOOPBACK = {
  test: (host: string) => /^(localhost|\[::1\])$/.test(host) || (isIPv4(host) && host.startsWith("127.")),
};

/**
 * Serve the viewer: the page, its data, and the archives' bytes.
 *
 * @throws {PipelineError} usage, if the address or port is not available.
 */
export async function startViewer(options: ViewerOptions): Promise<RunningViewer> {
  const viewer = new Viewer(options);
  const server = createServer((request, response) => {
    viewer.answer(request, response).catch((error: unknown) => viewer.fail(request, response, error));
  });
  const { host, port } = options;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === "EADDRINUSE";
      const sentence = taken ? "The port is taken; --port 0 takes any free one" : "Cannot listen there";
      reject(new PipelineError("usage", sentence, { host, port }, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  const name = /^(0\.0\.0\.0|::)$/.test(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
  if (!LOOPBACK.test(hostOf(host)))
    options.log.warn("everybody on the network can see what is published here; no password is asked for", { host });
  return {
    url: `http://${name}:${actual}/`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Headers = Readonly<Record<string, string>>;

class Viewer {
  readonly #assets = loadAssets();
  #us: UsAtlas | undefined;
  readonly #headers: Headers;
  /** Accepted host names; undefined if it listens to the network. */
  readonly #hosts: typeof LOOPBACK | undefined;

  constructor(private readonly options: ViewerOptions) {
    this.#headers = safetyHeaders((this.#assets.get("") as Asset).content.toString());
    // A page of another site whose name resolves to loopback must not read through this server.
    this.#hosts = LOOPBACK.test(hostOf(options.host)) ? LOOPBACK : undefined;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(this.#headers)) response.setHeader(name, value);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return this.#refuse(request, response, 405, "Only GET and HEAD", { allow: "GET, HEAD" });
    }
    if (this.#hosts?.test(hostOf(request.headers.host ?? "")) === false) {
      return this.#refuse(request, response, 403, "Not the name of this server; see --host");
    }
    const path = pathOf(request.url ?? "");
    if (path === undefined) return this.#refuse(request, response, 400, "Not a path");
    const asset = this.#assets.get(path);
    if (asset !== undefined) return this.#sendAsset(request, response, asset);
    const { publication, history } = this.options;
    if (path === "api/years") {
      const [years, tag] = await Promise.all([publication.look(), history.tag()]);
      return this.#sendJson(request, response, { ...years, history: tag, asks: this.options.finder?.ready === true });
    }
    const answer = await this.#answerQuestion(path);
    if (answer !== undefined) return this.#sendJson(request, response, answer);
    if (path === "api/areas") return this.#sendJson(request, response, await history.areas());
    const row = /^api\/fields\/(\d{1,15})\.json$/.exec(path)?.[1];
    if (row !== undefined) return this.#sendJson(request, response, await history.field(Number(row)));
    const tag = /^archives\/([0-9a-f]+)\.(?:pmtiles|column|blocks)$/.exec(path)?.[1];
    const archive = tag === undefined ? undefined : await publication.open(tag);
    if (archive === undefined) return this.#refuse(request, response, 404, "Not here");
    try {
      const type = path.endsWith(".pmtiles") ? "application/vnd.pmtiles" : "application/octet-stream";
      await this.#sendArchive(request, response, archive, type);
    } finally {
      await archive.close();
    }
  }

  /** Requests that need more than the map's files: places, fields by id, areas. Undefined for anything else. */
  async #answerQuestion(path: string): Promise<object | undefined> {
    const { finder } = this.options;
    const [, kind, text = ""] = /^api\/(places|lines|find|ask)(?:\/(.+))?\.json$/.exec(path) ?? [];
    if (kind === "places") return this.#atlas().places();
    if (kind === "lines" && (text === "states" || text === "counties")) return this.#atlas().lines(text);
    if (kind === "find") return finder?.find(text);
    if (kind !== "ask" || finder === undefined) return undefined;
    const area = this.#atlas().shape(text) ?? drawnArea(text);
    return area && finder.ask(area.name, area.rings);
  }

  #atlas(): UsAtlas {
    this.#us ??= new UsAtlas();
    return this.#us;
  }

  /** Report an error. If the answer has already begun, the connection is cut, so that the answer does not look complete. */
  fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (request.destroyed && response.destroyed) return;
    const known = asPipelineError(error, "failed", "Unexpected error");
    this.options.log.warn(known.message, { path: request.url });
    if (response.headersSent) response.destroy();
    else {
      const status = known.kind === "network" ? 502 : known.kind === "input" ? 404 : 500;
      send(
        request,
        response,
        status,
        { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
        known.sentence,
      );
    }
  }

  #refuse(request: IncomingMessage, response: ServerResponse, status: number, text: string, headers: Headers = {}) {
    this.options.log.debug("refused", { status, method: request.method, path: request.url });
    send(
      request,
      response,
      status,
      { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers },
      text,
    );
  }

  async #sendAsset(request: IncomingMessage, response: ServerResponse, asset: Asset): Promise<void> {
    const encoding = chooseEncoding(request.headers["accept-encoding"]);
    const headers = textHeaders(asset.type, `"${asset.digest}-${encoding}"`, encoding);
    if (answeredByCondition(request, response, headers)) return;
    send(request, response, 200, headers, await encodeAsset(asset, encoding));
  }

  async #sendJson(request: IncomingMessage, response: ServerResponse, value: object | undefined): Promise<void> {
    if (value === undefined) return this.#refuse(request, response, 404, "Not here");
    const content = Buffer.from(JSON.stringify(value));
    const small = content.length < WORTH_COMPRESSING_BYTES;
    const encoding = small ? "identity" : chooseEncoding(request.headers["accept-encoding"]);
    const digest = createHash("sha256").update(content).digest("hex").slice(0, 32);
    const headers = textHeaders("application/json", `"${digest}-${encoding}"`, encoding);
    if (answeredByCondition(request, response, headers)) return;
    send(request, response, 200, headers, encoding === "identity" ? content : await compress(content, encoding));
  }

  /** Not compressed: the tiles already are, and ranges refer to the archive's bytes. */
  async #sendArchive(request: IncomingMessage, response: ServerResponse, archive: StoredArchive, type: string) {
    const { bytes, tag } = archive;
    const etag = `"${tag}"`;
    const headers = {
      "content-type": type,
      "accept-ranges": "bytes",
      etag,
      // This URL always means this archive, because it contains the tag.
      "cache-control": "private, max-age=604800, immutable",
    };
    if (answeredByCondition(request, response, headers)) return;
    // Ranges are defined only for GET.
    const wanted = request.method === "GET" && rangeStands(request.headers, etag) ? request.headers.range : undefined;
    const range = readRange(wanted, bytes);
    if (range.kind === "refused") {
      const refusal = {
        "content-range": `bytes */${bytes}`,
        "content-type": "text/plain",
        "cache-control": "no-store",
      };
      return send(request, response, 416, refusal, "One range of bytes within the archive");
    }
    const [start, end] = range.kind === "part" ? [range.start, range.end] : [0, bytes];
    response.writeHead(range.kind === "part" ? 206 : 200, {
      ...headers,
      "content-length": end - start,
      ...(range.kind === "part" && { "content-range": `bytes ${start}-${end - 1}/${bytes}` }),
    });
    if (request.method === "HEAD" || start === end) response.end();
    else await pour(archive.read(start, end), response, end - start);
  }
}

/**
 * Send a stream of a declared length. If the file is shorter, the connection breaks, so that the answer
 * does not look complete; if the client disconnects, reading stops.
 */
async function pour(stream: Readable, response: ServerResponse, length: number): Promise<void> {
  const gone = finished(response, () => stream.destroy());
  let sent = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      sent += chunk.length;
      if (!response.write(chunk)) await drained(response);
      if (response.destroyed) return;
    }
  } catch (error) {
    if (response.destroyed) return;
    throw error;
  } finally {
    gone();
  }
  if (sent !== length) {
    throw new PipelineError("input", "The archive was cut short while it was read", {
      expected: length,
      received: sent,
    });
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function textHeaders(type: string, etag: string, encoding: string): OutgoingHttpHeaders & { etag: string } {
  const compressed = encoding === "identity" ? {} : { "content-encoding": encoding };
  return { "content-type": type, etag, "cache-control": "no-cache", vary: "accept-encoding", ...compressed };
}

/** Answer 304 or 412 if the request's conditions require it. */
function answeredByCondition(
  request: IncomingMessage,
  response: ServerResponse,
  headers: OutgoingHttpHeaders & { etag: string },
): boolean {
  const verdict = checkConditions(request.headers, headers.etag);
  if (verdict === "go on") return false;
  const { etag, vary, "cache-control": cacheControl } = headers;
  response.writeHead(verdict === "same" ? 304 : 412, { etag, "cache-control": cacheControl, ...(vary && { vary }) });
  response.end();
  return true;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body: string | Buffer,
) {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A polygon as `-97.1,39.2;-97.0,39.2;-97.0,39.3`; undefined if invalid. */
function drawnArea(text: string): { readonly name: string; readonly rings: Rings } | undefined {
  const points = text.split(";");
  if (points.length < 3 || points.length > MAX_VERTICES) return undefined;
  const ring = points.map((point) => point.split(",").map(Number));
  const sound = ring.every(([lng, lat, ...more]) => {
    return more.length === 0 && Math.abs(lng as number) <= 180 && Math.abs(lat as number) <= 90;
  });
  return sound ? { name: "Drawn area", rings: [ring as unknown as Rings[number]] } : undefined;
}

/** Path below the root, decoded once; undefined if invalid. */
function pathOf(url: string): string | undefined {
  if (!url.startsWith("/")) return undefined;
  try {
    return decodeURIComponent(url.slice(1).replace(/[?#].*$/s, ""));
  } catch {
    return undefined;
  }
}

/** `[::1]:8080` and `::1` alike as `[::1]`. */
function hostOf(text: string): string {
  if (/^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]*$/i.test(text)) return `[${text}]`;
  return text.replace(/:\d*$/, "").toLowerCase();
}

/** The page may load only from this server; its one inline script, the import map, is allowed by its hash. */
function safetyHeaders(html: string): Headers {
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${inlineScriptHashes(html).join(" ")}`,
    "worker-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "style-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    "content-security-policy": policy.join("; "),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  };
}
