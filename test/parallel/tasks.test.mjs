// What a worker loads: the module of the task that it is given, and little with it, for there may be 128 workers.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const DIST = new URL("../../dist/", import.meta.url);
const STATEMENT = /^(?:import|export)\b[^;]*?["']([^"']+)["'];?$/gm;

const tasks = readdirSync(DIST, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `${name}/tasks.js`)
  .filter((path) => readdirSync(new URL(".", new URL(path, DIST))).includes("tasks.js"));

/** Modules of the project and packages that are loaded with a module at once, not later by import(). */
function loadedWith(path) {
  const seen = new Set();
  const visit = (url) => {
    const name = relative(fileURLToPath(DIST), fileURLToPath(url));
    if (seen.has(name)) return;
    seen.add(name);
    for (const [, wanted] of readFileSync(url, "utf8").matchAll(STATEMENT)) {
      if (wanted.startsWith(".")) visit(new URL(wanted, url));
      else seen.add(wanted);
    }
  };
  visit(new URL(path, DIST));
  return [...seen].filter((name) => !name.startsWith("node:"));
}

test("every stage with work for workers has its tasks, and no module loads those of two", () => {
  assert.deepEqual(
    tasks.toSorted(),
    ["archive", "fields", "lookup", "tiles", "zonal", "zones"].map((folder) => `${folder}/tasks.js`),
  );
  for (const path of tasks) {
    const others = loadedWith(path).filter((name) => name.endsWith("tasks.js") && name !== path);
    assert.deepEqual(others, [], path);
  }
});

test("every task is found by its own name in the module that it carries", async () => {
  for (const path of tasks) {
    const url = new URL(path, DIST).href;
    const exported = Object.entries(await import(url));
    assert.ok(exported.length > 0);
    for (const [name, task] of exported) assert.deepEqual([task.name, task.module], [name, url], path);
  }
});

test("the pool loads no stage", () => {
  const folders = new Set(loadedWith("parallel/pool.js").flatMap((name) => /^(.+)\/[^/]+\.js$/.exec(name)?.[1] ?? []));
  assert.deepEqual([...folders].toSorted(), ["parallel", "pipeline"]);
});

test("burning, counting and tiling load neither Arrow nor GDAL nor SQLite at a worker's start", () => {
  const heavy = ["apache-arrow", "parquet-wasm", "gdal-async", "node-sqlite3-wasm", "flatbush", "pino"];
  for (const path of tasks.filter((name) => !name.startsWith("lookup/"))) {
    assert.deepEqual(
      loadedWith(path).filter((name) => heavy.some((one) => name.startsWith(one))),
      [],
      path,
    );
  }
  // The same look at a module that does need it.
  assert.ok(loadedWith("lookup/tasks.js").includes("apache-arrow"));
});
