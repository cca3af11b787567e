import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { flagName, OPTIONS } from "../../dist/config/options.js";
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

/** The options as a Markdown table. */
function optionsTable() {
  const rows = Object.entries(OPTIONS).map(([name, { help, choices, default: value }]) => {
    const values = choices ? ` (${choices.join(", ")})` : "";
    const standard = value === undefined ? "" : value === false ? "off" : `\`${[value].flat().join(",")}\``;
    return `| \`--${flagName(name)}\` | ${help}${values} | ${standard} |`;
  });
  return ["| option | meaning | default |", "|---|---|---|", ...rows].join("\n");
}

test("every dependency has its row in docs/dependencies.md", () => {
  const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const page = read("docs/dependencies.md");
  const missing = Object.keys(JSON.parse(read("package.json")).dependencies).filter(
    (name) => !page.includes(`\`${name}\``),
  );
  assert.deepEqual(missing, []);
});
