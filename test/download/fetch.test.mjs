import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { fetchFile } from "../../dist/network/fetch-file.js";
import { testContext } from "../support/context.mjs";
import { startFileServer } from "../support/file-server.mjs";
import { randomBytes } from "../support/random-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const FILE = randomBytes(300_000, 7);
const OTHER = randomBytes(310_000, 8);
const QUICK = { backoffMs: 5, maxBackoffMs: 20, stallMs: 5_000 };

const rangeStart = ({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]);

async function fetched(t, server, { retries = 3, timing = {}, ctx = testContext(), folder = tempFolder(t) } = {}) {
  const path = join(folder, "f.zip");
  const version = await fetchFile(`${server.origin}/f.zip`, path, { retries, timing: { ...QUICK, ...timing } }, ctx);
  return { path, folder, version, ctx, bytes: readFileSync(path) };
}

test("a healthy server: one request, without compression, size and version on record", async (t) => {
  const server = await startFileServer(t, FILE);
  const { bytes, version, folder, ctx } = await fetched(t, server);
  assert.deepEqual(bytes, FILE);
  assert.equal(server.requests.length, 1);
  assert.equal(server.requests[0].encoding, "identity");
  assert.equal(version.total, FILE.length);
  assert.equal(version.etag, '"v1"');
  assert.deepEqual(readdirSync(folder).sort(), ["f.zip", "f.zip.json"]);
  assert.deepEqual([ctx.tasks[0].label, ctx.tasks[0].total, ctx.tasks[0].ended], ["MiB downloaded", 1, true]);
});

test("a connection cut twice is continued by Range where it broke", async (t) => {
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { cut: 150_000 }]);
  const { bytes, ctx } = await fetched(t, server);
  assert.deepEqual(bytes, FILE);
  assert.deepEqual(
    server.requests.map(({ ifRange, status }) => [ifRange, status]),
    [
      [undefined, 200],
      ['"v1"', 206],
      ['"v1"', 206],
    ],
  );
  const [, second, third] = server.requests.map(rangeStart);
  assert.ok(0 < second && second <= 100_000 && second < third && third <= second + 150_000, `${second} ${third}`);
  assert.equal(server.requests[2].sent, FILE.length - third);
  assert.equal(ctx.lines.filter(({ level }) => level === "warn").length, 2);
});

test("a later call goes on where an earlier one gave up", async (t) => {
  const server = await startFileServer(t, FILE, [{ cut: 120_000 }]);
  const folder = tempFolder(t);
  await assert.rejects(fetched(t, server, { retries: 0, folder }), { kind: "network" });
  const { size } = statSync(join(folder, "f.zip.part"));
  assert.ok(0 < size && size <= 120_000);
  const { bytes } = await fetched(t, server, { folder });
  assert.deepEqual(bytes, FILE);
  assert.equal(rangeStart(server.requests[1]), size);
  await fetched(t, server, { folder });
  assert.equal(server.requests.length, 2, "what is complete is not asked for again");
});

test("a part without its version, or of another URL, is not continued", async (t) => {
  const server = await startFileServer(t, FILE);
  const folder = tempFolder(t);
  writeFileSync(join(folder, "f.zip.part"), OTHER.subarray(0, 1_000));
  assert.deepEqual((await fetched(t, server, { folder })).bytes, FILE);
  writeFileSync(join(folder, "f.zip.json"), JSON.stringify({ url: `${server.origin}/else.zip`, total: FILE.length }));
  assert.deepEqual((await fetched(t, server, { folder })).bytes, FILE);
  assert.deepEqual(
    server.requests.map(({ range }) => range),
    [undefined, undefined],
  );
});

test("a server that ignores Range: from the beginning, nothing doubled", async (t) => {
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { noRange: true }]);
  const { bytes } = await fetched(t, server);
  assert.deepEqual(bytes, FILE);
  assert.equal(server.requests[1].status, 200);
});

for (const [name, validators] of [
  ["a strong ETag", { etag: '"v2"' }],
  ["Last-Modified", { etag: undefined, lastModified: "Tue, 02 Jan 2024 00:00:00 GMT" }],
]) {
  test(`a file that changes in between is fetched anew: ${name}`, async (t) => {
    const change = (state) => Object.assign(state, { bytes: OTHER }, validators);
    const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { run: change }]);
    if (validators.lastModified)
      Object.assign(server, { etag: undefined, lastModified: "Mon, 01 Jan 2024 00:00:00 GMT" });
    const { bytes, version } = await fetched(t, server);
    assert.deepEqual(bytes, OTHER);
    assert.equal(server.requests[1].status, 200);
    assert.equal(version.etag, validators.etag);
  });
}

test("a changed file is noticed also where the server answers 206 all the same", async (t) => {
  // A weak ETag may not stand in If-Range, so the server sends the rest of the new file.
  const change = (state) => Object.assign(state, { bytes: OTHER, etag: 'W/"2"' });
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { run: change }]);
  server.etag = 'W/"1"';
  const { bytes } = await fetched(t, server);
  assert.deepEqual(bytes, OTHER);
  assert.deepEqual(
    server.requests.map(({ range, ifRange, status }) => [range !== undefined, ifRange, status]),
    [
      [false, undefined, 200],
      [true, undefined, 206],
      [false, undefined, 200],
    ],
  );
});

test("without any validator the total decides", async (t) => {
  const change = (state) => Object.assign(state, { bytes: OTHER });
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { run: change }]);
  server.etag = undefined;
  assert.deepEqual((await fetched(t, server)).bytes, OTHER);
});

test("a range that begins elsewhere than asked is thrown away", async (t) => {
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { shift: 10 }]);
  assert.deepEqual((await fetched(t, server)).bytes, FILE);
});

test("416: the file has become shorter than what we have", async (t) => {
  const short = FILE.subarray(0, 50_000);
  const shrink = (state) => Object.assign(state, { bytes: short });
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }, { run: shrink }]);
  assert.deepEqual((await fetched(t, server)).bytes, short);
  assert.equal(server.requests[1].status, 416);
});

test("a server that announces more than it has: retried, then an error with both numbers", async (t) => {
  const lie = { length: FILE.length + 1_000, cut: FILE.length };
  const server = await startFileServer(t, FILE, [lie, {}, lie, {}, lie, {}]);
  await assert.rejects(fetched(t, server, { retries: 2 }), (error) => {
    assert.equal(error.kind, "network");
    assert.match(error.message, /Download failed after 3 attempts \(url=http.*\/f\.zip/);
    return true;
  });
  assert.ok(server.requests.length >= 3);
});

test("no Content-Length: the end of the chunks is the end", async (t) => {
  const server = await startFileServer(t, FILE, [
    { chunked: true, cut: 100_000 },
    { chunked: true, noRange: true },
  ]);
  assert.deepEqual((await fetched(t, server)).bytes, FILE);
});

test("503 with Retry-After, in seconds and as a date, is waited for", async (t) => {
  const soon = () => new Date(Date.now() + 1_500).toUTCString();
  const busy = { status: 503, headers: { "retry-after": "1" } };
  const later = { status: 429, headers: {}, run: () => (later.headers["retry-after"] = soon()) };
  const server = await startFileServer(t, FILE, [busy, later]);
  const { bytes, ctx } = await fetched(t, server);
  assert.deepEqual(bytes, FILE);
  assert.ok(server.requests[1].at - server.requests[0].at >= 990, "not before the second is over");
  assert.deepEqual(
    ctx.lines.map(({ received }) => received),
    ["HTTP 503 Service Unavailable", "HTTP 429 Too Many Requests"],
  );
});

test("a Retry-After of hours ends the download at once, saying so", async (t) => {
  const server = await startFileServer(t, FILE, [{ status: 503, headers: { "retry-after": "7200" } }]);
  await assert.rejects(fetched(t, server), { kind: "network", message: /HTTP 503.*retryAfterS=7200/ });
  assert.equal(server.requests.length, 1);
});

for (const status of [404, 403, 401, 410]) {
  test(`${status} is not retried`, async (t) => {
    const server = await startFileServer(t, FILE, [{ status }]);
    await assert.rejects(fetched(t, server), {
      kind: "network",
      exitCode: 9,
      message: new RegExp(`Download refused by the server \\(url=http://127.*/f.zip, received=HTTP ${status}`),
    });
    assert.equal(server.requests.length, 1);
  });
}

test("408, 425, 500 and 502 are retried", async (t) => {
  const server = await startFileServer(
    t,
    FILE,
    [408, 425, 500, 502].map((status) => ({ status })),
  );
  assert.deepEqual((await fetched(t, server, { retries: 4 })).bytes, FILE);
});

test("the waits grow, and are not the same twice", async (t) => {
  const server = await startFileServer(t, FILE, Array(4).fill({ status: 500 }));
  const { ctx } = await fetched(t, server, { retries: 4, timing: { backoffMs: 100, maxBackoffMs: 400 } });
  const waits = ctx.lines.map(({ waitS }) => waitS);
  const bounds = [100, 200, 400, 400].map((ms) => [ms * 0.5 - 50, ms * 1.5 + 50]);
  for (const [i, [low, high]] of bounds.entries()) {
    assert.ok(waits[i] * 1000 >= low && waits[i] * 1000 <= high, `wait ${i}: ${waits[i]} s`);
  }
});

test("a stalled connection counts as broken and is continued", async (t) => {
  const server = await startFileServer(t, FILE, [{ stallAfter: 80_000 }]);
  const { bytes, ctx } = await fetched(t, server, { timing: { stallMs: 300 } });
  assert.deepEqual(bytes, FILE);
  assert.ok(rangeStart(server.requests[1]) > 0);
  assert.equal(ctx.lines[0].received, "no byte for 0.3 s");
});

test("nobody listens: the refused connection is named", async (t) => {
  const server = await startFileServer(t, FILE);
  await server.close();
  await assert.rejects(fetched(t, server, { retries: 1 }), {
    kind: "network",
    message: /after 2 attempts.*ECONNREFUSED/,
  });
});

test("a MiB that came through makes the retries count anew", async (t) => {
  const big = randomBytes(5 * 2 ** 20, 9);
  const server = await startFileServer(t, big, Array(3).fill({ cut: 1.5 * 2 ** 20 }));
  assert.deepEqual((await fetched(t, server, { retries: 1 })).bytes, big);
  assert.equal(server.requests.length, 4);
});

test("a server that compresses on the way is refused: sizes and ranges would not hold", async (t) => {
  const server = await startFileServer(t, FILE, [{ encoding: "gzip" }]);
  await assert.rejects(fetched(t, server), { kind: "network", message: /expected=identity, received=gzip/ });
});

test("a redirect is followed, and the range goes along", async (t) => {
  const server = await startFileServer(t, FILE, [{ cut: 100_000 }]);
  const front = createServer((_request, response) => {
    response.writeHead(302, { location: `${server.origin}/f.zip` }).end();
  });
  await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
  t.after(() => front.close());
  const { bytes } = await fetched(t, { origin: `http://127.0.0.1:${front.address().port}` });
  assert.deepEqual(bytes, FILE);
  assert.ok(rangeStart(server.requests[1]) > 0);
});

for (const [moment, fault, reached] of [
  ["bytes are awaited", { stallAfter: 80_000 }, ({ part }) => existsSync(part) && statSync(part).size > 0],
  ["a retry is awaited", { cut: 80_000 }, ({ ctx }) => ctx.lines.length > 0],
]) {
  test(`an abort while ${moment} ends at once and keeps the part`, async (t) => {
    const reason = new Error("stop now");
    const server = await startFileServer(t, FILE, [fault]);
    const ctx = testContext();
    const folder = tempFolder(t);
    const part = join(folder, "f.zip.part");
    const timing = { backoffMs: 600_000, maxBackoffMs: 600_000, stallMs: 600_000 };
    const running = fetched(t, server, { ctx, folder, timing });
    while (!reached({ ctx, part })) await new Promise((resolve) => setTimeout(resolve, 10));
    ctx.controller.abort(reason);
    await assert.rejects(running, reason);
    const { size } = statSync(part);
    assert.deepEqual(readFileSync(part), FILE.subarray(0, size));
    assert.ok(size > 0);
    assert.equal(server.requests.length, 1);
  });
}
