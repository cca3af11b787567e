// An exported function whose own code throws a PipelineError says so in its docstring.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const src = new URL("../../src/", import.meta.url);

test("exported functions that throw have a @throws", () => {
  let throwing = 0;
  for (const path of readdirSync(src, { recursive: true }).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(new URL(path, src), "utf8");
    for (const { 1: name, index } of text.matchAll(/^export (?:async )?function\*? (\w+)/gm)) {
      const body = text.slice(index, text.indexOf("\n}\n", index));
      if (!body.includes("throw new PipelineError(")) continue;
      throwing++;
      const before = text.slice(0, index);
      const docstring = before.endsWith("*/\n") ? before.slice(before.lastIndexOf("/**")) : "";
      assert.match(docstring, /@throws /, `${path}: ${name}`);
    }
  }
  assert.ok(throwing > 100, `${throwing} found`);
});
