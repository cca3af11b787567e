import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const read = (name) => readFileSync(new URL(`../../containers/${name}`, import.meta.url), "utf8");
const definition = read("fields.def");
const dockerfile = read("Dockerfile");

// What Apptainer knows; another name ends a build at once.
const SECTIONS = ["arguments", "labels", "files", "post", "environment", "runscript", "test", "help"];

test("sections of the definition are known, and each variable has a default", () => {
  const sections = [...definition.matchAll(/^%(\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(
    sections.filter((name) => !SECTIONS.includes(name)),
    [],
  );
  const defaults = [...definition.matchAll(/^ {4}([A-Z]+)=/gm)].map(([, name]) => name);
  const used = [...definition.matchAll(/\{\{ (\w+) \}\}/g)].map(([, name]) => name);
  assert.deepEqual(new Set(used), new Set(defaults));
});

test("both images pin the same versions of the same base", () => {
  for (const name of ["BASE", "GDAL", "TIPPECANOE"]) {
    const [inDefinition, inDockerfile] = [
      new RegExp(`^ {4}${name}=(\\S+)`, "m").exec(definition)?.[1],
      new RegExp(`^ARG ${name}=(\\S+)`, "m").exec(dockerfile)?.[1],
    ];
    assert.ok(inDefinition, name);
    assert.equal(inDockerfile, inDefinition, name);
    assert.match(inDefinition, /\d+\.\d+\.\d+/, `${name} is pinned`);
  }
});

test("scripts that the images call are there, and every shell section is a shell script", () => {
  for (const text of [definition, dockerfile]) {
    for (const [, name] of text.matchAll(/containers\/([\w-]+\.sh)/g)) {
      assert.ok(existsSync(new URL(`../../containers/${name}`, import.meta.url)), name);
    }
  }
  for (const [, name, body] of definition.matchAll(/^%(post|environment|runscript|test)\n((?: {4}.*\n|\n)+)/gm)) {
    execFileSync("sh", ["-n"], { input: body.replaceAll(/\{\{ \w+ \}\}/g, "x") });
    assert.ok(body.trim().length > 0, name);
  }
});

test("build.sh tells how it is used", () => {
  const script = fileURLToPath(new URL("../../containers/build.sh", import.meta.url));
  assert.match(execFileSync("bash", [script, "--help"], { encoding: "utf8" }), /fields\.sif/);
});
