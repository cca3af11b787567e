import http from "node:http";
import https from "node:https";

/**
 * A real HTTP server of one file, which knows Range and If-Range, and misbehaves
 * on request: `plan[i]` is what goes wrong with the i-th request (undefined: nothing).
 *
 *   cut: n          end the connection after n bytes of the body; a client may lose the last piece, of up to 64 KiB
 *   status, headers answer that, without the file
 *   noRange         answer 200 with everything, whatever was asked
 *   stallAfter: n   send n bytes, then nothing more
 *   length: n       announce n bytes
 *   chunked         announce no length
 *   shift: n        answer a range that begins n bytes later than asked
 *   encoding        announce that content-encoding
 *   run             called with the server before answering (to change the file)
 *
 * @param tls  {key, cert} for https://
 */
export async function startFileServer(t, bytes, plan = [], tls) {
  const state = { bytes, etag: '"v1"', lastModified: undefined, requests: [] };
  const sockets = new Set();
  const { createServer } = tls ? https : http;
  const server = createServer(tls ?? {}, (request, response) => {
    const fault = plan[state.requests.length] ?? {};
    const entry = {
      url: request.url,
      range: request.headers.range,
      ifRange: request.headers["if-range"],
      at: Date.now(),
    };
    entry.encoding = request.headers["accept-encoding"];
    state.requests.push(entry);
    fault.run?.(state);
    answer(state, fault, entry, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  return Object.assign(state, {
    origin: `${tls ? "https" : "http"}://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    close,
  });
}

function answer(state, fault, entry, response) {
  if (fault.status !== undefined) {
    entry.status = fault.status;
    response.writeHead(fault.status, fault.headers ?? {});
    response.end("no file here");
    return;
  }
  const { bytes, etag, lastModified } = state;
  const match = /^bytes=(\d+)-$/.exec(entry.range ?? "");
  const same = entry.ifRange === undefined || entry.ifRange === etag || entry.ifRange === lastModified;
  const start = match && same && !fault.noRange ? Number(match[1]) : undefined;
  const headers = { ...(etag && { etag }), ...(lastModified && { "last-modified": lastModified }), ...fault.headers };
  if (start !== undefined && start >= bytes.length) {
    entry.status = 416;
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` });
    response.end();
    return;
  }
  const from = (start ?? 0) + (fault.shift ?? 0);
  const body = bytes.subarray(from);
  if (start !== undefined) headers["content-range"] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
  if (!fault.chunked) headers["content-length"] = fault.length ?? body.length;
  if (fault.encoding) headers["content-encoding"] = fault.encoding;
  entry.status = start === undefined ? 200 : 206;
  response.writeHead(entry.status, headers);
  const part = body.subarray(0, fault.cut ?? fault.stallAfter ?? fault.length ?? body.length);
  entry.sent = part.length;
  response.write(part, () => {
    // Its last byte is followed by the connection's end: all n bytes arrive, and no more.
    if (fault.cut !== undefined) response.socket.end();
    else if (fault.stallAfter === undefined) response.end();
  });
}
