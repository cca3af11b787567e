// What workers and reruns load: the module of the task that a worker is given, and little with it, for there may be 128 workers.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { loadedWith } from "../support/loaded-with.mjs";

const DIST = new URL("../../dist/", import.meta.url);
const tasks = readdirSync(DIST, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `${name}/tasks.js`)
  .filter((path) => readdirSync(new URL(".", new URL(path, DIST))).includes("tasks.js"));

test("every stage with work for workers has its tasks, and no module loads those of two", () => {
  assert.deepEqual(
    tasks.toSorted(),
    ["archive", "columns", "export", "fields", "lookup", "sample", "tiles", "zonal", "zones"].map(
      (folder) => `${folder}/tasks.js`,
    ),
  );
  for (const path of tasks) {
    const others = loadedWith(path).filter((name) => name.endsWith("tasks.js") && name !== path);
    assert.deepEqual(others, [], path);
  }
});

test("every task is found by its own name in the module that it carries", async () => {
  for (const path of tasks) {
    const url = new URL(path, DIST).href;
    const exported = Object.entries(await import(url)).filter(([, value]) => typeof value === "function");
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
  // The sample's write tables themselves.
  for (const path of tasks.filter((one) => one !== "sample/tasks.js")) {
    assert.deepEqual(
      loadedWith(path).filter((name) => heavy.some((one) => name.startsWith(one))),
      [],
      path,
    );
  }
  // The same look at a module that does need it.
  assert.ok(loadedWith("zonal/count-fields.js").includes("apache-arrow"));
});

test("judging a year loads no library that a stage works with: a rerun that does nothing starts quickly", () => {
  const heavy = ["apache-arrow", "parquet-wasm", "gdal-async", "node-sqlite3-wasm", "flatbush", "execa", "@aws-sdk"];
  assert.deepEqual(
    loadedWith("year/run-year.js").filter((name) => heavy.some((one) => name.startsWith(one))),
    [],
  );
});
