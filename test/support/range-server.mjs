import { closeSync, openSync, readSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";

/**
 * A server of a folder's files that knows ranges and names versions by an ETag.
 *
 *   ranges: false   answer every request with the whole file
 *   etag: false     name no version
 *   before(name)    called ahead of every GET
 *
 * `sent` counts the bytes of bodies, `requests` lists "GET name range".
 */
export async function startRangeServer(t, folder, { ranges = true, etag = true, before } = {}) {
  const state = { sent: 0, origin: "", requests: [] };
  const server = createServer((request, response) => {
    const name = basename(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const { method, headers: asked } = request;
    if (method === "GET") before?.(name);
    state.requests.push(`${method} ${name} ${asked.range ?? ""}`.trim());
    const path = join(folder, name);
    const file = name === "" ? undefined : statSync(path, { throwIfNoEntry: false });
    if (!file?.isFile()) {
      response.writeHead(404).end("no such file");
      return;
    }
    const { size, ino, mtimeMs } = file;
    const tag = `"${ino}-${size}-${mtimeMs}"`;
    const same = asked["if-range"] === undefined || asked["if-range"] === tag;
    const [, from, to] = (ranges && same && /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? "")) || [];
    const [first, last] = [Number(from ?? 0), Math.min(size - 1, to ? Number(to) : size - 1)];
    if (first >= size) {
      response.writeHead(416).end();
      return;
    }
    response.writeHead(from === undefined ? 200 : 206, {
      ...(etag && { etag: tag }),
      "content-length": last - first + 1,
      ...(from !== undefined && { "content-range": `bytes ${first}-${last}/${size}` }),
    });
    if (method === "HEAD") {
      response.end();
      return;
    }
    const bytes = Buffer.alloc(last - first + 1);
    const fd = openSync(path);
    readSync(fd, bytes, 0, bytes.length, first);
    closeSync(fd);
    state.sent += bytes.length;
    response.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  state.origin = `http://127.0.0.1:${server.address().port}`;
  return state;
}
