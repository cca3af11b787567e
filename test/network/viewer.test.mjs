// The viewer over a URL that is reached by way of a web proxy.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startBucket } from "../support/bucket-server.mjs";
import { command } from "../support/command.mjs";
import { freePorts } from "../support/ports.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { publishFields } from "../support/viewer.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

const SERVE = fileURLToPath(new URL("../../dist/serve.js", import.meta.url));

test("years and ranges of archives come by way of it", async (t) => {
  const folder = tempFolder(t);
  publishFields(folder, [2019]);
  const bucket = await startBucket(folder);
  t.after(() => bucket.close());
  const proxy = await startWebProxy({ hosts: { "maps.test:80": new URL(bucket.url).host }, user: "me:s3cr3t" });
  t.after(() => proxy.stop());
  const child = spawn(process.execPath, [SERVE, "--target", "http://maps.test/", "--port", "0"], {
    env: { ...process.env, ...proxyEnvironment({ HTTP_PROXY: proxy.url }) },
  });
  t.after(() => child.kill());
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const [line] = await once(child.stdout, "data");
  const page = String(line).trim();
  const { years } = await (await fetch(new URL("api/years", page))).json();
  assert.equal(years[0].year, 2019);
  const answer = await fetch(new URL(years[0].archive.url, page), { headers: { range: "bytes=0-6" } });
  assert.equal(await answer.text(), "PMTiles");
  assert.ok(proxy.requests.length >= 3);
  assert.ok(proxy.requests.every(({ target }) => target === "http://maps.test"));
  assert.doesNotMatch(said, /s3cr3t/);
});

test("a proxy that is not there is named, without its password", async () => {
  const [port] = await freePorts(1);
  const env = proxyEnvironment({ HTTPS_PROXY: `http://me:s3cr3t@127.0.0.1:${port}` });
  const { code, stdout, stderr } = await command("serve", ["--target", "https://maps.test/", "--port", "0"], { env });
  assert.equal(code, 9, stderr);
  assert.match(
    stderr,
    /https:\/\/maps\.test\/.*the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) cannot be reached: ECONNREFUSED/,
  );
  assert.doesNotMatch(stdout + stderr, /s3cr3t/);
});
