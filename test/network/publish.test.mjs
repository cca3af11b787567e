// Uploads by way of a web proxy, to a real S3 server that checks signatures, and CloudFront.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { after, before, describe, test } from "node:test";
import { CloudFrontClient, CreateDistributionCommand, GetInvalidationCommand } from "@aws-sdk/client-cloudfront";
import { GetObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3";
import { runStep } from "../../dist/pipeline/step.js";
import { makeCertificate } from "../support/certificate.mjs";
import { command } from "../support/command.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { freePorts } from "../support/ports.mjs";
import { makeContext, makeRoot, makeYear, readyYear, sha256 } from "../support/published-year.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

const KILLED = new URL("../publish/killed-upload.mjs", import.meta.url).pathname;
const PART = 5 * 2 ** 20;
const KEY = "fields_us_2020_full.pmtiles";
const MANIFEST = "us_full_years.json";
const SECRET = "me:s3cr3t";

describe("uploads by way of a web proxy", { skip: swiftMissing() }, () => {
  const environment = { ...process.env };
  let server;
  let client;
  let buckets = 0;
  before(async () => {
    server = await startSwift();
    client = clientOf(server);
    Object.assign(process.env, credentialEnvironment(server.credentials), proxyEnvironment());
  });
  after(async () => {
    process.env = environment;
    await server?.stop();
  });

  async function proxyTo(t, hosts, options = {}) {
    const proxy = await startWebProxy({ hosts, ...options });
    t.after(() => proxy.stop());
    return proxy;
  }
  /** A new bucket at a server whose name only the proxy knows, and a root. */
  async function makeTarget(t, endpoint = "http://s3.test") {
    const Bucket = `proxied-${++buckets}`;
    await makeBucket(client, Bucket);
    const { host } = new URL(server.endpoint);
    return {
      Bucket,
      root: makeRoot(t),
      hosts: { "s3.test:80": host },
      options: { target: `s3://${Bucket}`, endpoint },
    };
  }
  const get = async (Bucket, Key) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await Body.transformToByteArray());
  };
  const methods = ({ requests }) => new Set(requests.map(({ method }) => method));

  test("http://: parts and manifest arrive whole; the proxy's password is sent to it and told to nobody", async (t) => {
    const { Bucket, root, hosts, options } = await makeTarget(t);
    const proxy = await proxyTo(t, hosts, { user: SECRET });
    const year = { options: { ...options, proxy: proxy.url }, bytes: 3 * PART + 99, tuning: { partBytes: PART } };
    const { step, archive } = makeYear(root, 2020, year);
    const ctx = makeContext();
    const facts = await runStep(step, ctx);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
    const { ETag } = await client.send(new HeadObjectCommand({ Bucket, Key: KEY }));
    assert.match(ETag, /-4"$/);
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2020]);
    assert.equal(facts.guard, "lock object");
    assert.ok(proxy.requests.length > 8, `${proxy.requests.length}`);
    assert.ok(!methods(proxy).has("CONNECT"));
    assert.ok(proxy.requests.every(({ target }) => target === "http://s3.test"));
    assert.ok(proxy.connections < proxy.requests.length, `${proxy.connections} of ${proxy.requests.length}`);
    const left = [ctx.lines.join("\n"), readFileSync(step.record, "utf8"), readFileSync(step.target, "utf8")].join(
      "\n",
    );
    assert.doesNotMatch(left, /s3cr3t/);
  });

  test("killed in the middle of an upload: the rerun sends the rest", async (t) => {
    const { Bucket, root, hosts, options } = await makeTarget(t);
    const proxy = await proxyTo(t, hosts);
    const given = { ...options, proxy: proxy.url };
    const { archive } = makeYear(root, 2020, { options: given, bytes: 3 * PART + 99 });
    // Not spawnSync: the proxy is in this process.
    const args = [KILLED, root, "2020", JSON.stringify(given), String(PART), String(2 * PART)];
    const [, signal] = await once(spawn(process.execPath, args, { stdio: "inherit" }), "close");
    assert.equal(signal, "SIGKILL");
    const facts = await runStep(
      readyYear(root, 2020, { options: given, tuning: { partBytes: PART } }).step,
      makeContext(),
    );
    assert.equal(facts.resumedBytes, 2 * PART);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
  });

  test("connections that break, and a proxy that is busy, cost a request each", async (t) => {
    const { Bucket, root, hosts, options } = await makeTarget(t);
    const proxy = await proxyTo(t, hosts, { plan: ({ index }) => ({ 1: "reset", 3: 503, 6: "reset" })[index] });
    const { step, archive } = makeYear(root, 2020, {
      options: { ...options, proxy: proxy.url, retries: 4 },
      bytes: 2 * PART + 99,
      tuning: { partBytes: PART },
    });
    await runStep(step, makeContext());
    assert.equal(proxy.requests.filter(({ fault }) => fault !== undefined).length, 3);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
  });

  /** A TLS server before the S3 server, as `https://s3.test`. */
  async function startTls(t) {
    const certificate = makeCertificate(tempFolder(t), ["s3.test", "localhost"]);
    const behind = new URL(server.endpoint);
    const front = https.createServer(certificate, (request, response) => {
      const { method, url, headers } = request;
      const onward = http.request({ hostname: behind.hostname, port: behind.port, method, path: url, headers });
      request.pipe(onward);
      onward.on("error", () => (response.headersSent ? response.end() : response.destroy()));
      onward.on("response", (answer) => {
        response.writeHead(answer.statusCode, answer.rawHeaders);
        answer.pipe(response);
      });
    });
    await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      front.closeAllConnections();
      front.close();
    });
    return { certificate, host: `127.0.0.1:${front.address().port}` };
  }

  test("https://: the command, by the environment", async (t) => {
    const { Bucket, root, options } = await makeTarget(t, "https://s3.test");
    const { certificate, host } = await startTls(t);
    const proxy = await proxyTo(t, { "s3.test:443": host }, { user: SECRET });
    const { archive } = makeYear(root, 2020, { options, bytes: 40 * 2 ** 20 });
    const args = ["2020", "--root", root, "--target", options.target, "--endpoint", options.endpoint, "--json"];
    const env = proxyEnvironment({ HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: certificate.path });
    const { code, stdout, stderr } = await command("publish", args, { env });
    assert.equal(code, 0, stderr);
    assert.deepEqual(methods(proxy), new Set(["CONNECT"]));
    assert.ok(proxy.requests.every(({ target }) => target === "s3.test:443"));
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2020]);
    assert.doesNotMatch(stdout + stderr, /s3cr3t/);
    // A tunnel is used again: fewer of them than requests, of which there are six parts and a dozen others.
    assert.ok(proxy.requests.length <= 8, `${proxy.requests.length}`);
  });

  test("the proxy itself may speak TLS", async (t) => {
    const { certificate, host } = await startTls(t);
    const hosts = { "s3.test:443": host, "s3.test:80": new URL(server.endpoint).host };
    const proxy = await proxyTo(t, hosts, { user: SECRET, tls: certificate });
    for (const scheme of ["http", "https"]) {
      const { Bucket, root, options } = await makeTarget(t, `${scheme}://s3.test`);
      const { archive } = makeYear(root, 2020, { options });
      const args = ["2020", "--root", root, "--target", options.target, "--endpoint", options.endpoint];
      const env = { NODE_EXTRA_CA_CERTS: certificate.path };
      const { code, stderr } = await command("publish", [...args, "--proxy", proxy.url], { env });
      assert.equal(code, 0, stderr);
      assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
    }
  });

  test("NO_PROXY: the server is reached directly", async (t) => {
    const { Bucket, root, options } = await makeTarget(t, server.endpoint);
    const proxy = await proxyTo(t, {});
    process.env.NO_PROXY = "127.0.0.1";
    t.after(() => {
      process.env.NO_PROXY = "";
    });
    await runStep(makeYear(root, 2020, { options: { ...options, proxy: proxy.url } }).step, makeContext());
    assert.equal(proxy.connections, 0);
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2020]);
  });

  for (const [scheme, status, given, sentence] of [
    ["http", 407, "", /The proxy wants a user and a password|wants a user and a password/],
    ["https", 407, "", /the proxy \S+ \(--proxy\) wants a user and a password: HTTP 407/],
    ["https", 407, "me:wr0ng@", /does not accept this user and password: HTTP 407/],
    ["https", 403, undefined, /does not allow s3\.test: HTTP 403/],
    ["https", 502, undefined, /cannot connect to s3\.test: HTTP 502/],
  ]) {
    test(`${scheme}: the proxy says ${status}${given ? ", for the password is wrong" : ""}`, async (t) => {
      const demand = given === undefined ? { plan: () => status } : { user: SECRET };
      const proxy = await proxyTo(t, {}, demand);
      const options = {
        target: "s3://bucket",
        endpoint: `${scheme}://s3.test`,
        proxy: `http://${given ?? ""}${proxy.name}`,
      };
      const { step } = makeYear(makeRoot(t), 2020, { options });
      await assert.rejects(runStep(step, makeContext()), (error) => {
        assert.equal(error.kind, "publish");
        assert.match(error.message, sentence);
        assert.match(error.message, new RegExp(`proxy=${proxy.name}|the proxy ${proxy.name}`));
        assert.doesNotMatch(error.message, /wr0ng|s3cr3t/);
        return true;
      });
      assert.equal(proxy.requests.length, status === 502 ? 3 : 1);
    });
  }

  test("a proxy that is not there is named, with what was wanted", async (t) => {
    const [port] = await freePorts(1);
    for (const scheme of ["http", "https"]) {
      const options = {
        target: "s3://bucket",
        endpoint: `${scheme}://s3.test`,
        proxy: `http://${SECRET}@127.0.0.1:${port}`,
      };
      const { step } = makeYear(makeRoot(t), 2020, { options: { ...options, retries: 0 } });
      await assert.rejects(runStep(step, makeContext()), (error) => {
        assert.match(
          error.message,
          new RegExp(`the proxy 127.0.0.1:${port} \\(--proxy\\) cannot be reached: ECONNREFUSED`),
        );
        assert.match(error.message, /target=s3:\/\/bucket/);
        assert.doesNotMatch(error.message, /s3cr3t/);
        return true;
      });
    }
  });
});

test("CloudFront is told by way of the proxy", { skip: motoMissing() }, async (t) => {
  const moto = await startMoto();
  const environment = { ...process.env };
  t.after(async () => {
    process.env = environment;
    await moto.stop();
  });
  Object.assign(process.env, credentialEnvironment(moto.credentials), proxyEnvironment(), {
    AWS_ENDPOINT_URL_CLOUDFRONT: "http://cloudfront.test",
  });
  const { host } = new URL(moto.endpoint);
  const proxy = await startWebProxy({ hosts: { "cloudfront.test:80": host } });
  t.after(() => proxy.stop());
  await makeBucket(clientOf(moto), "tiles");
  const distribution = {
    CallerReference: "one",
    Comment: "",
    Enabled: true,
    Origins: {
      Quantity: 1,
      Items: [{ Id: "o", DomainName: "tiles.s3.amazonaws.com", S3OriginConfig: { OriginAccessIdentity: "" } }],
    },
    DefaultCacheBehavior: {
      TargetOriginId: "o",
      ViewerProtocolPolicy: "allow-all",
      MinTTL: 0,
      ForwardedValues: { QueryString: false, Cookies: { Forward: "none" } },
    },
  };
  const cloudfront = new CloudFrontClient({
    endpoint: moto.endpoint,
    region: "us-east-1",
    credentials: moto.credentials,
  });
  const { Distribution } = await cloudfront.send(new CreateDistributionCommand({ DistributionConfig: distribution }));
  const options = { target: "s3://tiles", endpoint: moto.endpoint, distribution: Distribution.Id, proxy: proxy.url };
  const facts = await runStep(makeYear(makeRoot(t), 2020, { options }).step, makeContext());
  const id = /^created (\S+)$/.exec(facts.invalidation)?.[1];
  const { Invalidation } = await cloudfront.send(
    new GetInvalidationCommand({ DistributionId: Distribution.Id, Id: id }),
  );
  assert.ok(Invalidation.InvalidationBatch.Paths.Items.includes(`/${KEY}`));
  assert.ok(proxy.requests.some(({ target }) => target === "http://cloudfront.test"));
  assert.equal(facts.guard, "conditional write");
});
