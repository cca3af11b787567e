import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { checkValue, layoutOf, readConfigFile, resolveOptions, suggestion } from "../../dist/config/config.js";
import { flagName, OPTIONS } from "../../dist/config/options.js";
import { tempFolder } from "../support/temp-folder.mjs";

function configFile(t, content) {
  const path = join(tempFolder(t), "config.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("defaults, then the file, then the command line", (t) => {
  const path = configFile(t, { maxDirty: 0.02, region: "ks", nodata: [0, 81] });
  const options = resolveOptions({ region: "ia" }, { file: readConfigFile(path) });
  assert.deepEqual([options.maxDirty, options.region, options.nodata, options.maxZoom], [0.02, "ia", [0, 81], 14]);
  assert.equal(options.threads, undefined);
});

test("every default is a value that its own option accepts", () => {
  for (const [name, spec] of Object.entries(OPTIONS)) {
    if (spec.default !== undefined) assert.deepEqual(checkValue(name, spec.default, "defaults"), spec.default, name);
  }
});

for (const [content, message] of [
  [{ maxDirt: 0.1 }, /^Unknown option maxDirt, did you mean maxDirty\? \(source=.*config\.json\)$/],
  [{ "max-dirty": 0.1 }, /^Unknown option max-dirty, did you mean maxDirty\?/],
  [{ constructor: 1 }, /^Unknown option constructor \(/],
  [{ quite_another_thing: 1 }, /^Unknown option quite_another_thing \(/],
  [{ maxDirty: "0.1" }, /^Option --max-dirty must be a number from 0 to 1 \(source=.*config\.json, received="0\.1"\)$/],
  [{ maxDirty: 1.1 }, /must be a number from 0 to 1 .*received=1\.1/],
  [{ maxDirty: -0.1 }, /must be a number from 0 to 1 .*received=-0\.1/],
  [{ minZoom: 4.5 }, /--min-zoom must be a whole number from 0 to 16 .*received=4\.5/],
  [{ threads: 0 }, /--threads must be a whole number from 1 to 128 .*received=0/],
  [{ batch: null }, /--batch must be a whole number from 1 to ∞ .*received=null/],
  [{ keepCdl: "yes" }, /--keep-cdl must be true or false .*received="yes"/],
  [{ region: "" }, /--region must be a non-empty string/],
  [{ region: 7 }, /--region must be a non-empty string .*received=7/],
  [{ ties: "first" }, /--ties must be one of lowest, highest .*received="first"/],
  [{ nodata: 0 }, /--nodata must be a list of numbers .*received=0/],
  [{ nodata: [0, "1"] }, /--nodata must be a list of numbers/],
  [{ minZoom: 10, maxZoom: 9 }, /^--min-zoom is above --max-zoom \(minZoom=10, maxZoom=9\)$/],
  ["[1]", /must hold one JSON object/],
  ["null", /must hold one JSON object/],
  ["{maxDirty: 1}", /^Configuration file is not valid JSON \(path=.*config\.json\): /],
]) {
  test(`refused: ${JSON.stringify(content)}`, (t) => {
    assert.throws(() => resolveOptions({}, { file: readConfigFile(configFile(t, content)) }), {
      kind: "usage",
      exitCode: 2,
      message,
    });
  });
}

test("a configuration that is not there, or a folder", (t) => {
  const folder = join(tempFolder(t), "c");
  assert.throws(() => readConfigFile(folder), { kind: "usage", message: /^Configuration file not found \(path=/ });
  mkdirSync(folder);
  assert.throws(() => readConfigFile(folder), { kind: "usage" });
});

test("a suggestion only where the spelling is near", () => {
  assert.equal(suggestion("treads"), ", did you mean threads?");
  assert.equal(suggestion("MAXZOOM"), ", did you mean maxZoom?");
  assert.equal(suggestion("x"), "");
  assert.equal(suggestion("anything", []), "");
});

test("flags are the names in lower case with hyphens, each one once", () => {
  assert.equal(flagName("cdlSource"), "cdl-source");
  assert.equal(new Set(Object.keys(OPTIONS).map(flagName)).size, Object.keys(OPTIONS).length);
});

test("the layout that users of the old pipeline know", () => {
  const options = resolveOptions({ root: "some/where" });
  const { root, ...layout } = layoutOf(options, 2020);
  assert.equal(root, resolve("some/where"));
  const relative = Object.fromEntries(Object.entries(layout).map(([key, path]) => [key, path.slice(root.length + 1)]));
  const old = {
    fieldsRaw: "data/fields_raw.parquet",
    fieldsClean: "data/fields_clean.parquet",
    cdl: "data/cdl",
    zonal: "outputs/zonal/zonal_us_2020.parquet",
    archive: "outputs/tiles/fields_us_2020_full.pmtiles",
    manifest: "outputs/web/us_full_years.json",
    log: "logs/year_2020.log",
  };
  for (const [key, path] of Object.entries(old)) assert.equal(relative[key], path);
  assert.equal(layoutOf(resolveOptions({ fieldsRaw: "/data/csb.parquet" }), 2020).fieldsRaw, "/data/csb.parquet");
});
