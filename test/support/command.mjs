import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const DIST = new URL("../../dist/", import.meta.url);

/**
 * Run one of the project's commands, as `command("zonal", ["--out", path])`.
 * Words of `before` come first, as a wrapper's. Resolves to {code, signal, stdout, stderr, json}: json is stdout's last line, parsed, when --json was asked.
 */
export function command(name, args, { env = {}, signal, cwd, detached, before = [], onStart } = {}) {
  const [program, ...rest] = [...before, process.execPath, fileURLToPath(new URL(`${name}.js`, DIST)), ...args];
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(cwd && { cwd }),
    ...(detached && { detached }),
    ...(signal && { signal }),
  });
  onStart?.(child);
  const [out, err] = [[], []];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, ended) => {
      const stdout = Buffer.concat(out).toString();
      const last = stdout.trim().split("\n").at(-1) ?? "";
      const json = args.includes("--json") && last.startsWith("{") ? JSON.parse(last) : undefined;
      resolve({ code, signal: ended, stdout, stderr: Buffer.concat(err).toString(), json });
    });
  });
}
