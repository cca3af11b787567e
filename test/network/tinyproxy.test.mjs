// The same by way of a proxy that others have made.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { fetchFile } from "../../dist/network/fetch-file.js";
import { ProxyRules } from "../../dist/network/proxy.js";
import { runStep } from "../../dist/pipeline/step.js";
import { makeCertificate } from "../support/certificate.mjs";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { startFileServer } from "../support/file-server.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { makeContext, makeRoot, makeYear, sha256 } from "../support/published-year.mjs";
import { tiffBytes } from "../support/raster-bytes.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { startTinyproxy, tinyproxyMissing } from "../support/tinyproxy.mjs";
import { proxyEnvironment } from "../support/web-proxy.mjs";

const TIF = tiffBytes(3_000_000);
const ZIP = handmadeZip([{ name: "2020_30m_cdls.tif", data: TIF }]);
const SECRET = "me:s3cr3t";

describe("by way of tinyproxy", { skip: tinyproxyMissing() }, () => {
  let proxy;
  before(async () => {
    proxy = await startTinyproxy({ user: SECRET });
  });
  after(() => proxy?.stop());

  test("a download over https://", async (t) => {
    const certificate = makeCertificate(tempFolder(t), ["localhost"]);
    const server = await startFileServer(t, ZIP, [], certificate);
    const root = tempFolder(t);
    const source = `https://localhost:${server.port}/{year}.zip`;
    const env = proxyEnvironment({ HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: certificate.path });
    const { code, stderr } = await command("download", ["2020", "--root", root, "--cdl-source", source], { env });
    assert.equal(code, 0, stderr);
    assert.deepEqual(readFileSync(join(root, "data/cdl/us_2020/2020_30m_cdls.tif")), TIF);
    assert.match(proxy.log(), new RegExp(`CONNECT localhost:${server.port}`));
  });

  test("a download over http:// that breaks, and is continued", async (t) => {
    const server = await startFileServer(t, ZIP, [{ cut: 1_000_000 }]);
    const path = join(tempFolder(t), "f.zip");
    const proxies = ProxyRules.of(proxy.url, {});
    const timing = { backoffMs: 5, maxBackoffMs: 20, stallMs: 5_000 };
    await fetchFile(`${server.origin}/f.zip`, path, { retries: 2, proxies, timing }, testContext());
    assert.deepEqual(readFileSync(path), ZIP);
    assert.match(server.requests[1].range, /^bytes=[1-9]\d*-$/);
    assert.match(proxy.log(), new RegExp(`GET ${server.origin}/f.zip`));
  });

  test("a password that it does not know, and a port that it does not connect to", async (t) => {
    const strict = await startTinyproxy({ connect: [443] });
    t.after(() => strict.stop());
    for (const [url, sentence] of [
      [`http://me:wr0ng@${proxy.name}`, /does not accept this user and password: HTTP 40[17]/],
      [strict.url, /does not allow localhost:8443: HTTP 403/],
    ]) {
      const options = { retries: 0, proxies: ProxyRules.of(url, {}) };
      await assert.rejects(
        fetchFile("https://localhost:8443/f.zip", join(tempFolder(t), "f.zip"), options, testContext()),
        (error) => {
          assert.match(error.message, sentence);
          assert.doesNotMatch(error.message, /wr0ng/);
          return true;
        },
      );
    }
  });

  test("an upload in parts, and the manifest", { skip: swiftMissing() }, async (t) => {
    const server = await startSwift();
    const environment = { ...process.env };
    t.after(async () => {
      process.env = environment;
      await server.stop();
    });
    Object.assign(process.env, credentialEnvironment(server.credentials), proxyEnvironment());
    const client = clientOf(server);
    await makeBucket(client, "tiles");
    const options = { target: "s3://tiles", endpoint: server.endpoint, proxy: proxy.url };
    const tuning = { partBytes: 5 * 2 ** 20 };
    const { step, archive } = makeYear(makeRoot(t), 2020, { options, bytes: 12 * 2 ** 20, tuning });
    await runStep(step, makeContext());
    const get = async (Key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: "tiles", Key }));
      return Buffer.from(await Body.transformToByteArray());
    };
    assert.equal(sha256(await get("fields_us_2020_full.pmtiles")), sha256(readFileSync(archive.path)));
    assert.deepEqual(JSON.parse(await get("us_full_years.json")).years, [2020]);
    assert.match(proxy.log(), new RegExp(`PUT ${server.endpoint}/tiles/fields_us_2020_full.pmtiles`));
  });
});
