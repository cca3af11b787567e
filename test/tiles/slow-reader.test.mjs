// A reader that stalls: the real stream, from parquet through workers into a pipe.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const PRODUCER = fileURLToPath(new URL("../support/stream-producer.mjs", import.meta.url));
const FIELDS = 60_000;
const STALL_S = 15;
const MIB = 2 ** 20;

function rssOf(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
}

test("memory stays flat while a reader stalls, and nothing is lost", { timeout: 300_000 }, async (t) => {
  const folder = tempFolder(t);
  const made = await command("sample", ["--root", folder, "--fields", String(FIELDS), "--years", "2020", "--quiet"]);
  assert.equal(made.code, 0, made.stderr);
  const path = join(folder, "data", "fields_raw.parquet");
  const child = spawn(process.execPath, [PRODUCER, path, "1024"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let [bytes, lines, last] = [0, 0, ""];
  const take = (chunk) => {
    bytes += chunk.length;
    last = chunk.toString("latin1").slice(-200);
    for (const byte of chunk) if (byte === 10) lines++;
  };
  child.stdout.on("data", take);
  while (bytes < 4 * MIB) await sleep(5);
  child.stdout.pause();
  const before = rssOf(child.pid);
  let most = before;
  for (let second = 0; second < STALL_S; second++) {
    await sleep(1000);
    most = Math.max(most, rssOf(child.pid));
  }
  const stalled = bytes;
  child.stdout.resume();
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0);
  // All that was to come is many times what any buffer held.
  assert.ok(bytes > 3 * stalled, `${stalled} of ${bytes} bytes before the stall`);
  // Without backpressure all that is still to come would lie in memory.
  const ahead = Math.round((most - before) / MIB);
  const toCome = Math.round((bytes - stalled) / MIB);
  assert.ok(ahead < toCome / 2, `${ahead} MiB more while it stalled, of ${toCome} MiB to come`);
  assert.equal(lines, 2 * FIELDS);
  assert.match(last, /"type":"Point","coordinates":\[[-\d.]+,[-\d.]+\]\}\}\n$/);
});
