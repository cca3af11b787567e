// The viewer over a bucket's URL: ranges pass through the server, and are kept.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { startBucket } from "../support/bucket-server.mjs";
import { writeFields } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { archiveName, publishFields, startTestViewer, writeManifest } from "../support/viewer.mjs";

async function bucketOf(t, years, behave) {
  const folder = tempFolder(t);
  publishFields(folder, years);
  const bucket = await startBucket(folder, behave);
  t.after(() => bucket.close());
  return { folder, bucket };
}

test("archives are read from the bucket through the server, each range once", async (t) => {
  const { folder, bucket } = await bucketOf(t, [2018, 2019]);
  const viewer = await startTestViewer(t, bucket.url);
  const { years } = await viewer.years();
  assert.deepEqual(
    years.map(({ year }) => year),
    [2018, 2019],
  );
  const { url } = years[1].archive;
  const whole = readFileSync(join(folder, archiveName(2019)));
  const ranged = async (range) => {
    const answer = await viewer.get(url, { range: `bytes=${range}` });
    return {
      status: answer.status,
      range: answer.headers.get("content-range"),
      body: Buffer.from(await answer.arrayBuffer()),
    };
  };
  const [first, again] = await Promise.all([ranged("100-5099"), ranged("100-5099")]);
  assert.equal(first.status, 206);
  assert.equal(first.range, `bytes 100-5099/${whole.length}`);
  assert.ok(first.body.equals(whole.subarray(100, 5100)) && again.body.equals(first.body));
  assert.equal(bucket.requests.filter(({ range }) => range === "bytes=100-5099").length, 1);
  const end = await ranged(`${whole.length - 3}-99999999`);
  assert.ok(end.body.equals(whole.subarray(-3)));
  assert.equal((await ranged(`${whole.length}-`)).status, 416);
  const full = await viewer.get(url);
  assert.ok(Buffer.from(await full.arrayBuffer()).equals(whole));
});

test("areas come from the legend that is published beside the archives; crops of single fields do not", async (t) => {
  const { folder, bucket } = await bucketOf(t, [2018, 2019]);
  const crops = [{ code: 1, name: "Corn", color: "#ffd400", fields: { 2018: 7 }, hectares: { 2018: 12.5 } }];
  writeFileSync(
    join(folder, "us_legend.json"),
    JSON.stringify({ version: 1, region: "us", years: [2018, 2019], crops }),
  );
  const viewer = await startTestViewer(t, bucket.url);
  assert.match((await viewer.years()).history, /^[0-9a-f]{20}$/);
  assert.deepEqual(await (await viewer.get("api/areas")).json(), {
    years: [2018, 2019],
    crops: [{ code: 1, name: "Corn", color: "#ffd400", hectares: { 2018: 12.5 } }],
  });
  assert.equal((await viewer.get("api/fields/1.json")).status, 404);
  writeFileSync(join(folder, "us_legend.json"), "no JSON");
  const broken = await startTestViewer(t, bucket.url);
  assert.equal((await broken.get("api/areas")).status, 404);
  assert.ok(broken.lines.some((line) => line.includes("history cannot be read") && line.includes("us_legend.json")));
});

test("an archive replaced in the bucket gets another URL, and is not mixed with the old one", async (t) => {
  const { folder, bucket } = await bucketOf(t, [2019]);
  const viewer = await startTestViewer(t, bucket.url);
  const [{ archive }] = (await viewer.years()).years;
  writeFields(join(folder, "new"), { maxZoom: 8 });
  renameSync(join(folder, "new"), join(folder, archiveName(2019)));
  await assert.rejects(async () => {
    const answer = await viewer.get(archive.url, { range: "bytes=2000-2999" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    await answer.arrayBuffer();
  });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const [now] = (await viewer.years()).years;
  assert.notEqual(now.archive.url, archive.url);
  assert.equal(now.archive.maxZoom, 8);
  assert.equal((await viewer.get(now.archive.url, { range: "bytes=0-6" })).status, 206);
});

test("absolute URLs of a manifest count only when they are https or of the same server", async (t) => {
  const { folder, bucket } = await bucketOf(t, [2019]);
  copyFileSync(join(folder, archiveName(2019)), join(folder, "other.pmtiles"));
  writeManifest(folder, {
    2015: { url: "file:///etc/passwd" },
    2016: { url: "http://169.254.169.254/latest" },
    2017: { url: "http://[" },
    2018: { url: `${bucket.url}other.pmtiles` },
    2019: {},
  });
  const viewer = await startTestViewer(t, bucket.url);
  const { years } = await viewer.years();
  const missing = Object.fromEntries(years.map((year) => [year.year, year.missing]));
  for (const year of [2015, 2016, 2017]) assert.match(missing[year], /URL of an archive cannot be used/, String(year));
  assert.deepEqual([missing[2018], missing[2019]], [undefined, undefined]);
});

test("faults of the bucket: ranges not served, answers cut short, no access, not there, away", async (t) => {
  let fault;
  const { bucket } = await bucketOf(t, [2018, 2019], (name) => (name.endsWith(".json") ? undefined : fault));
  const good = await startTestViewer(t, bucket.url);
  const [{ archive }] = (await good.years()).years;
  fault = "cut";
  await assert.rejects(async () => {
    const answer = await good.get(archive.url, { range: "bytes=3000-3999" });
    await answer.arrayBuffer();
  });
  fault = undefined;
  // What failed was not kept.
  assert.equal((await (await good.get(archive.url, { range: "bytes=3000-3999" })).arrayBuffer()).byteLength, 1000);

  for (const [behavior, message] of [
    ["whole", /the server must serve ranges.*received=200/],
    [403, /received=403/],
    [500, /received=500/],
  ]) {
    fault = behavior;
    const viewer = await startTestViewer(t, bucket.url);
    const { years } = await viewer.years();
    assert.ok(years.every(({ missing }) => missing !== undefined));
    assert.ok(
      viewer.lines.some((line) => message.test(line)),
      viewer.lines.join("\n"),
    );
  }
  const nowhere = await startTestViewer(t, `${bucket.url}folder/`);
  assert.deepEqual((await nowhere.years()).years, []);
  await bucket.close();
  const away = await startTestViewer(t, bucket.url);
  const answer = await away.get("api/years");
  assert.deepEqual([answer.status, await answer.text()], [502, "No answer"]);
});

test("a hostile bucket: endless bodies, redirects elsewhere and in circles, very many years", async (t) => {
  const asked = [];
  let behave;
  const server = createServer((request, response) => {
    asked.push(request.url);
    behave(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  const url = `http://127.0.0.1:${server.address().port}/`;
  let sent = 0;
  const endless = (response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(2 ** 16))) sent += 2 ** 16;
    };
    response.on("drain", more);
    more();
  };
  const manifest = (years) => JSON.stringify(years);
  const ofYears = async () => (await (await startTestViewer(t, url)).get("api/years")).json();

  behave = (request, response) => {
    if (request.url.endsWith(".json")) return response.end(manifest([2019]));
    response.writeHead(206, { "content-range": `bytes ${request.headers.range.slice(6)}/1000000` });
    endless(response);
  };
  assert.ok("missing" in (await ofYears()).years[0]);
  assert.ok(sent < 64 * 2 ** 20, `${sent} bytes were taken of an endless answer`);

  const other = `http://localhost:${server.address().port}/`;
  behave = (request, response) => {
    if (request.url.startsWith("/stolen")) return response.end(manifest([2001]));
    response.writeHead(302, { location: `${other}stolen` }).end();
  };
  assert.match(JSON.stringify(await ofYears().catch((error) => error.message)), /error|redirects|JSON/i);
  assert.ok(!asked.includes("/stolen"), "another origin was asked");
  behave = (_request, response) => response.writeHead(302, { location: "/again" }).end();
  await ofYears().catch(() => {});
  assert.ok(asked.filter((path) => path === "/again").length < 20);

  behave = (request, response) => {
    if (request.url.endsWith(".json")) return response.end(manifest(Array.from({ length: 100_000 }, () => 2019)));
    response.writeHead(404).end();
  };
  const before = asked.length;
  assert.equal((await ofYears()).years.length, 1);
  assert.ok(asked.length - before < 20, "one year is asked for once");
});
