import { spawn } from "node:child_process";
import { createServer } from "node:net";

/** Spawn a program that ends with this process, however this process ends. */
export function spawnTied(program, args, options) {
  return spawn("/usr/bin/setpriv", ["--pdeathsig", "KILL", program, ...args], options);
}

/** `count` different TCP ports on loopback that nobody listens on right now. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Wait until something on loopback answers HTTP at `port`, or `child` ends. */
export async function waitForHttp(port, child, what, limitMs = 60_000) {
  const end = performance.now() + limitMs;
  while (performance.now() < end) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${what} ended before it was up`);
    try {
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`${what} is not up after ${limitMs / 1000} s`);
}

/** End a child by TERM, then KILL, and wait for its end. */
export async function endChild(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await ended;
  clearTimeout(timer);
}
