import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { PipelineError } from "../../dist/pipeline/errors.js";
import { runStep } from "../../dist/pipeline/step.js";
import { freePorts } from "../support/ports.mjs";
import { makeContext, makeRoot, makeYear, readJson, readyYear, sha256 } from "../support/published-year.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { scratchOf } from "../support/scratch.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";

const ENTRY = new URL("../../dist/publish.js", import.meta.url).pathname;
const KILLED = new URL("./killed-upload.mjs", import.meta.url).pathname;
const PART = 5 * 2 ** 20;
const TUNING = { partBytes: PART, parallelParts: 3 };
const KEY = "maps/v1/fields_us_2020_full.pmtiles";
const STAC = ["maps/v1/us_2020_item.json", "maps/v1/us_collection.json"];
const MANIFEST = "maps/v1/us_full_years.json";

describe("s3 target", { skip: swiftMissing() }, () => {
  let server;
  let client;
  let buckets = 0;
  const environment = { ...process.env };

  before(async () => {
    server = await startSwift();
    client = clientOf(server);
    Object.assign(process.env, credentialEnvironment(server.credentials));
  });
  after(async () => {
    process.env = environment;
    await server?.stop();
  });

  /** A fresh bucket, a fresh root, and the options that publish from one to the other. */
  async function makeTarget(t, given = {}) {
    const Bucket = `test-bucket-${++buckets}`;
    await makeBucket(client, Bucket);
    return {
      Bucket,
      root: makeRoot(t),
      options: { target: `s3://${Bucket}/maps/v1/`, endpoint: server.endpoint, ...given },
    };
  }
  const get = async (Bucket, Key) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await Body.transformToByteArray());
  };
  const keys = async (Bucket) =>
    (await client.send(new ListObjectsV2Command({ Bucket }))).Contents?.map(({ Key }) => Key) ?? [];
  const unfinished = async (Bucket) => (await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? [];

  test("a small archive: bytes, headers, checksum, manifest; a rerun does nothing", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { step, archive, layout } = makeYear(root, 2020, { options });
    const facts = await runStep(step, makeContext());
    const local = readFileSync(archive.path);
    assert.deepEqual(await get(Bucket, KEY), local);
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: KEY }));
    assert.equal(head.ContentLength, local.length);
    assert.equal(head.ContentType, "application/vnd.pmtiles");
    assert.match(head.CacheControl, /max-age=3600/);
    assert.deepEqual(head.Metadata, { sha256: sha256(local), fingerprint: archive.digest });
    const manifest = (await get(Bucket, MANIFEST)).toString();
    assert.deepEqual(JSON.parse(manifest).years, [2020]);
    assert.equal(JSON.parse(manifest).archives[2020].url, `${server.endpoint}/${Bucket}/${KEY}`);
    const manifestHead = await client.send(new HeadObjectCommand({ Bucket, Key: MANIFEST }));
    assert.match(manifestHead.ContentType, /^application\/json/);
    assert.equal(manifestHead.CacheControl, "no-cache");
    assert.equal(readFileSync(layout.manifest, "utf8"), manifest);
    assert.equal(facts.guard, "lock object");
    assert.deepEqual(await keys(Bucket), [KEY, ...STAC, MANIFEST]);

    const again = makeContext();
    await runStep(readyYear(root, 2020, { options }).step, again);
    assert.match(again.lines.join("\n"), /valid, skipped/);
  });

  test("an archive in parts arrives whole, and is not sent twice", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const year = { options, bytes: 3 * PART + 12_345, tuning: TUNING };
    const { step, archive } = makeYear(root, 2020, year);
    await runStep(step, makeContext());
    const local = readFileSync(archive.path);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(local));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: KEY }));
    assert.match(head.ETag, /-4"$/);
    assert.equal(head.Metadata.sha256, sha256(local));
    assert.equal(head.ContentType, "application/vnd.pmtiles");
    assert.deepEqual(await unfinished(Bucket), []);

    const forced = await runStep(readyYear(root, 2020, year).step, makeContext(), { force: true });
    assert.equal(forced.transfer, "already there");
    const { LastModified } = await client.send(new HeadObjectCommand({ Bucket, Key: KEY }));
    assert.deepEqual(LastModified, head.LastModified);
  });

  test("killed in the middle of an upload: the rerun sends the rest, and no year is lost", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    await runStep(makeYear(root, 2019, { options }).step, makeContext());
    const { archive } = makeYear(root, 2020, { options, bytes: 3 * PART + 12_345 });
    const kill = [KILLED, root, "2020", JSON.stringify(options), String(PART), String(2 * PART)];
    const child = spawnSync(process.execPath, kill, { encoding: "utf8" });
    assert.equal(child.signal, "SIGKILL", child.stderr);
    assert.equal((await unfinished(Bucket)).length, 1);
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2019]);

    const facts = await runStep(readyYear(root, 2020, { options, tuning: TUNING }).step, makeContext());
    assert.equal(facts.resumedBytes, 2 * PART);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
    assert.deepEqual(await unfinished(Bucket), []);
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2019, 2020]);
    assert.deepEqual(scratchOf(join(root, "outputs/state/us_2020_published.json")), []);

    // The same bytes as without the kill.
    const calm = await makeTarget(t);
    await runStep(makeYear(calm.root, 2020, { options: calm.options, bytes: 3 * PART + 12_345 }).step, makeContext());
    await runStep(makeYear(calm.root, 2019, { options: calm.options }).step, makeContext());
    const elsewhere = (text) => text.toString().replaceAll(calm.Bucket, Bucket);
    assert.equal(elsewhere(await get(calm.Bucket, MANIFEST)), (await get(Bucket, MANIFEST)).toString());
  });

  test("killed, and then the archive changed: nothing of the old one gets in", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    makeYear(root, 2020, { options, bytes: 2 * PART + 100, seed: 1 });
    spawnSync(process.execPath, [KILLED, root, "2020", JSON.stringify(options), String(PART), String(PART)]);
    assert.equal((await unfinished(Bucket)).length, 1);
    const { step, archive } = makeYear(root, 2020, { options, bytes: 2 * PART + 100, seed: 2, tuning: TUNING });
    const facts = await runStep(step, makeContext());
    assert.equal(facts.resumedBytes, 0);
    assert.equal(sha256(await get(Bucket, KEY)), sha256(readFileSync(archive.path)));
    assert.deepEqual(await unfinished(Bucket), []);
  });

  test("ended by a signal in the middle of an upload: no parts stay at the server", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { step } = makeYear(root, 2020, { options, bytes: 4 * PART, tuning: { partBytes: PART, parallelParts: 2 } });
    const ctx = makeContext();
    const reason = new PipelineError("terminated", "Ended by SIGTERM");
    let seen = 0;
    const progress = {
      start: (label) => ({
        update(done) {
          if (label === "bytes published" && done >= PART && !ctx.signal.aborted) {
            seen = done;
            ctx.abort(reason);
          }
        },
        end() {},
      }),
    };
    await assert.rejects(runStep(step, { ...ctx, progress }), { kind: "terminated", exitCode: 143 });
    assert.equal(seen, PART);
    assert.deepEqual(await unfinished(Bucket), []);
    assert.deepEqual(await keys(Bucket), []);
  });

  test("a run that lost its lock in the middle of an upload leaves the upload to its successor", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { step } = makeYear(root, 2020, { options, bytes: 4 * PART, tuning: { partBytes: PART, parallelParts: 2 } });
    const ctx = makeContext();
    let held = true;
    const progress = {
      start: (label) => ({
        update(done) {
          if (label !== "bytes published" || done < PART || !held) return;
          held = false;
          ctx.abort(new PipelineError("locked", "Lost the lock during the run"));
        },
        end() {},
      }),
    };
    await assert.rejects(runStep(step, { ...ctx, progress, held: () => held }), { kind: "locked" });
    assert.equal((await unfinished(Bucket)).length, 1);
    assert.deepEqual(await keys(Bucket), []);
  });

  test("another's unfinished upload of today is left alone", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    await client.send(new CreateMultipartUploadCommand({ Bucket, Key: KEY }));
    await runStep(makeYear(root, 2020, { options, bytes: 2 * PART, tuning: TUNING }).step, makeContext());
    assert.equal((await unfinished(Bucket)).length, 1);
  });

  test("five years published at once, are guarded by lock objects, and none is lost", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const years = [2015, 2016, 2017, 2018, 2019];
    await Promise.all(years.map((year) => runStep(makeYear(root, year, { options }).step, makeContext())));
    const manifest = await get(Bucket, MANIFEST);
    assert.deepEqual(JSON.parse(manifest).years, years);
    assert.equal(readFileSync(join(root, "outputs/web/us_full_years.json"), "utf8"), manifest.toString());
    assert.deepEqual(
      (await keys(Bucket)).filter((key) => key.includes(".lock")),
      [],
    );
  });

  test("the lock object of a dead writer is removed after its lease", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const claim = `${MANIFEST}.lock/00000000-dead`;
    await client.send(new PutObjectCommand({ Bucket, Key: claim, Body: Buffer.from("x") }));
    const ctx = makeContext();
    // Long enough that this process renews its own in time, however busy the machine is.
    const leaseMs = 4_000;
    const began = performance.now();
    await runStep(makeYear(root, 2020, { options, tuning: { leaseMs } }).step, ctx);
    assert.ok(performance.now() - began >= leaseMs, "not before its time");
    assert.match(ctx.lines.join("\n"), /removed the lock of a dead writer/);
    assert.deepEqual(await keys(Bucket), [KEY, ...STAC, MANIFEST]);
  });

  test("what was taken away at the server is put back", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    await runStep(makeYear(root, 2020, { options }).step, makeContext());
    await client.send(new PutObjectCommand({ Bucket, Key: KEY, Body: Buffer.from("other") }));
    const ctx = makeContext();
    const facts = await runStep(readyYear(root, 2020, { options }).step, ctx);
    assert.match(ctx.lines.join("\n"), /started \(the target holds another archive/);
    assert.equal(facts.transfer, "uploaded");
    assert.equal(`sha256:${sha256(await get(Bucket, KEY))}`, facts.checksum);
  });

  test("a foreign manifest is left as it is, and nothing is sent; an old list is taken over", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    await client.send(new PutObjectCommand({ Bucket, Key: MANIFEST, Body: Buffer.from("<html>") }));
    const { step } = makeYear(root, 2020, { options });
    await assert.rejects(runStep(step, makeContext()), (error) => {
      assert.equal(error.kind, "publish");
      assert.match(
        error.message,
        /not written by this program.*target=s3:\/\/test-bucket-\d+\/maps\/v1, manifest=us_full_years\.json/,
      );
      return true;
    });
    assert.equal((await get(Bucket, MANIFEST)).toString(), "<html>");
    assert.deepEqual(await keys(Bucket), [MANIFEST]);
    await client.send(new PutObjectCommand({ Bucket, Key: MANIFEST, Body: Buffer.from("[2008]") }));
    await runStep(step, makeContext());
    assert.deepEqual(JSON.parse(await get(Bucket, MANIFEST)).years, [2008, 2020]);
  });

  test("refused credentials are named as such at once, and never shown", async (t) => {
    const { root, options } = await makeTarget(t);
    makeYear(root, 2020, { options });
    const publish = (credentials, extra = {}) => {
      const env = { ...process.env, ...credentialEnvironment(credentials), ...extra };
      const words = [ENTRY, "2020", "--root", root, "--target", options.target, "--endpoint", server.endpoint];
      const profile = extra.AWS_SHARED_CREDENTIALS_FILE ? ["--profile", "maps"] : [];
      return spawnSync(process.execPath, [...words, ...profile, "--retries", "8"], { encoding: "utf8", env });
    };
    const secret = "Zm9yZ290dGVu-c2VjcmV0";
    const wrong = publish({ accessKeyId: "test:tester", secretAccessKey: secret });
    assert.equal(wrong.status, 10, wrong.stderr);
    assert.match(
      wrong.stderr,
      /refuses the credentials.*endpoint=http:.*bucket=test-bucket.*code=SignatureDoesNotMatch/,
    );
    assert.ok(!wrong.stderr.includes(secret));
    assert.ok(!wrong.stderr.includes("test:tester"));

    const none = publish(undefined);
    assert.equal(none.status, 10);
    assert.match(none.stderr, /No AWS credentials found; set a profile/);

    const file = join(root, "credentials");
    writeFileSync(file, "[maps]\naws_access_key_id = test:tester\naws_secret_access_key = testing-secret\n");
    const byProfile = publish(undefined, { AWS_SHARED_CREDENTIALS_FILE: file });
    assert.equal(byProfile.status, 0, byProfile.stderr);
    const traces = [
      byProfile.stderr,
      byProfile.stdout,
      readFileSync(readyYear(root, 2020, { options }).step.record, "utf8"),
    ];
    for (const trace of traces) assert.ok(!trace.includes("testing-secret"));
  });

  test("a missing bucket and a server that is down are named, and valid outputs stay", async (t) => {
    const { Bucket, root, options } = await makeTarget(t);
    const { step, layout } = makeYear(root, 2020, { options });
    await runStep(step, makeContext());
    const receipt = readFileSync(step.target, "utf8");

    const missing = makeYear(root, 2021, { options: { ...options, target: "s3://no-such-bucket-here/x" } });
    await assert.rejects(runStep(missing.step, makeContext()), (error) => {
      assert.equal(error.exitCode, 10);
      assert.match(error.message, /no such bucket.*year=2021.*bucket=no-such-bucket-here/);
      return true;
    });
    const [port] = await freePorts(1);
    const endpoint = `http://127.0.0.1:${port}`;
    for (const year of [2020, 2022]) {
      const down = makeYear(root, year, { options: { ...options, endpoint } });
      await assert.rejects(runStep(down.step, makeContext()), (error) => {
        assert.equal(error.exitCode, 10);
        assert.match(
          error.message,
          new RegExp(`Cannot reach the S3 server.*year=${year}.*${endpoint}.*bucket=${Bucket}`),
        );
        assert.match(error.message, /ECONNREFUSED/);
        return true;
      });
    }
    assert.equal(readFileSync(step.target, "utf8"), receipt);
    assert.deepEqual(readJson(layout.manifest).years, [2020]);
    assert.ok(existsSync(dirname(layout.archive)));
  });
});
