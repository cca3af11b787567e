// Downloads by way of a web proxy: a real one, real servers, the command in a process of its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fetchFile } from "../../dist/network/fetch-file.js";
import { ProxyRules } from "../../dist/network/proxy.js";
import { makeCertificate } from "../support/certificate.mjs";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { startFileServer } from "../support/file-server.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { freePorts } from "../support/ports.mjs";
import { tiffBytes } from "../support/raster-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

const TIF = tiffBytes(3_000_000);
const ZIP = handmadeZip([{ name: "2020_30m_cdls.tif", data: TIF }]);
const QUICK = { backoffMs: 5, maxBackoffMs: 20, stallMs: 5_000 };
const SECRET = "me:s3cr3t";

describe("downloads by way of a web proxy", () => {
  const certificate = makeCertificate(tempFolder({ after }), ["cdl.test", "localhost"]);

  async function proxyTo(t, server, options = {}) {
    const hosts = { "cdl.test:443": `127.0.0.1:${server.port}`, "cdl.test:80": `127.0.0.1:${server.port}` };
    const proxy = await startWebProxy({ hosts, ...options });
    t.after(() => proxy.stop());
    return proxy;
  }

  /** dist/download.js of one year; everything that it wrote is in `said`. */
  async function download(t, source, env, args = []) {
    const root = tempFolder(t);
    const result = await command(
      "download",
      ["2020", "--root", root, "--cdl-source", source, "--retries", "0", "--json", ...args],
      { env: { ...proxyEnvironment(env), NODE_EXTRA_CA_CERTS: certificate.path } },
    );
    const raster = () => readFileSync(join(root, "data/cdl/us_2020/2020_30m_cdls.tif"));
    return { ...result, raster, said: result.stdout + result.stderr };
  }

  test("https:// by a tunnel, to a name that the proxy alone knows", async (t) => {
    const server = await startFileServer(t, ZIP, [], certificate);
    const proxy = await proxyTo(t, server, { user: SECRET });
    const { code, raster, said } = await download(t, "https://cdl.test/{year}.zip", { HTTPS_PROXY: proxy.url });
    assert.equal(code, 0, said);
    assert.deepEqual(raster(), TIF);
    assert.deepEqual(
      proxy.requests.map(({ method, target }) => `${method} ${target}`),
      ["CONNECT cdl.test:443"],
    );
    assert.ok(proxy.bytes > ZIP.length);
    assert.doesNotMatch(said, /s3cr3t/);
  });

  test("a tunnel that breaks is made again, and the download goes on", async (t) => {
    const server = await startFileServer(t, ZIP, [], certificate);
    const proxy = await proxyTo(t, server, { plan: ({ index }) => (index === 0 ? "cut" : undefined) });
    const env = { HTTPS_PROXY: proxy.url };
    const { code, raster, said } = await download(t, "https://cdl.test/{year}.zip", env, ["--retries", "1"]);
    assert.equal(code, 0, said);
    assert.deepEqual(raster(), TIF);
    assert.match(server.requests[1].range, /^bytes=[1-9]\d{4,}-$/);
    assert.equal(proxy.requests.length, 2);
  });

  test("the proxy itself may speak TLS", async (t) => {
    const server = await startFileServer(t, ZIP, [], certificate);
    const plain = await startFileServer(t, ZIP);
    const proxy = await startWebProxy({
      hosts: { "cdl.test:443": `127.0.0.1:${server.port}`, "cdl.test:80": `127.0.0.1:${plain.port}` },
      user: SECRET,
      tls: certificate,
    });
    t.after(() => proxy.stop());
    for (const scheme of ["http", "https"]) {
      const args = ["--proxy", proxy.url];
      const { code, raster, said } = await download(t, `${scheme}://cdl.test/{year}.zip`, {}, args);
      assert.equal(code, 0, said);
      assert.deepEqual(raster(), TIF);
    }
    assert.equal(proxy.requests.length, 2);
  });

  test("http:// is asked of the proxy itself, by --proxy too", async (t) => {
    const server = await startFileServer(t, ZIP);
    const proxy = await proxyTo(t, server);
    const dead = { http_proxy: "http://127.0.0.1:1" };
    const { code, raster, said } = await download(t, "http://cdl.test/{year}.zip", dead, ["--proxy", proxy.url]);
    assert.equal(code, 0, said);
    assert.deepEqual(raster(), TIF);
    assert.deepEqual(
      proxy.requests.map(({ method, url }) => `${method} ${url}`),
      ["GET http://cdl.test/2020.zip"],
    );
  });

  test("NO_PROXY and --proxy none go past it", async (t) => {
    const server = await startFileServer(t, ZIP);
    const proxy = await proxyTo(t, server);
    const source = `${server.origin}/{year}.zip`;
    const env = { http_proxy: proxy.url };
    assert.equal((await download(t, source, { ...env, NO_PROXY: "10.0.0.0/8,127.0.0.0/8" })).code, 0);
    assert.equal((await download(t, source, env, ["--proxy", "none"])).code, 0);
    assert.equal(proxy.connections, 0);
    assert.equal(server.requests.length, 2);
    // Else it does, loopback or not.
    assert.equal((await download(t, source, { ...env, NO_PROXY: `127.0.0.1:${server.port + 1}` })).code, 0);
    assert.equal(proxy.requests.length, 1);
  });

  for (const [scheme, variable] of [
    ["http", "http_proxy"],
    ["https", "https_proxy"],
  ]) {
    for (const [what, status, given, sentence] of [
      ["no user where one is wanted", 407, "", /wants a user and a password: HTTP 407/],
      ["a wrong password", 407, "me:wr0ng@", /does not accept this user and password: HTTP 407/],
    ]) {
      test(`${scheme}: ${what}`, async (t) => {
        const server = await startFileServer(t, ZIP, [], scheme === "https" ? certificate : undefined);
        const proxy = await proxyTo(t, server, { user: SECRET });
        const { code, said, json } = await download(t, `${scheme}://cdl.test/{year}.zip`, {
          [variable]: `http://${given}${proxy.name}`,
        });
        assert.equal(code, 9, said);
        assert.match(said, sentence);
        assert.ok(said.includes(`the proxy ${proxy.name} (${variable})`), said);
        assert.equal(json.url, `${scheme}://cdl.test/2020.zip`);
        assert.equal(proxy.requests[0].fault, status);
        assert.equal(server.requests.length, 0);
        assert.doesNotMatch(said, /s3cr3t|wr0ng/);
      });
    }
  }

  test("a proxy that is not there, or whose name is not known, is named", async (t) => {
    const [port] = await freePorts(1);
    for (const [name, code] of [
      [`127.0.0.1:${port}`, "ECONNREFUSED"],
      ["proxy.invalid:3128", "ENOTFOUND|EAI_AGAIN"],
    ]) {
      const source = "https://cdl.test/{year}.zip";
      const { code: exit, said } = await download(t, source, { HTTPS_PROXY: `http://${SECRET}@${name}` });
      assert.equal(exit, 9, said);
      assert.match(said, new RegExp(`the proxy ${name} \\(HTTPS_PROXY\\) cannot be reached: (${code})`));
      assert.match(said, /https:\/\/cdl\.test\/2020\.zip/);
      assert.doesNotMatch(said, /s3cr3t/);
    }
  });

  test("a text that is no proxy is told before anything is fetched, without its password", async (t) => {
    const { code, said } = await download(t, "https://cdl.test/{year}.zip", { HTTPS_PROXY: `socks5://${SECRET}@p:1` });
    assert.equal(code, 2, said);
    assert.match(said, /A proxy must be an http:\/\/ or https:\/\/ URL.*source=HTTPS_PROXY/);
    assert.doesNotMatch(said, /s3cr3t/);
  });

  const fetched = async (t, proxy, { retries = 2, timing = {} } = {}) => {
    const path = join(tempFolder(t), "f.zip");
    const ctx = testContext();
    const proxies = ProxyRules.of(proxy.url, {});
    await fetchFile("http://cdl.test/f.zip", path, { retries, proxies, timing: { ...QUICK, ...timing } }, ctx);
    return { bytes: readFileSync(path), ctx };
  };

  test("a connection that breaks is continued by Range, a refused one tried again, both over one connection", async (t) => {
    const server = await startFileServer(t, ZIP, [{}, { status: 503 }, { status: 503 }]);
    const proxy = await proxyTo(t, server, { plan: ({ index }) => (index === 0 ? "cut" : undefined) });
    const { bytes, ctx } = await fetched(t, proxy, { retries: 3 });
    assert.deepEqual(bytes, ZIP);
    assert.equal(proxy.requests.length, 4);
    const start = Number(/^bytes=(\d+)-$/.exec(server.requests.at(-1).range)[1]);
    // A break may drop what was received last: the client's, not the proxy's doing.
    assert.ok(start > 0 && start <= 200_000, `${start}`);
    assert.equal(server.requests.at(-1).ifRange, '"v1"');
    assert.equal(proxy.connections, 2, "the broken one, and one for all others");
    assert.ok(ctx.lines.every(({ proxy: name }) => name === proxy.name));
  });

  test("a proxy that is silent, breaks off, or cannot reach the server is tried again", async (t) => {
    for (const [fault, received, timing] of [
      ["stall", /no byte for 0.3 s/, { stallMs: 300 }],
      ["reset", /other side closed|ECONNRESET/],
      [502, /HTTP 502/],
    ]) {
      const server = await startFileServer(t, ZIP);
      const proxy = await proxyTo(t, server, { plan: ({ index }) => (index === 0 ? fault : undefined) });
      const { bytes, ctx } = await fetched(t, proxy, { timing });
      assert.deepEqual(bytes, ZIP, String(fault));
      assert.match(ctx.lines.find(({ level }) => level === "warn").received, received);
    }
  });

  test("https: a tunnel that is refused for good is not asked for again, one that failed is", async (t) => {
    const server = await startFileServer(t, ZIP, [], certificate);
    for (const [status, sentence, asked] of [
      [403, /does not allow cdl\.test: HTTP 403/, 1],
      [502, /cannot connect to cdl\.test: HTTP 502/, 3],
      [429, /HTTP 429/, 3],
    ]) {
      const proxy = await proxyTo(t, server, { plan: () => status });
      const path = join(tempFolder(t), "f.zip");
      const proxies = ProxyRules.of(proxy.url, {});
      await assert.rejects(
        fetchFile("https://cdl.test/f.zip", path, { retries: 2, proxies, timing: QUICK }, testContext()),
        (error) => {
          assert.equal(error.kind, "network");
          assert.match(error.message, sentence);
          assert.match(error.message, /https:\/\/cdl\.test\/f\.zip/);
          return true;
        },
      );
      assert.equal(proxy.requests.length, asked, String(status));
    }
  });

  test("a redirect from http:// to https:// goes by the proxy of each", async (t) => {
    const server = await startFileServer(t, ZIP, [], certificate);
    const first = await startFileServer(t, ZIP, [{ status: 302, headers: { location: "https://cdl.test/2020.zip" } }]);
    const plain = await startWebProxy({ hosts: { "old.test:80": `127.0.0.1:${first.port}` } });
    t.after(() => plain.stop());
    const secure = await proxyTo(t, server);
    const env = { HTTP_PROXY: plain.url, HTTPS_PROXY: secure.url };
    const { code, raster, said } = await download(t, "http://old.test/{year}.zip", env);
    assert.equal(code, 0, said);
    assert.deepEqual(raster(), TIF);
    assert.deepEqual([plain.requests.length, secure.requests.length], [1, 1]);
  });
});
