import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { endChild, freePorts, spawnTied } from "./ports.mjs";

const PROGRAM = "/usr/bin/tinyproxy";

/** Why tinyproxy cannot run here, as a test's skip message; false when it can. */
export function tinyproxyMissing() {
  return existsSync(PROGRAM) ? false : "tinyproxy is not installed (tinyproxy-bin)";
}

/**
 * A web proxy that others have made.
 *
 * @param options.user      `user:password` that it demands.
 * @param options.connect   ports that it lets CONNECT to; all when left out.
 * @returns `url`, `log` (what it has written down), `stop`.
 */
export async function startTinyproxy({ user, connect = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "tinyproxy-"));
  const [port] = await freePorts(1);
  const path = join(folder, "tinyproxy.log");
  const lines = [
    `User ${userInfo().username}`,
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Timeout 600",
    `LogFile "${path}"`,
    "LogLevel Connect",
    "MaxClients 100",
    "Allow 127.0.0.1",
    ...connect.map((allowed) => `ConnectPort ${allowed}`),
    ...(user === undefined ? [] : [`BasicAuth ${user.replace(":", " ")}`]),
  ];
  writeFileSync(join(folder, "tinyproxy.conf"), `${lines.join("\n")}\n`);
  const child = spawnTied(PROGRAM, ["-d", "-c", join(folder, "tinyproxy.conf")], { stdio: "ignore" });
  for (let attempt = 0; !(await answers(port)); attempt++) {
    if (attempt > 200 || child.exitCode !== null) throw new Error("tinyproxy is not up");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    name: `127.0.0.1:${port}`,
    url: `http://${user === undefined ? "" : `${user}@`}127.0.0.1:${port}`,
    log: () => readFileSync(path, "utf8"),
    async stop() {
      await endChild(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
