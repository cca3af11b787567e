// The viewer's server, over real HTTP; hostile requests as bytes on a socket.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { command } from "../support/command.mjs";
import { writeFields } from "../support/field-tiles.mjs";
import { rawRequest } from "../support/raw-http.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { archiveName, publishFields, startTestViewer, writeManifest } from "../support/viewer.mjs";

const SECRET = "nobody must read this";

/** A published folder with a secret beside it. */
function published(t, years, options) {
  const outside = tempFolder(t);
  const folder = join(outside, "web");
  publishFields(folder, years, options);
  writeFileSync(join(outside, "secret.txt"), SECRET);
  copyFileSync(join(folder, archiveName(years[0])), join(outside, "secret.pmtiles"));
  return { folder, outside, content: (year) => readFileSync(join(folder, archiveName(year))) };
}

test("an archive is served in the ranges that are asked for, to the byte", async (t) => {
  const { folder, content } = published(t, [2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const whole = content(2019);
  const size = whole.length;
  const [{ archive }] = (await viewer.years()).years;
  const ask = (headers, method = "GET") => rawRequest(viewer.port, `${method} /${archive.url} HTTP/1.1`, headers);
  const full = await ask({ "accept-encoding": "gzip, br" });
  assert.equal(full.status, 200);
  assert.ok(full.body.equals(whole));
  const { etag } = full.headers;
  assert.match(etag, /^"[0-9a-f]{20}"$/);
  assert.equal(full.headers["accept-ranges"], "bytes");
  assert.equal(full.headers["content-encoding"], undefined);
  assert.match(full.headers["cache-control"], /immutable/);
  for (const [range, start, end] of [
    ["0-0", 0, 1],
    ["0-126", 0, 127],
    [`${size - 10}-16777215`, size - 10, size],
    ["-5", size - 5, size],
    [`${size - 1}-`, size - 1, size],
    ["1000-1999", 1000, 2000],
  ]) {
    const { status, headers, body } = await ask({ range: `bytes=${range}`, "accept-encoding": "gzip, br" });
    assert.equal(status, 206, range);
    assert.equal(headers["content-range"], `bytes ${start}-${end - 1}/${size}`);
    assert.equal(headers["content-length"], String(end - start));
    assert.equal(headers["content-encoding"], undefined);
    assert.equal(headers.etag, etag);
    assert.ok(body.equals(whole.subarray(start, end)), range);
  }
  for (const range of [`bytes=${size}-`, "bytes=-0", "bytes=0-1,4-5"]) {
    const { status, headers } = await ask({ range });
    assert.equal(status, 416, range);
    assert.equal(headers["content-range"], `bytes */${size}`);
  }
  for (const range of ["bytes=9-1", "lines=0-1", "bytes=x"]) assert.equal((await ask({ range })).status, 200, range);
  const head = await ask({ range: "bytes=0-9" }, "HEAD");
  assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, String(size), 0]);
  assert.equal((await ask({ range: "bytes=0-9", "if-range": etag })).status, 206);
  for (const other of [`W/${etag}`, '"old"', "Sun, 22 Nov 2026 08:00:00 GMT"]) {
    const answer = await ask({ range: "bytes=0-9", "if-range": other });
    assert.deepEqual([answer.status, answer.body.length], [200, size], other);
  }
  const same = await ask({ "if-none-match": etag, range: "bytes=0-9" });
  assert.deepEqual([same.status, same.body.length, same.headers.etag], [304, 0, etag]);
  assert.equal((await ask({ "if-match": '"old"' })).status, 412);
});

test("clients that go away leave no file open; slow ones cost no memory; a file cut short breaks the answer off", async (t) => {
  const { folder } = published(t, [2019]);
  const path = join(folder, archiveName(2019));
  const bytes = 256 * 2 ** 20;
  truncateSync(path, bytes);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const [{ archive }] = (await viewer.years()).years;
  const open = () =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === path;
      } catch {
        return false;
      }
    }).length;
  const before = process.memoryUsage().rss;
  const sockets = Array.from({ length: 8 }, () => {
    const socket = connect(viewer.port, "127.0.0.1");
    socket.write(`GET /${archive.url} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    // Nothing is read: the server has to wait.
    return socket;
  });
  while (open() < 8) await pause(20);
  await pause(500);
  assert.ok(process.memoryUsage().rss - before < 128 * 2 ** 20, "eight clients of 256 MiB each");
  truncateSync(path, 2 ** 20);
  const cut = sockets[0];
  const received = await new Promise((resolve) => {
    let sum = 0;
    cut.on("data", (chunk) => (sum += chunk.length));
    cut.on("error", () => {});
    cut.on("close", () => resolve(sum));
  });
  assert.ok(received > 0 && received < bytes);
  for (const socket of sockets) socket.destroy();
  while (open() > 0) await pause(20);
  assert.equal((await viewer.get("api/years")).status, 200);
});

test("no path leads to anything but the page and the archives", async (t) => {
  const { folder } = published(t, [2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  await viewer.years();
  const up = ["..", "%2e%2e", "%2E.", "..%00", "....//..", "%c0%ae%c0%ae", "..%5c..", "%252e%252e"];
  const paths = [
    ...up.flatMap((dots) => [
      `/${dots}/secret.txt`,
      `/archives/${dots}/secret.txt`,
      `/vendor/${dots}/${dots}/secret.txt`,
    ]),
    "/..%2fsecret.txt",
    "/archives/..%2f..%2fsecret.pmtiles",
    "/secret.txt",
    "/../secret.pmtiles",
    "//etc/passwd",
    "/etc/passwd",
    "/file:///etc/passwd",
    "/%00",
    "/index.html%00",
    "/main.js%00.html",
    "/archives/",
    "/archives",
    "/vendor/",
    "/api/",
    "/api/fields/1e3.json",
    "/api/fields/-1.json",
    `/${archiveName(2019)}`,
    `/archives/${archiveName(2019)}`,
    `/archives/${"0".repeat(20)}.pmtiles`,
    "/us_full_years.json",
    "/viewer-server.js",
    "/__proto__",
    "/constructor",
    "/%",
    "/%zz",
  ];
  for (const path of paths) {
    const { status, body } = await rawRequest(viewer.port, `GET ${path} HTTP/1.1`);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    assert.ok(!body.includes(SECRET) && !body.includes("root:") && !body.includes("PMTiles"), path);
  }
  for (const line of ["GET http://elsewhere.example/ HTTP/1.1", "GET secret.txt HTTP/1.1", "OPTIONS * HTTP/1.1"]) {
    const { status } = await rawRequest(viewer.port, line);
    assert.ok(status === 400 || status === 405, `${line}: ${status}`);
  }
  for (const method of ["POST", "PUT", "DELETE", "TRACE", "OPTIONS", "PATCH"]) {
    const { status, headers } = await rawRequest(viewer.port, `${method} / HTTP/1.1`);
    assert.deepEqual([status, headers.allow], [405, "GET, HEAD"], method);
  }
});

test("a manifest leads nowhere outside its folder: not by names, not by links, not by a link put there later", async (t) => {
  const { folder, outside } = published(t, [2019]);
  symlinkSync(join(outside, "secret.pmtiles"), join(folder, "out.pmtiles"));
  symlinkSync(join(folder, archiveName(2019)), join(folder, "in.pmtiles"));
  symlinkSync(outside, join(folder, "up"));
  const keys = {
    2008: "../secret.pmtiles",
    2009: join(outside, "secret.pmtiles"),
    2010: "out.pmtiles",
    2011: "up/secret.pmtiles",
    2012: "a\0b",
    2013: "..",
    2014: "",
    2015: "up",
    2016: "..\\secret.pmtiles",
    2018: "in.pmtiles",
    2019: archiveName(2019),
  };
  writeManifest(folder, Object.fromEntries(Object.entries(keys).map(([year, key]) => [year, { key, url: key }])));
  const viewer = await startTestViewer(t, `file:${folder}`);
  const { years } = await viewer.years();
  const there = years.filter((year) => "archive" in year).map(({ year }) => year);
  assert.deepEqual(there, [2018, 2019]);
  assert.ok(!years.some(({ year }) => year === 2017), "years that are not listed are none");
  assert.match(years.find(({ year }) => year === 2010).missing, /link to outside/);
  for (const { missing = "" } of years) assert.ok(!missing.includes(outside), "the page is told no paths");
  assert.ok(viewer.lines.some((line) => line.includes("link to outside") && line.includes("out.pmtiles")));

  const { archive } = years.find(({ year }) => year === 2019);
  rmSync(join(folder, archiveName(2019)));
  symlinkSync(join(outside, "secret.pmtiles"), join(folder, archiveName(2019)));
  const answer = await viewer.get(archive.url);
  assert.equal(answer.status, 404);
  assert.ok(!(await answer.text()).includes("PMTiles"));
});

test("the folder itself may be reached by a link", async (t) => {
  const { folder, outside } = published(t, [2019]);
  symlinkSync(folder, join(outside, "link"));
  const viewer = await startTestViewer(t, `file:${join(outside, "link")}`);
  const [{ archive }] = (await viewer.years()).years;
  assert.equal((await viewer.get(archive.url, { range: "bytes=0-6" })).status, 206);
});

test("text is compressed as the client takes it, each form with its own tag", async (t) => {
  const { folder } = published(t, [2019]);
  const { port } = await startTestViewer(t, `file:${folder}`);
  const source = readFileSync(new URL("../../dist/view/page/viewer.js", import.meta.url));
  const tags = new Set();
  for (const [accept, encoding, decode] of [
    ["br", "br", brotliDecompressSync],
    ["gzip", "gzip", gunzipSync],
    [undefined, undefined, (body) => body],
  ]) {
    const { status, headers, body } = await rawRequest(port, "GET /viewer.js HTTP/1.1", { "accept-encoding": accept });
    assert.equal(status, 200);
    assert.equal(headers["content-encoding"], encoding);
    assert.equal(headers.vary, "accept-encoding");
    assert.equal(headers["content-type"], "text/javascript; charset=utf-8");
    assert.ok(decode(body).equals(source));
    tags.add(headers.etag);
    const again = await rawRequest(port, "GET /viewer.js HTTP/1.1", {
      "accept-encoding": accept,
      "if-none-match": headers.etag,
    });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
    const head = await rawRequest(port, "HEAD /viewer.js HTTP/1.1", { "accept-encoding": accept });
    assert.deepEqual([head.headers["content-length"], head.body.length], [String(body.length), 0]);
  }
  assert.equal(tags.size, 3);
});

test("the page loads from here alone, and says so to the browser", async (t) => {
  const { folder } = published(t, [2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const page = await viewer.get("");
  const policy = page.headers.get("content-security-policy");
  const html = await page.text();
  const script = /<script type="importmap">([\s\S]*?)<\/script>/.exec(html)[1];
  const hash = createHash("sha256").update(script).digest("base64");
  for (const rule of [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "connect-src 'self'",
    "style-src 'self'",
    "worker-src 'self'",
    "frame-ancestors 'none'",
  ]) {
    assert.ok(policy.split("; ").includes(rule), rule);
  }
  assert.ok(!/unsafe|https?:/.test(policy));
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
  // Everything that the page names is there, with a type that browsers take under nosniff.
  const own = [...html.matchAll(/(?:src|href)="([^"#][^"]*)"/g)].map(([, path]) => path);
  const libraries = Object.values(JSON.parse(script).imports);
  for (const path of [...own, ...libraries, "vendor/maplibre-gl-worker.mjs"]) {
    const answer = await viewer.get(path.replace(/^\.\//, ""));
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /^(text\/(css|javascript)|image\/svg)/, path);
  }
});

test("asked under another name it refuses, so that no other site's page reads through it", async (t) => {
  const { folder } = published(t, [2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const status = async (host) => (await rawRequest(viewer.port, "GET /api/years HTTP/1.1", { host })).status;
  for (const host of ["127.0.0.1:1", "localhost", "LOCALHOST:8080", "[::1]:8080", "127.1.2.3"])
    assert.equal(await status(host), 200, host);
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "10.0.0.1",
    "127.999.999.999",
    "127.1",
    "",
  ])
    assert.equal(await status(host), 403, host);
  const open = await startTestViewer(t, `file:${folder}`, { host: "0.0.0.0" });
  assert.equal((await rawRequest(open.port, "GET /api/years HTTP/1.1", { host: "maps.example.org" })).status, 200);
});

test("what is published while the server runs is picked up; what is replaced has another URL", async (t) => {
  const { folder } = published(t, [2018, 2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const before = await viewer.years();
  const urlOf = ({ years }, year) => years.find((entry) => entry.year === year)?.archive?.url;
  // Readers see a manifest that is being written by something else than publish, too.
  writeFileSync(join(folder, "us_full_years.json"), '{"version": 1, "regi');
  await pause(1_100);
  assert.deepEqual(await viewer.years(), before);
  assert.ok(viewer.lines.some((line) => line.startsWith("warn") && line.includes("it is not JSON")));

  writeFields(join(folder, "new.pmtiles"), { maxZoom: 8 });
  renameSync(join(folder, "new.pmtiles"), join(folder, archiveName(2019)));
  writeFields(join(folder, archiveName(2021)));
  writeManifest(folder, { 2018: {}, 2019: {}, 2021: {} });
  await pause(1_100);
  const after = await viewer.years();
  assert.equal(urlOf(after, 2018), urlOf(before, 2018));
  assert.notEqual(urlOf(after, 2019), urlOf(before, 2019));
  assert.equal(after.years.find(({ year }) => year === 2019).archive.maxZoom, 8);
  assert.deepEqual(
    after.years.map(({ year }) => year),
    [2018, 2019, 2021],
  );
  assert.equal((await viewer.get(urlOf(before, 2019), { range: "bytes=0-6" })).status, 404);
  const bytes = await (await viewer.get(urlOf(after, 2021), { range: "bytes=0-6" })).text();
  assert.equal(bytes, "PMTiles");
});

test("a replaced archive is noticed at the first range, before anyone looks at the years again", async (t) => {
  const { folder } = published(t, [2019]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const [{ archive }] = (await viewer.years()).years;
  writeFields(join(folder, "new.pmtiles"), { maxZoom: 8 });
  renameSync(join(folder, "new.pmtiles"), join(folder, archiveName(2019)));
  assert.equal((await viewer.get(archive.url, { range: "bytes=0-6" })).status, 404);
  const [now] = (await viewer.years()).years;
  assert.notEqual(now.archive.url, archive.url);
});

test("a bare list of years, archives that are missing, cut short, of something else, of many years", async (t) => {
  const { folder } = published(t, [2015, 2016, 2017, 2019, 2020]);
  writeFileSync(join(folder, "us_full_years.json"), "[2020, 2019, 2017, 2016, 2015, 2014]");
  truncateSync(join(folder, archiveName(2016)), 3000);
  writeFileSync(join(folder, archiveName(2017)), "this is no archive");
  writeFields(join(folder, archiveName(2019)), {
    metadata: { vector_layers: [{ id: "fields", fields: { crop_2018: "Number", crop_2019: "Number" } }] },
  });
  writeFields(join(folder, archiveName(2020)), {
    metadata: { vector_layers: [{ id: "fields", fields: { name: "String" } }] },
  });
  const viewer = await startTestViewer(t, `file:${folder}`);
  const { years, legend, history } = await viewer.years();
  assert.deepEqual(
    years.map(({ year }) => year),
    [2014, 2015, 2016, 2017, 2019, 2020],
  );
  const missing = Object.fromEntries(years.map((year) => [year.year, year.missing]));
  assert.match(missing[2014], /not in the folder/);
  assert.equal(missing[2015], undefined);
  assert.match(missing[2016], /cut short/);
  assert.match(missing[2017], /cannot be read/);
  assert.match(missing[2020], /no crops of 2020/);
  assert.equal(years[1].archive.attribute, "crop_code");
  assert.equal(years[4].archive.attribute, "crop_2019");
  assert.ok(legend.some(({ code, name, color }) => code === 1 && name === "Corn" && color === "#ffd400"));
  assert.equal(history, null);
  assert.equal((await viewer.get("api/areas")).status, 404);
  assert.equal((await viewer.get("api/fields/0.json")).status, 404);
});

test("one archive of many years has one URL", async (t) => {
  const { folder } = published(t, [2018]);
  const fields = { crop_2018: "Number", crop_2019: "Number" };
  writeFields(join(folder, "all.pmtiles"), { metadata: { vector_layers: [{ id: "fields", fields }] } });
  writeManifest(folder, {
    2018: { url: "all.pmtiles", key: "all.pmtiles" },
    2019: { url: "all.pmtiles", key: "all.pmtiles" },
  });
  const viewer = await startTestViewer(t, `file:${folder}`);
  const [a, b] = (await viewer.years()).years;
  assert.equal(a.archive.url, b.archive.url);
  assert.deepEqual([a.archive.attribute, b.archive.attribute], ["crop_2018", "crop_2019"]);
});

test("nothing published yet: an empty list, not an error", async (t) => {
  const viewer = await startTestViewer(t, `file:${tempFolder(t)}`);
  const { years } = await viewer.years();
  assert.deepEqual(years, []);
});

test("the command says where it listens, listens on loopback alone, and ends in order", async (t) => {
  const { folder } = published(t, [2019]);
  let child;
  const run = command("serve", ["--target", `file:${folder}`, "--port", "0", "--json"], {
    onStart: (started) => (child = started),
  });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(chunk.toString()));
    child.once("close", () => reject(new Error("ended before it listened")));
  });
  const { url, years } = JSON.parse(line);
  assert.deepEqual(years, [2019]);
  const { port, hostname } = new URL(url);
  assert.equal(hostname, "127.0.0.1");
  assert.equal((await fetch(url)).status, 200);
  // /proc/net/tcp: local address as hex, 0A is listening.
  const listening = readFileSync("/proc/net/tcp", "utf8").match(
    new RegExp(`[0-9A-F]{8}:${Number(port).toString(16).padStart(4, "0")} [0-9A-F:]+ 0A`, "gi"),
  );
  assert.deepEqual(
    listening?.map((entry) => entry.slice(0, 8)),
    ["0100007F"],
  );
  child.kill("SIGTERM");
  const { code, stderr } = await run;
  assert.equal(code, 143, stderr);
  assert.match(stderr, /stopped/);
});

test("wrong arguments are told by name", async (t) => {
  const { folder } = published(t, [2019]);
  const busy = createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  const target = `file:${folder}`;
  const cases = [
    [["--port", "99999", "--target", target], /--port must be a whole number/],
    [["--port", "http", "--target", target], /--port must be a whole number/],
    [["--port", String(busy.address().port), "--target", target], /port is taken; --port 0/],
    [["--host", "203.0.113.1", "--port", "0", "--target", target], /Cannot listen there/],
    [["--target", "s3://bucket/maps"], /https:\/\/ URL under which the target is served/],
    [["--target", "https://me:pass@example.org/"], /without user and password/],
    [["2020", "--target", target], /Unexpected argument/],
    [["--histroy", "x"], /did you mean history/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await command("serve", args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.ok(!stderr.includes("pass@"));
  }
  writeFileSync(join(folder, "us_full_years.json"), "{}");
  const foreign = await command("serve", ["--target", target, "--port", "0"]);
  assert.equal(foreign.code, 10);
  assert.match(foreign.stderr, /not written by this program/);
});

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test("a pipe in the manifest's place holds nothing up", async (t) => {
  const folder = tempFolder(t);
  execFileSync("mkfifo", [join(folder, "us_full_years.json")]);
  const viewer = await startTestViewer(t, `file:${folder}`);
  const answer = await viewer.get("api/years");
  assert.ok(answer.status >= 400, `${answer.status}`);
  assert.ok(viewer.lines.length > 0);
});

test("who listens to the network is told that everybody can look", async (t) => {
  const folder = tempFolder(t);
  publishFields(folder, [2019]);
  const [open, own] = [
    await startTestViewer(t, `file:${folder}`, { host: "0.0.0.0" }),
    await startTestViewer(t, `file:${folder}`),
  ];
  assert.ok(JSON.stringify(open.lines).includes("everybody on the network"));
  assert.ok(!JSON.stringify(own.lines).includes("everybody on the network"));
});
