import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { CloudFrontClient, CreateDistributionCommand, GetInvalidationCommand } from "@aws-sdk/client-cloudfront";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { runStep } from "../../dist/pipeline/step.js";
import { withArchive } from "../../dist/publish/manifest.js";
import { updateManifest } from "../../dist/publish/manifest-update.js";
import { openTarget } from "../../dist/publish/open-target.js";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { freePorts } from "../support/ports.mjs";
import { makeContext, makeRoot, makeYear, readJson, readyYear, sha256 } from "../support/published-year.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";

const run = promisify(execFile);
const ENTRY = new URL("../../dist/publish.js", import.meta.url).pathname;
const MANIFEST = "us_full_years.json";

describe("manifest under conditional writes, and CloudFront", { skip: motoMissing() }, () => {
  let server;
  let client;
  let buckets = 0;
  const environment = { ...process.env };

  before(async () => {
    server = await startMoto();
    client = clientOf(server);
    Object.assign(process.env, credentialEnvironment(server.credentials), {
      AWS_ENDPOINT_URL_CLOUDFRONT: server.endpoint,
    });
  });
  after(async () => {
    process.env = environment;
    await server?.stop();
  });

  async function makeTarget(t, given = {}) {
    const Bucket = `test-bucket-${++buckets}`;
    await makeBucket(client, Bucket);
    return { Bucket, root: makeRoot(t), options: { target: `s3://${Bucket}`, endpoint: server.endpoint, ...given } };
  }
  const manifestOf = async (Bucket) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: MANIFEST }));
    return JSON.parse(await Body.transformToString());
  };

  test("eight processes publish eight years at once and lose none", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const years = Array.from({ length: 8 }, (_, i) => 2012 + i);
    for (const year of years) makeYear(root, year, { options });
    const common = ["--root", root, "--target", options.target, "--endpoint", server.endpoint, "--json", "--quiet"];
    const publish = (year) => run(process.execPath, [ENTRY, String(year), ...common]);
    const results = await Promise.all(
      years.map((year) =>
        publish(year).catch(({ stderr }) => {
          // The test server compares and writes in two steps. What it loses is noticed, and a rerun puts it back.
          assert.match(stderr, /the manifest does not list the year/);
          return publish(year);
        }),
      ),
    );
    for (const [i, { stdout }] of results.entries()) {
      assert.equal(JSON.parse(stdout)[years[i]].guard, "conditional write");
    }
    const manifest = await manifestOf(Bucket);
    assert.deepEqual(manifest.years, years);
    assert.deepEqual(Object.keys(manifest.archives), years.map(String));
    assert.deepEqual(readJson(join(root, "outputs/web", MANIFEST)), manifest);
  });

  test("an archive in parts arrives whole here too", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const partBytes = 5 * 2 ** 20;
    const { step, archive } = makeYear(root, 2020, { options, bytes: 2 * partBytes + 7, tuning: { partBytes } });
    await runStep(step, makeContext());
    const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key: "fields_us_2020_full.pmtiles" }));
    assert.match(ETag, /-3"$/);
    assert.equal(sha256(await Body.transformToByteArray()), sha256(readFileSync(archive.path)));
  });

  test("32 writers at once: every conflict is read and changed again, no year is lost", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { options: resolved, layout } = makeYear(root, 2020, { options });
    const years = Array.from({ length: 32 }, (_, i) => 1990 + i);
    let changes = 0;
    await Promise.all(
      years.map(async (year) => {
        const file = {
          target: await openTarget(resolved, layout),
          key: MANIFEST,
          region: "us",
          format: "full",
          allowRace: false,
        };
        const entry = { url: "u", key: "k", bytes: 1, checksum: `sha256:${year}`, layers: [] };
        const change = (current) => {
          changes++;
          return withArchive(current, year, entry, { region: "us", generator: "test" });
        };
        return updateManifest(file, change, makeContext());
      }),
    );
    const manifest = await manifestOf(Bucket);
    assert.deepEqual(manifest.years, years);
    for (const year of years) assert.equal(manifest.archives[year].checksum, `sha256:${year}`);
    assert.ok(changes > years.length, "no two writers met: this test has tested nothing");
  });

  test("a manifest that changes between read and write is not overwritten blindly", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { options: resolved, layout } = makeYear(root, 2020, { options });
    const target = await openTarget(resolved, layout);
    const headers = { contentType: "application/json", cacheControl: "no-cache" };
    const ctx = makeContext();
    assert.equal(await target.putText(MANIFEST, "[2001]", headers, { ifNoneMatch: "*" }, ctx), "written");
    assert.equal(await target.putText(MANIFEST, "[2002]", headers, { ifNoneMatch: "*" }, ctx), "conflict");
    const { tag } = await target.getText(MANIFEST, ctx);
    await client.send(new PutObjectCommand({ Bucket, Key: MANIFEST, Body: Buffer.from("[2003]") }));
    assert.equal(await target.putText(MANIFEST, "[2004]", headers, { ifMatch: tag }, ctx), "conflict");
    assert.deepEqual(await manifestOf(Bucket), [2003]);
  });

  async function makeDistribution() {
    const cloudfront = new CloudFrontClient({
      endpoint: server.endpoint,
      region: "us-east-1",
      credentials: server.credentials,
    });
    const origin = { Id: "o", DomainName: "b.s3.amazonaws.com", S3OriginConfig: { OriginAccessIdentity: "" } };
    const { Distribution } = await cloudfront.send(
      new CreateDistributionCommand({
        DistributionConfig: {
          CallerReference: randomUUID(),
          Comment: "",
          Enabled: true,
          Origins: { Quantity: 1, Items: [origin] },
          DefaultCacheBehavior: {
            TargetOriginId: "o",
            ViewerProtocolPolicy: "allow-all",
            MinTTL: 0,
            ForwardedValues: { QueryString: false, Cookies: { Forward: "none" } },
          },
        },
      }),
    );
    const pathsOf = async (Id) => {
      const got = await cloudfront.send(new GetInvalidationCommand({ DistributionId: Distribution.Id, Id }));
      return got.Invalidation.InvalidationBatch.Paths.Items;
    };
    return { distribution: Distribution.Id, pathsOf };
  }

  test("CloudFront is told of manifest, archive and STAC files", async (t) => {
    const { distribution, pathsOf } = await makeDistribution();
    for (const [given, prefix] of [
      [{}, ""],
      [{ publicUrl: "https://maps.example.org/fields/" }, "/fields"],
    ]) {
      const { root, options } = await makeTarget(t, { distribution, ...given });
      const facts = await runStep(makeYear(root, 2020, { options }).step, makeContext());
      const id = /^created (\S+)$/.exec(facts.invalidation)?.[1];
      assert.deepEqual(
        await pathsOf(id),
        [MANIFEST, "fields_us_2020_full.pmtiles", "us_2020_item.json", "us_collection.json"].map(
          (key) => `${prefix}/${key}`,
        ),
      );
    }
  });

  test("waits for the invalidation where asked", async (t) => {
    const { distribution, pathsOf } = await makeDistribution();
    const { root, options } = await makeTarget(t, { distribution, waitInvalidation: true });
    const facts = await runStep(makeYear(root, 2020, { options }).step, makeContext());
    assert.equal((await pathsOf(/^completed (\S+)$/.exec(facts.invalidation)?.[1])).length, 4);
  });

  test("a failing invalidation leaves the publish standing; a rerun tries only that again", async (t) => {
    const { distribution, pathsOf } = await makeDistribution();
    const { Bucket, root, options } = await makeTarget(t, { distribution });
    const { step } = makeYear(root, 2020, { options });
    const [port] = await freePorts(1);
    process.env.AWS_ENDPOINT_URL_CLOUDFRONT = `http://127.0.0.1:${port}`;
    const ctx = makeContext();
    try {
      const facts = await runStep(step, ctx);
      assert.match(facts.invalidation, /^failed: .*ECONNREFUSED/);
    } finally {
      process.env.AWS_ENDPOINT_URL_CLOUDFRONT = server.endpoint;
    }
    assert.match(ctx.lines.join("\n"), /^error Published, but the CloudFront invalidation failed/m);
    assert.deepEqual((await manifestOf(Bucket)).years, [2020]);
    assert.match(readFileSync(step.target, "utf8"), /"invalidation": "failed: /);

    const again = makeContext();
    const facts = await runStep(readyYear(root, 2020, { options }).step, again);
    assert.match(again.lines.join("\n"), /started \(the invalidation failed last time/);
    assert.equal(facts.transfer, "already there");
    assert.equal(facts.guard, "unchanged");
    assert.equal((await pathsOf(/^created (\S+)$/.exec(facts.invalidation)[1])).length, 4);
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
    assert.equal(Contents.length, 4);
  });

  test("an unknown distribution is reported, not thrown", async (t) => {
    const { root, options } = await makeTarget(t, { distribution: "NOSUCHDIST" });
    const facts = await runStep(makeYear(root, 2020, { options }).step, makeContext());
    assert.match(facts.invalidation, /^failed: NoSuchDistribution/);
  });
});
