import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { optionsTable } from "../../dist/config/options-table.js";
import { EXIT_CODES } from "../../dist/pipeline/errors.js";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the README's options are the program's", () => {
  const [, table] = /<!-- options -->\n([\s\S]*?)\n<!-- \/options -->/.exec(readme) ?? [];
  assert.equal(table, optionsTable());
});

test("the README names every exit code", () => {
  const codes = [...readme.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, list]) => list.split(",").map(Number));
  assert.deepEqual(codes, Object.values(EXIT_CODES));
});
