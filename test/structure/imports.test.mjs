// The imports of src/: no file imports itself in a circle, and folders stand above what they import.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const src = new URL("../../src/", import.meta.url);
const files = readdirSync(src, { recursive: true }).filter((path) => path.endsWith(".ts"));

/** Imports of each file, static and dynamic, types included: path from src/ -> paths from src/. */
const imports = new Map(
  files.map((path) => {
    const from = new URL(path, src);
    const text = readFileSync(from, "utf8");
    const specifiers = [...text.matchAll(/(?:\bfrom |\bimport\(|\bimport )"(\.[^"]+)"/g)].map(
      ([, specifier]) => specifier,
    );
    // A library's module that the build puts there has only its types here.
    const sourceOf = (specifier) => {
      const [source, types] = [".ts", ".d.ts"].map((end) => new URL(specifier.replace(/\.js$/, end), from));
      return existsSync(source) || !existsSync(types) ? source : types;
    };
    const targets = specifiers.map((specifier) => fileURLToPath(sourceOf(specifier)));
    return [path, new Set(targets.map((target) => target.slice(fileURLToPath(src).length)))];
  }),
);

const folders = new Set(files.filter((path) => path.includes("/")).map((path) => path.split("/")[0]));

/** A file's folder; a command's entry (`zonal.ts`) belongs to the folder of its name (`zonal/`), where there is one. */
function folderOf(path) {
  const [first] = path.split("/");
  const name = first.replace(/\.ts$/, "");
  return folders.has(name) ? `${name}/` : first;
}

/** One circle of the graph as a list of nodes, or undefined. */
function findCircle(graph) {
  const done = new Set();
  const trail = [];
  const visit = (node) => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    trail.push(node);
    for (const next of graph.get(node) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    trail.pop();
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = visit(node);
    if (circle) return circle;
  }
  return undefined;
}

test("every relative import names a file that is there", () => {
  for (const [path, targets] of imports)
    for (const target of targets) assert.ok(imports.has(target), `${path} imports ${target}, which is missing`);
  assert.ok(imports.get("year/run-year.ts").has("pipeline/step.ts"));
});

test("no files import each other in a circle", () => {
  assert.equal(findCircle(imports)?.join(" -> "), undefined);
});

test("no folders import each other in a circle: no import leads back up", () => {
  const graph = new Map();
  for (const [path, targets] of imports) {
    const from = folderOf(path);
    const others = [...targets].map(folderOf).filter((to) => to !== from);
    graph.set(from, new Set([...(graph.get(from) ?? []), ...others]));
  }
  assert.equal(findCircle(graph)?.join(" -> "), undefined);
});
