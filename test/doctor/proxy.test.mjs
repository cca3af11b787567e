// What the doctor says of web proxies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveOptions } from "../../dist/config/config.js";
import { proxyChecks } from "../../dist/doctor/proxy.js";
import { command } from "../support/command.mjs";
import { startFileServer } from "../support/file-server.mjs";
import { freePorts } from "../support/ports.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

const SECRET = "me:s3cr3t";

async function findings(t, options, env = {}) {
  const before = { ...process.env };
  Object.assign(process.env, proxyEnvironment(env));
  t.after(() => {
    process.env = before;
  });
  const [check] = proxyChecks(resolveOptions({ cdlSource: "/tmp", ...options }));
  const found = await check.run();
  assert.doesNotMatch(JSON.stringify(found), /s3cr3t|wr0ng/);
  return found.map(({ level, fact, remedy }) => [level, fact, remedy]);
}

test("none", async (t) => {
  assert.deepEqual(await findings(t, {}), [
    ["ok", "none, all is reached directly: neither HTTPS_PROXY nor HTTP_PROXY is set", undefined],
  ]);
  assert.deepEqual(await findings(t, { proxy: "none" }, { HTTPS_PROXY: "http://proxy" }), [
    ["ok", "none, all is reached directly: --proxy none", undefined],
  ]);
});

test("one that answers, for what is reached by it and what is not", async (t) => {
  const server = await startFileServer(t, Buffer.from("x"));
  const proxy = await startWebProxy({ hosts: { "cdl.test:80": `127.0.0.1:${server.port}` }, user: SECRET });
  t.after(() => proxy.stop());
  const options = { cdlSource: "http://cdl.test/{year}.zip", target: "s3://tiles", endpoint: "http://10.1.2.3:9000" };
  assert.deepEqual(await findings(t, options, { HTTP_PROXY: proxy.url, NO_PROXY: "10.0.0.0/8" }), [
    ["ok", `${proxy.name} (HTTP_PROXY, with a user) answers, for cdl.test`, undefined],
    ["ok", "not for 10.1.2.3:9000: NO_PROXY, or none for its scheme", undefined],
  ]);
  assert.deepEqual(await findings(t, {}, { HTTP_PROXY: proxy.url }), [
    ["ok", `${proxy.name} (HTTP_PROXY, with a user) answers; this year needs nothing by way of it`, undefined],
  ]);
});

test("one that refuses, cannot connect, or is not there", async (t) => {
  const [port] = await freePorts(1);
  const source = { cdlSource: "https://cdl.test/{year}.zip" };
  for (const [demand, given, level, sentence] of [
    [{ user: SECRET }, "", "fail", /wants a user and a password: HTTP 407/],
    [{ user: SECRET }, "me:wr0ng@", "fail", /does not accept this user and password/],
    [{ plan: () => 403 }, "", "fail", /does not allow cdl\.test/],
    [{ plan: () => 502 }, "", "warn", /cannot connect to cdl\.test: HTTP 502/],
  ]) {
    const proxy = await startWebProxy(demand);
    const [[found, fact, remedy]] = await findings(t, source, { HTTPS_PROXY: `http://${given}${proxy.name}` });
    assert.equal(found, level, fact);
    assert.match(fact, sentence);
    assert.match(remedy, /correct HTTPS_PROXY, or pass --proxy URL/);
    await proxy.stop();
  }
  const dead = `http://${SECRET}@127.0.0.1:${port}`;
  const [[level, fact]] = await findings(t, source, { HTTPS_PROXY: dead });
  assert.deepEqual(
    [level, fact],
    ["fail", `the proxy 127.0.0.1:${port} (HTTPS_PROXY) cannot be reached: ECONNREFUSED`],
  );
  // Nothing needs it: no reason not to begin.
  assert.equal((await findings(t, {}, { HTTPS_PROXY: dead }))[0][0], "warn");
});

test("by the command; a text that is no proxy is a failure", async (t) => {
  const args = ["--json", "--root", tempFolder(t), "--cdl-source", "https://cdl.test/{year}.zip"];
  const { json, stderr } = await command("doctor", args, {
    env: proxyEnvironment({ https_proxy: `ftp://${SECRET}@p` }),
  });
  const of = (name) => json.findings.find((finding) => finding.name === name);
  assert.equal(of("proxy").level, "fail");
  assert.match(
    of("proxy").fact,
    /A proxy must be an http:\/\/ or https:\/\/ URL \(source=https_proxy, received=ftp:\/\/p/,
  );
  assert.doesNotMatch(JSON.stringify(json) + stderr, /s3cr3t/);
});
