import http from "node:http";

/**
 * A reverse proxy on loopback that spoils requests on their way to a real server.
 * The Host header goes through as it came, so signatures stay right.
 *
 * @param endpoint  of the server behind.
 * @param plan      called once a request; names what happens to it:
 *   `reset`      the connection breaks in the middle of the request's body; the server sees nothing of it
 *   `lost`       the server does the request, its answer is lost
 *   `truncated`  the answer breaks off after half of its body
 *   `slowdown`   503 SlowDown; the server sees nothing of it
 *   `late`       the request is held back for 300 ms
 *   undefined    nothing
 * @returns `endpoint` to talk to, `seen` (how often each fault was done, also by method), `stop`.
 */
export async function startFaultProxy(endpoint, plan) {
  const behind = new URL(endpoint);
  const seen = {};
  const server = http.createServer((request, response) => {
    const fault = plan(request);
    if (fault !== undefined) seen[fault] = (seen[fault] ?? 0) + 1;
    if (fault === "reset") {
      const length = Number(request.headers["content-length"] ?? 0);
      let came = 0;
      const count = (chunk) => {
        came += chunk.length;
        if (came >= length / 2) request.socket.destroy();
      };
      if (length === 0) request.socket.destroy();
      else request.on("data", count);
      return;
    }
    if (fault === "slowdown") {
      request.resume().on("end", () => {
        response.writeHead(503, { "content-type": "application/xml" });
        response.end("<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>");
      });
      return;
    }
    setTimeout(() => pass(request, response, fault), fault === "late" ? 300 : 0);
  });

  function pass(request, response, fault) {
    const { method, url, headers } = request;
    const onward = http.request({ hostname: behind.hostname, port: behind.port, method, path: url, headers });
    request.pipe(onward);
    request.on("error", () => onward.destroy());
    // Swift answers HEAD with a body now and then, which is an error only after the answer.
    onward.on("error", () => (response.headersSent ? response.end() : response.destroy()));
    onward.on("response", (answer) => {
      if (fault === "lost") {
        answer.resume().on("end", () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, answer.rawHeaders);
      if (fault !== "truncated") {
        answer.pipe(response);
        return;
      }
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        const body = Buffer.concat(chunks);
        response.write(body.subarray(0, body.length / 2), () => request.socket.destroy());
        if (body.length === 0) request.socket.destroy();
      });
    });
  }

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${server.address().port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
