// Servers that refuse checksum headers, each in its own words: a real one behind a proxy that refuses as they do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { runStep } from "../../dist/pipeline/step.js";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { makeContext, makeRoot, makeYear } from "../support/published-year.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";

const PART = 5 * 2 ** 20;
const KEY = "maps/v1/fields_us_2020_full.pmtiles";

/** Passes requests on, but those with checksum headers, which it refuses by `status` and `code`. */
async function startRefusing(endpoint, status, code) {
  const behind = new URL(endpoint);
  const seen = { refused: 0, passed: 0 };
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const checksums = Object.keys(headers).filter((name) =>
      /^x-amz-(checksum-(?!mode)|sdk-checksum|trailer)/.test(name),
    );
    if (checksums.length > 0) {
      seen.refused++;
      request.resume().on("end", () => {
        response.writeHead(status, { "content-type": "application/xml" });
        response.end(`<?xml version='1.0'?><Error><Code>${code}</Code><Message>${checksums[0]}</Message></Error>`);
      });
      return;
    }
    seen.passed++;
    const onward = http.request({ hostname: behind.hostname, port: behind.port, method, path: url, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${server.address().port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("servers that refuse checksum headers", { skip: motoMissing() }, () => {
  let moto;
  let client;
  let buckets = 0;
  const environment = { ...process.env };

  before(async () => {
    moto = await startMoto();
    client = clientOf(moto);
    Object.assign(process.env, credentialEnvironment(moto.credentials));
  });
  after(async () => {
    process.env = environment;
    await moto?.stop();
  });

  async function publishThrough(t, status, code, { bytes = 20_000, ...given } = {}) {
    const proxy = await startRefusing(moto.endpoint, status, code);
    t.after(() => proxy.stop());
    const Bucket = `refusing-${++buckets}`;
    await makeBucket(client, Bucket);
    const options = { target: `s3://${Bucket}/maps/v1/`, endpoint: proxy.endpoint, ...given };
    const tuning = { partBytes: PART, parallelParts: 3 };
    const { step, archive } = makeYear(makeRoot(t), 2020, { bytes, options, tuning });
    const ctx = makeContext();
    await runStep(step, ctx);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: KEY }));
    assert.deepEqual(Buffer.from(await Body.transformToByteArray()), readFileSync(archive.path));
    return { seen: proxy.seen, told: ctx.lines.filter((line) => /rejects checksum headers/.test(line)) };
  }

  for (const [status, code] of [
    [501, "NotImplemented"],
    [400, "InvalidArgument"],
    [400, "XAmzContentSHA256Mismatch"],
    [411, "MissingContentLength"],
    [403, "SignatureDoesNotMatch"],
  ]) {
    test(`${status} ${code}: done without them, and said once`, async (t) => {
      const { seen, told } = await publishThrough(t, status, code);
      assert.equal(told.length, 1);
      assert.match(told[0], new RegExp(`"code":"${code}"`));
      assert.equal(seen.refused, 1);
    });
  }

  test("an upload in parts", async (t) => {
    const { seen, told } = await publishThrough(t, 501, "NotImplemented", { bytes: 2.5 * PART });
    assert.equal(told.length, 1);
    assert.equal(seen.refused, 1);
  });

  test("--s3-checksums off: not one request has them", async (t) => {
    const { seen, told } = await publishThrough(t, 501, "NotImplemented", { bytes: 2.5 * PART, s3Checksums: "off" });
    assert.deepEqual([told.length, seen.refused], [0, 0]);
  });
});
