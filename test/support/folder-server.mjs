import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";

/**
 * A real HTTP server of a folder's files, with Range, as slow as asked: `pieceBytes` every `pauseMs`.
 * `requests` lists what was asked for: {name, range, status}.
 */
export async function startFolderServer(folder, { pieceBytes = 2 ** 20, pauseMs = 0 } = {}) {
  const requests = [];
  const answer = async (request, response) => {
    const name = basename(decodeURIComponent(request.url));
    const path = join(folder, name);
    const note = { name, range: request.headers.range, status: 404 };
    requests.push(note);
    if (!existsSync(path)) return response.writeHead(404).end("not here");
    const { size, mtimeMs } = statSync(path);
    const from = Number(/^bytes=(\d+)-$/.exec(note.range ?? "")?.[1] ?? 0);
    note.status = note.range === undefined ? 200 : 206;
    response.writeHead(note.status, {
      etag: `"${size}-${mtimeMs}"`,
      "content-length": size - from,
      ...(note.status === 206 && { "content-range": `bytes ${from}-${size - 1}/${size}` }),
    });
    try {
      for await (const piece of createReadStream(path, { start: from, highWaterMark: pieceBytes })) {
        if (response.destroyed) return;
        response.write(piece);
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    } finally {
      response.end();
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { requests, template: `http://127.0.0.1:${port}/{year}_30m_cdls.zip`, close };
}
