// HTTP as bytes on a socket: what a client library would tidy up or refuse reaches the server as it is.
import { connect } from "node:net";

/**
 * Send a request line and headers, and read until the server closes.
 * Resolves to {status, headers, body}; headers by lower-case name; body as it came (no chunks are undone).
 */
export function rawRequest(port, line, headers = {}) {
  const all = { host: `127.0.0.1:${port}`, connection: "close", ...headers };
  const fields = Object.entries(all).filter(([, value]) => value !== undefined);
  const text = [line, ...fields.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from(text, "latin1")));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => {
      socket.end();
      resolve(parse(Buffer.concat(chunks)));
    });
  });
}

function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  const [status, ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  return { status: Number(status.split(" ")[1]), headers, body: bytes.subarray(end + 4) };
}
