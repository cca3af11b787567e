import http from "node:http";
import https from "node:https";
import net from "node:net";

const CUT_BYTES = 200_000;

/**
 * A web proxy on loopback: CONNECT for tunnels, absolute URIs for http://.
 *
 * @param options.hosts  `name:port` to `address:port`; names that only the proxy knows, so that nothing that came by
 *   way of another road can have come.
 * @param options.tls    {key, cert}: the proxy itself speaks TLS, as `https://NAME:PORT`.
 * @param options.user   `user:password` that it demands.
 * @param options.plan   called for every request with {method, target, index}; names what happens to it:
 *   a number   answer that status, and do nothing
 *   `stall`    never answer
 *   `reset`    break the connection
 *   `cut`      end it after 200 kB of the answer (of a tunnel: of what comes back through it)
 * @returns `url`, `requests` ({method, target, headers, fault}), `connections` (how many came), `bytes` (of answers), `stop`.
 */
export async function startWebProxy({ hosts = {}, tls, user, plan = () => undefined } = {}) {
  const state = { requests: [], connections: 0, bytes: 0 };
  const sockets = new Set();
  const wanted = user === undefined ? undefined : `Basic ${Buffer.from(user).toString("base64")}`;

  function judge({ method, url, headers }) {
    const target = method === "CONNECT" ? url : url.replace(/^(http:\/\/[^/]+).*$/, "$1");
    const index = state.requests.length;
    const refused = wanted !== undefined && headers["proxy-authorization"] !== wanted;
    const fault = refused ? 407 : plan({ method, target, index, headers });
    state.requests.push({ method, target, url, headers, fault });
    return fault;
  }
  const place = (name) => (hosts[name] ?? name).split(":");

  /** All of an answer, or its first 200 kB, whatever pieces it comes in, and then `cut`. */
  function pass(from, to, cut) {
    let left = cut === undefined ? Infinity : CUT_BYTES;
    from.on("data", (chunk) => {
      if (left === 0) return;
      const part = chunk.subarray(0, left);
      left -= part.length;
      state.bytes += part.length;
      if (!to.write(part)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
      if (left === 0) cut();
    });
    from.on("end", () => left > 0 && to.end());
  }

  const server = (tls ? https : http).createServer(tls ?? {}, (request, response) => {
    const fault = judge(request);
    if (typeof fault === "number") return response.writeHead(fault, { "proxy-authenticate": "Basic" }).end("no");
    if (fault === "reset") return request.socket.destroy();
    if (fault === "stall") return undefined;
    const { host, pathname, search } = new URL(request.url);
    const [hostname, port = 80] = place(host.includes(":") ? host : `${host}:80`);
    const { "proxy-authorization": _, "proxy-connection": __, ...headers } = request.headers;
    const onward = http.request({ hostname, port, method: request.method, path: pathname + search, headers });
    request.pipe(onward);
    // Swift answers HEAD with a body now and then, which is an error only after the answer.
    onward.on("error", () => (response.headersSent ? response.end() : response.writeHead(502).end("bad gateway")));
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.on("error", () => response.destroy());
      response.on("close", () => onward.destroy());
      pass(answer, response, fault === "cut" ? () => request.socket.end() : undefined);
    });
    return undefined;
  });
  server.on("connect", (request, socket) => {
    socket.on("error", () => {});
    const fault = judge(request);
    if (typeof fault === "number") return socket.end(`HTTP/1.1 ${fault} No\r\nContent-Length: 0\r\n\r\n`);
    if (fault === "reset") return socket.destroy();
    if (fault === "stall") return undefined;
    const [host, port] = place(request.url);
    const onward = net.connect(Number(port), host);
    onward.on("connect", () => socket.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    onward.on("error", () => (onward.connecting ? socket.destroy() : socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n")));
    socket.on("close", () => onward.destroy());
    socket.pipe(onward);
    pass(onward, socket, fault === "cut" ? () => socket.end() : undefined);
    return undefined;
  });
  server.on(tls ? "secureConnection" : "connection", (socket) => {
    state.connections++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  const name = `${tls ? "localhost" : "127.0.0.1"}:${port}`;
  return Object.assign(state, {
    name,
    url: `${tls ? "https" : "http"}://${user === undefined ? "" : `${user}@`}${name}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Environment of a process that is to know no proxy but those given. */
export function proxyEnvironment(given = {}) {
  const none = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
  return { ...Object.fromEntries(none.map((name) => [name, ""])), ...given };
}
