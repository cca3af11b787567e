import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { GetObjectCommand, ListMultipartUploadsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { runStep } from "../../dist/pipeline/step.js";
import { withArchive } from "../../dist/publish/manifest.js";
import { updateManifest } from "../../dist/publish/manifest-update.js";
import { openTarget } from "../../dist/publish/open-target.js";
import { startFaultProxy } from "../support/fault-proxy.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { makeContext, makeRoot, makeYear, readyYear, sha256 } from "../support/published-year.mjs";
import { Random } from "../support/random.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";

const PART = 5 * 2 ** 20;
const KEY = "fields_us_2020_full.pmtiles";
const MANIFEST = "us_full_years.json";

const environment = { ...process.env };

/** A server with a proxy before it whose `plan` each test sets. */
function withServer(start) {
  const at = { plan: () => undefined, buckets: 0 };
  before(async () => {
    at.server = await start();
    at.client = clientOf(at.server);
    at.proxy = await startFaultProxy(at.server.endpoint, (request) => at.plan(request));
    Object.assign(process.env, credentialEnvironment(at.server.credentials));
  });
  after(async () => {
    process.env = environment;
    await at.proxy?.stop();
    await at.server?.stop();
  });
  at.target = async (t, given = {}) => {
    const Bucket = `faults-${++at.buckets}`;
    await makeBucket(at.client, Bucket);
    t.after(() => {
      at.plan = () => undefined;
    });
    for (const fault of Object.keys(at.proxy.seen)) delete at.proxy.seen[fault];
    return { Bucket, root: makeRoot(t), options: { target: `s3://${Bucket}`, endpoint: at.proxy.endpoint, ...given } };
  };
  at.get = async (Bucket, Key) => {
    const { Body } = await at.client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await Body.transformToByteArray());
  };
  return at;
}

describe("uploads through a bad network", { skip: swiftMissing() }, () => {
  const at = withServer(startSwift);

  for (const fault of ["reset", "slowdown", "lost", "truncated", "late"]) {
    test(`every third request meets ${fault}: the archive arrives whole, the manifest lists it`, async (t) => {
      const { Bucket, root, options } = await at.target(t, { retries: 6 });
      let requests = 0;
      at.plan = () => (++requests % 3 === 0 ? fault : undefined);
      const { step, archive } = makeYear(root, 2020, {
        options,
        bytes: 3 * PART + 12_345,
        tuning: { partBytes: PART, parallelParts: 2 },
      });
      await runStep(step, makeContext());
      assert.ok(at.proxy.seen[fault] >= 2, `the fault was hardly met: ${JSON.stringify(at.proxy.seen)}`);
      assert.equal(sha256(await at.get(Bucket, KEY)), sha256(readFileSync(archive.path)));
      assert.deepEqual(JSON.parse(await at.get(Bucket, MANIFEST)).years, [2020]);
      const { Uploads } = await at.client.send(new ListMultipartUploadsCommand({ Bucket }));
      assert.deepEqual(Uploads ?? [], []);
    });
  }

  test("a server that stays too busy: a clear error, the parts kept, the next run sends only the rest", async (t) => {
    const { Bucket, root, options } = await at.target(t, { retries: 1 });
    const year = { options, bytes: 4 * PART, tuning: { partBytes: PART, parallelParts: 1 } };
    let parts = 0;
    at.plan = ({ method, url }) =>
      method === "PUT" && url.includes("partNumber=") && ++parts > 2 ? "slowdown" : undefined;
    const { step, archive } = makeYear(root, 2020, year);
    await assert.rejects(runStep(step, makeContext()), (error) => {
      assert.equal(error.kind, "publish");
      assert.match(error.message, /the server stayed too busy.*year=2020/);
      return true;
    });
    at.plan = () => undefined;
    const facts = await runStep(readyYear(root, 2020, year).step, makeContext());
    assert.equal(facts.resumedBytes, 2 * PART);
    assert.equal(sha256(await at.get(Bucket, KEY)), sha256(readFileSync(archive.path)));
  });

  test("seeded mix of all faults", async (t) => {
    const { Bucket, root, options } = await at.target(t, { retries: 8 });
    const random = new Random(7);
    const faults = ["reset", "slowdown", "lost", "truncated", "late"];
    at.plan = () => (random.chance(0.3) ? random.pick(faults) : undefined);
    const years = [2018, 2019, 2020];
    const made = years.map((year) =>
      makeYear(root, year, { options, bytes: 2 * PART + year, tuning: { partBytes: PART, parallelParts: 2 } }),
    );
    await Promise.all(made.map(({ step }) => runStep(step, makeContext())));
    assert.ok(Object.keys(at.proxy.seen).length >= 4, JSON.stringify(at.proxy.seen));
    for (const { year, archive } of made) {
      assert.equal(sha256(await at.get(Bucket, `fields_us_${year}_full.pmtiles`)), sha256(readFileSync(archive.path)));
    }
    assert.deepEqual(JSON.parse(await at.get(Bucket, MANIFEST)).years, years);
  });

  test("without a lock object where that is allowed", async (t) => {
    const { Bucket, root, options } = await at.target(t, { allowRace: true });
    // Credentials that may not touch lock objects.
    at.plan = ({ url }) => (url.includes(".lock") ? "reset" : undefined);
    const ctx = makeContext();
    const facts = await runStep(makeYear(root, 2020, { options }).step, ctx);
    assert.equal(facts.guard, "none");
    assert.match(ctx.lines.join("\n"), /warn the server rejects conditional writes: .* without a lock/);
    assert.equal(at.proxy.seen.reset, undefined);
    assert.deepEqual(JSON.parse(await at.get(Bucket, MANIFEST)).years, [2020]);
  });
});

describe("the manifest through a bad network", { skip: motoMissing() }, () => {
  const at = withServer(startMoto);

  test("answers lost, broken off and late: 12 writers at once lose no year", async (t) => {
    const { Bucket, root, options } = await at.target(t, { retries: 8 });
    const random = new Random(11);
    const faults = ["lost", "truncated", "slowdown", "reset", "late"];
    at.plan = () => (random.chance(0.25) ? random.pick(faults) : undefined);
    const { options: resolved, layout } = makeYear(root, 2020, { options });
    const years = Array.from({ length: 12 }, (_, i) => 2001 + i);
    await Promise.all(
      years.map(async (year) => {
        const target = await openTarget(resolved, layout);
        const file = { target, key: MANIFEST, region: "us", format: "full", allowRace: false };
        const entry = { url: "u", key: "k", bytes: 1, checksum: `sha256:${year}`, layers: [] };
        return updateManifest(
          file,
          (current) => withArchive(current, year, entry, { region: "us", generator: "test" }),
          makeContext(),
        );
      }),
    );
    for (const fault of faults) assert.ok(at.proxy.seen[fault] > 0, `${fault} was not met`);
    const manifest = JSON.parse(await at.get(Bucket, MANIFEST));
    assert.deepEqual(manifest.years, years);
    for (const year of years) assert.equal(manifest.archives[year].checksum, `sha256:${year}`);
  });

  test("a manifest cut short on its way is never taken for a manifest", async (t) => {
    const { Bucket, root, options } = await at.target(t, { retries: 1 });
    const text = JSON.stringify([2001, 2002, 2003, 2004]);
    await at.client.send(new PutObjectCommand({ Bucket, Key: MANIFEST, Body: Buffer.from(text) }));
    at.plan = ({ method, url }) => (method === "GET" && url.includes(MANIFEST) ? "truncated" : undefined);
    await assert.rejects(runStep(makeYear(root, 2020, { options }).step, makeContext()), { kind: "publish" });
    assert.ok(at.proxy.seen.truncated >= 2);
    assert.equal((await at.get(Bucket, MANIFEST)).toString(), text);
  });
});
