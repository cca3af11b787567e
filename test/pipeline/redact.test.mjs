import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { PipelineError } from "../../dist/pipeline/errors.js";
import { redact, redactAll, redactedIdentity } from "../../dist/pipeline/redact.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SECRET = "5ecret";
const QUERY = `X-Amz-Credential=AKIA${SECRET}%2F20201130&X-Amz-Signature=${SECRET}&x=1`;

test("user, password and query go from every URL in a text; its place stays", () => {
  const cases = {
    "https://h/a.zip": "https://h/a.zip",
    [`https://h:8/a/b.zip?${QUERY}`]: "https://h:8/a/b.zip?...",
    [`Failed (source=https://u:${SECRET}@h/a.zip?${QUERY}, year=2020): 403`]:
      "Failed (source=https://h/a.zip?..., year=2020): 403",
    [`got "http://h/?a=${SECRET}", then <s3://b/k?v=${SECRET}>.`]: 'got "http://h/?...", then <s3://b/k?...>.',
    [`/vsicurl/https://${SECRET}@h/x.tif#frag`]: "/vsicurl/https://h/x.tif#...",
    [`GET /k?partNumber=1&X-Amz-Signature=${SECRET}&y HTTP`]: "GET /k?partNumber=1&X-Amz-Signature=...&y HTTP",
    [`two https://h/a?${QUERY} and https://h/b?${QUERY}!`]: "two https://h/a?... and https://h/b?...",
    "no url: a=b? c@d.e /path/x?y": "no url: a=b? c@d.e /path/x?y",
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(redact(text), expected);
  assert.deepEqual(redactAll({ a: [`https://h?${QUERY}`, 1], b: { c: null } }), {
    a: ["https://h?...", 1],
    b: { c: null },
  });
});

test("errors say where without secrets, whatever they are made of", () => {
  const cause = new Error(`connect to https://u:${SECRET}@h failed`);
  const error = new PipelineError("network", "Download failed", { source: `https://h/a?${QUERY}` }, { cause });
  assert.equal(error.message, "Download failed (source=https://h/a?...): connect to https://h failed");
  assert.doesNotMatch(error.at({ year: 2020 }).message, new RegExp(SECRET));
});

test("what a record keeps of a URL tells one query from another, and not what it was", () => {
  assert.equal(redactedIdentity("https://h/a.zip"), "https://h/a.zip");
  const [a, b] = [redactedIdentity(`https://h/a?${QUERY}`), redactedIdentity(`https://h/a?${QUERY}2`)];
  assert.match(a, /^https:\/\/h\/a\?\.\.\. \([0-9a-f]{12}\)$/);
  assert.notEqual(a, b);
});

test("a planted signature is nowhere to be found after a download that failed: not on stderr, in the log, in the state", async (t) => {
  const server = createServer((_request, response) => response.writeHead(403).end(`no: https://h/?${QUERY}`));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const root = tempFolder(t);
  const source = `http://u:${SECRET}@127.0.0.1:${server.address().port}/{year}.zip?${QUERY}`;
  const run = await command("year", ["2020", "--root", root, "--cdl-source", source, "--until", "download", "--json"]);
  assert.notEqual(run.code, 0);
  assert.match(run.stderr, /127\.0\.0\.1/);
  for (const text of [run.stdout, run.stderr]) assert.ok(!text.includes(SECRET), text);
  const written = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const kept = written
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => readFileSync(path, "latin1").includes(SECRET))
    .map((path) => path.slice(root.length + 1));
  assert.deepEqual(kept, []);
});
