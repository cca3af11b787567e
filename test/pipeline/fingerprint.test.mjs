import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  openSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { contentHash, fileDigest, fingerprint } from "../../dist/pipeline/fingerprint.js";
import { randomBytes } from "../support/random-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const MIB = 2 ** 20;

test("the order of keys does not count, the order of lists does", () => {
  assert.equal(fingerprint({ a: 1, b: { c: [1, 2], d: null } }), fingerprint({ b: { d: null, c: [1, 2] }, a: 1 }));
  assert.notEqual(fingerprint({ a: [1, 2] }), fingerprint({ a: [2, 1] }));
});

test("values of different types or places differ; an undefined key is no key", () => {
  const values = [
    1,
    "1",
    true,
    "true",
    null,
    "null",
    [],
    {},
    [1],
    ["1"],
    { a: 1 },
    { a: "1" },
    { a: null },
    [[1], 2],
    [1, [2]],
    ["a", "b"],
    ["a,b"],
  ];
  assert.equal(new Set(values.map((value) => fingerprint(value))).size, values.length);
  assert.equal(fingerprint({ a: 1, b: undefined }), fingerprint({ a: 1 }));
  assert.notEqual(fingerprint({ "a:1,b": 2 }), fingerprint({ a: 1, b: 2 }));
});

test("the same in every process and version: a known value", () => {
  const expected = createHash("sha256").update('{"a":[1,"x"],"b":null}').digest("hex");
  assert.equal(fingerprint({ b: null, a: [1, "x"] }), expected);
});

test("a small file is hashed whole, its size in front", async (t) => {
  const path = join(tempFolder(t), "f");
  writeFileSync(path, "corn");
  assert.equal(fileDigest(path), `4:${createHash("sha256").update("4:corn").digest("hex")}`);
  assert.equal(await contentHash(path), createHash("sha256").update("corn").digest("hex"));
  writeFileSync(path, "");
  assert.match(fileDigest(path), /^0:[0-9a-f]{64}$/);
});

test("times and place do not count", (t) => {
  const folder = tempFolder(t);
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  writeFileSync(a, randomBytes(100_000));
  copyFileSync(a, b);
  utimesSync(b, 1, 1);
  assert.equal(fileDigest(a), fileDigest(b));
});

test("every byte of a file of 16 MiB counts", (t) => {
  const path = join(tempFolder(t), "f");
  writeFileSync(path, Buffer.alloc(16 * MIB));
  const digests = new Set([fileDigest(path)]);
  for (const position of [0, 5 * MIB + 12_345, 16 * MIB - 1]) digests.add(changed(path, position));
  assert.equal(digests.size, 4);
});

/** The digest after one byte was changed. */
function changed(path, position) {
  const fd = openSync(path, "r+");
  writeSync(fd, Buffer.from([position % 255 || 1]), 0, 1, position);
  closeSync(fd);
  return fileDigest(path);
}

test("of a big file the head, the foot, the size and any change of 350 KiB are seen", (t) => {
  const path = join(tempFolder(t), "f");
  const size = 20 * MIB + 12_345;
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  closeSync(fd);
  const digests = [fileDigest(path)];
  // parquet's footer and a zip's directory lie at the end, a TIFF's and PMTiles' header at the start.
  for (const position of [0, 4, MIB - 1, size - MIB, size - 8, size - 1]) digests.push(changed(path, position));
  for (let start = 0; start + 350 * 1024 <= size; start += 350 * 1024) {
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(350 * 1024, 1 + ((start / 1024) % 250)), 0, 350 * 1024, start);
    closeSync(file);
    digests.push(fileDigest(path));
  }
  truncateSync(path, size - 1);
  digests.push(fileDigest(path));
  truncateSync(path, size);
  digests.push(fileDigest(path));
  assert.equal(new Set(digests).size, digests.length);
});

test("a file that is not there is an error, not a digest", () => {
  assert.throws(() => fileDigest("/nowhere/f"), { code: "ENOENT" });
});
