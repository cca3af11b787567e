import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createJson, readJson, writeJsonAtomic } from "../../dist/pipeline/json-file.js";
import { tempFolder } from "../support/temp-folder.mjs";

test("a file is made once, whole; what killed writers left goes with the next one", (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "batch.json");
  const holder = new URL("../../dist/pipeline/holder.js", import.meta.url);
  const script = `import { processTag } from ${JSON.stringify(holder)}; process.stdout.write(processTag());`;
  const gone = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout;
  assert.match(gone, /^[0-9a-f]{8}-\d+-\d+$/);
  writeFileSync(`${path}.${gone}.1.partial`, "{");
  writeFileSync(join(folder, "mine.partial"), "");
  assert.equal(createJson(path, { a: 1 }), true);
  assert.deepEqual(readdirSync(folder).sort(), ["batch.json", "mine.partial"]);
  assert.equal(createJson(path, { a: 2 }), false);
  assert.deepEqual(readJson(path), { a: 1 });
  writeJsonAtomic(path, { a: 3 });
  assert.deepEqual(readJson(path), { a: 3 });
  assert.deepEqual(readdirSync(folder).sort(), ["batch.json", "mine.partial"]);
});
