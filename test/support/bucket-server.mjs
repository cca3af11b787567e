import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/**
 * A web server of a folder's files as a bucket is one: ranges, an ETag by content. `requests` lists
 * {name, range}; `behave(name)` may return "whole" (ranges ignored), "cut" (half of the bytes), 500 or 403.
 */
export async function startBucket(folder, behave = () => undefined) {
  const requests = [];
  const server = createServer((request, response) => {
    const name = decodeURIComponent(request.url.slice(1));
    const { range } = request.headers;
    requests.push({ name, range });
    const behavior = behave(name);
    const path = join(folder, name);
    if (typeof behavior === "number") return response.writeHead(behavior).end("no");
    if (!existsSync(path)) return response.writeHead(404).end("no such key");
    const content = readFileSync(path);
    const etag = `"${createHash("md5").update(content).digest("hex")}"`;
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
    if (match === null || behavior === "whole") {
      return response.writeHead(200, { etag, "content-length": content.length }).end(content);
    }
    const [start, end] = [Number(match[1]), Math.min(content.length, Number(match[2]) + 1)];
    response.writeHead(206, {
      etag,
      "content-length": end - start,
      "content-range": `bytes ${start}-${end - 1}/${content.length}`,
    });
    if (behavior === "cut")
      response.write(content.subarray(start, start + ((end - start) >> 1)), () => response.destroy());
    else response.end(content.subarray(start, end));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, requests, close };
}
