import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseEncoding } from "../../dist/view/server/assets.js";
import { checkConditions, rangeStands, readRange } from "../../dist/view/server/range.js";

test("Range headers, by RFC 9110", () => {
  const size = 1000;
  const part = (start, end) => ({ kind: "part", start, end });
  const whole = { kind: "whole" };
  const refused = { kind: "refused" };
  const cases = {
    "bytes=0-0": part(0, 1),
    "bytes=0-499": part(0, 500),
    "bytes=500-": part(500, 1000),
    "bytes=999-": part(999, 1000),
    "bytes=-1": part(999, 1000),
    "bytes=-5000": part(0, 1000),
    "bytes=900-16383": part(900, 1000),
    "bytes=0-99999999999999999999999": part(0, 1000),
    "BYTES= 5-6 ": part(5, 7),
    "bytes=1000-": refused,
    "bytes=1000-1001": refused,
    "bytes=99999999999999999999999-": refused,
    "bytes=-0": refused,
    "bytes=0-1,5-6": refused,
    "bytes=0-0,-1": refused,
    // Not well formed, or of another unit: as if it were not there.
    "bytes=5-4": whole,
    "bytes=": whole,
    "bytes=-": whole,
    "bytes=a-b": whole,
    "bytes=1-2,": whole,
    "bytes=0x1-2": whole,
    "bytes=1.5-2": whole,
    "bytes=-1-2": whole,
    "bytes 0-1": whole,
    "items=0-1": whole,
    "": whole,
  };
  for (const [header, expected] of Object.entries(cases)) assert.deepEqual(readRange(header, size), expected, header);
  assert.deepEqual(readRange(undefined, size), whole);
  assert.deepEqual(readRange("bytes=0-", 0), refused);
});

test("conditions compare tags as RFC 9110 wants: If-Match and If-Range strongly, If-None-Match weakly", () => {
  const tag = '"abc"';
  const verdict = (headers) => checkConditions(headers, tag);
  assert.equal(verdict({}), "go on");
  assert.equal(verdict({ "if-none-match": '"abc"' }), "same");
  assert.equal(verdict({ "if-none-match": '"x", W/"abc"' }), "same");
  assert.equal(verdict({ "if-none-match": "*" }), "same");
  assert.equal(verdict({ "if-none-match": '"abcd"' }), "go on");
  assert.equal(verdict({ "if-match": '"x", "abc"' }), "go on");
  assert.equal(verdict({ "if-match": "*" }), "go on");
  assert.equal(verdict({ "if-match": 'W/"abc"' }), "failed");
  assert.equal(verdict({ "if-match": '"x"', "if-none-match": '"abc"' }), "failed");
  assert.equal(rangeStands({}, tag), true);
  assert.equal(rangeStands({ "if-range": '"abc"' }, tag), true);
  for (const other of ['W/"abc"', '"abcd"', "abc", "Sun, 22 Nov 2026 08:00:00 GMT"]) {
    assert.equal(rangeStands({ "if-range": other }, tag), false, other);
  }
});

test("the encoding is one that the client takes", () => {
  const cases = {
    "gzip, deflate, br": "br",
    "gzip, deflate": "gzip",
    "br;q=0.5, gzip;q=0.9": "gzip",
    "br;q=0, gzip;q=0": "identity",
    "gzip;q=0.1, identity;q=0.5": "identity",
    "*": "br",
    "*;q=0": "identity",
    identity: "identity",
    deflate: "identity",
    GZIP: "gzip",
    "": "identity",
  };
  for (const [header, expected] of Object.entries(cases)) assert.equal(chooseEncoding(header), expected, header);
  assert.equal(chooseEncoding(undefined), "identity");
});
