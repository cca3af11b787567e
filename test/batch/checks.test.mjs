import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readChecks } from "../../dist/batch/checks.js";
import { listOutput } from "../../dist/batch/output-files.js";
import { query } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

async function problem(folder, text, values = {}) {
  for (const check of readChecks([text], ["crop"])) {
    const found = await check.problem(await listOutput(folder), values, new AbortController().signal);
    if (found !== undefined) return found;
  }
  return undefined;
}

test("exists, size, json", async (t) => {
  const folder = tempFolder(t);
  assert.equal(await problem(folder, "exists"), "nothing was written");
  assert.equal(await problem(folder, "none"), undefined);
  symlinkSync("/etc/passwd", join(folder, "link"));
  writeFileSync(join(folder, "empty"), "");
  assert.equal(await problem(folder, "exists"), "nothing was written", "an empty file and a link are nothing");
  assert.equal(await problem(folder, "empty=exists"), "empty: is empty");
  assert.equal(await problem(folder, "json"), "no .json file was written");
  mkdirSync(join(folder, "sub"));
  writeFileSync(join(folder, "sub", "a.json"), '{"a": 1}');
  assert.equal(await problem(folder, "exists"), undefined);
  assert.equal(await problem(folder, "sub/a.json=exists"), undefined);
  assert.equal(await problem(folder, "b.json=json"), "b.json is not there");
  assert.equal(await problem(folder, "size:8"), undefined);
  assert.equal(await problem(folder, "size:9"), "8 bytes, expected 9 or more");
  assert.equal(await problem(folder, "sub/a.json=size:9"), "sub/a.json: 8 bytes, expected 9 or more");
  assert.equal(await problem(folder, "json"), undefined);
  writeFileSync(join(folder, "b.json"), '{"a":');
  assert.match(await problem(folder, "json"), /^b\.json: not JSON/);
  assert.match(await problem(folder, "b.json=json"), /^b\.json: not JSON/);
});

test("parquet: footer and rows of a file that another program wrote; cut short it is not valid", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "t.parquet");
  await query(`COPY (SELECT range AS id FROM range(100)) TO '${path}' (FORMAT parquet)`);
  assert.equal(await problem(folder, "parquet"), undefined);
  assert.equal(await problem(folder, "parquet:100"), undefined);
  assert.equal(await problem(folder, "t.parquet=parquet:99"), "t.parquet: 100 rows, expected 99");
  writeFileSync(path, readFileSync(path).subarray(0, -5));
  assert.match(await problem(folder, "parquet"), /t\.parquet: Parquet file is cut short/);
});

test("cmd: runs in the output folder with the item's values as arguments", async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "x"), "corn\n");
  const values = { crop: "corn", id: "$(exit 3)" };
  assert.equal(await problem(folder, "cmd:grep -q {crop} x", values), undefined);
  assert.match(await problem(folder, "cmd:grep -q {id} x", values), /says no/);
  assert.match(await problem(folder, `cmd:sh -c 'echo no rows >&2; exit 4'`, values), /says no: no rows$/);
  assert.match(await problem(folder, "cmd:/nowhere/check", values), /says no: .*ENOENT/);
});

test("what is no check is an error that lists what is", () => {
  for (const text of ["exist", "size", "size:x", "size:-1", "json:3", "../a=exists", "/etc/passwd=exists", "", "x="]) {
    assert.throws(() => readChecks([text, "exists"], []), { kind: "usage", message: /exists, size:BYTES/ }, text);
  }
});
