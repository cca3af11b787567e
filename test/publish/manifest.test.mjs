import assert from "node:assert/strict";
import { test } from "node:test";
import { entryProblem, manifestText, parseManifest, withArchive } from "../../dist/publish/manifest.js";

const BY = { region: "us", generator: "test 1" };
const entry = (year) => ({
  url: `fields_us_${year}_full.pmtiles`,
  key: `fields_us_${year}_full.pmtiles`,
  bytes: year,
  checksum: `sha256:${year}`,
  bounds: [-125, 24, -66, 50],
  center: [-98, 38, 6],
  minzoom: 4,
  maxzoom: 14,
  layers: ["fields", "centroids"],
  builtAt: "2026-01-02T03:04:05.000Z",
  featureCounts: { fields: 3, centroids: 3 },
});
const refused = (sentence) => (error) => error.kind === "publish" && sentence.test(error.message);

test("years in any order give the same bytes", () => {
  const publish = (years) =>
    manifestText(
      years.reduce((m, year) => withArchive(m, year, entry(year), BY), undefined),
      "full",
    );
  assert.equal(publish([2020, 2008, 2014]), publish([2014, 2020, 2008]));
  assert.equal(publish([2020, 2008, 2020]), publish([2008, 2020]));
  const read = parseManifest(publish([2020, 2008]), "us", {});
  assert.deepEqual(read.years, [2008, 2020]);
  assert.deepEqual(read.archives[2020], entry(2020));
  assert.deepEqual(
    read.legend.find(({ code }) => code === 5),
    { code: 5, name: "Soybeans", color: "#267300" },
  );
});

test("a bare list of years is taken over, its years kept", () => {
  const upgraded = withArchive(parseManifest("[2019, 2012, 2019]", "us", {}), 2020, entry(2020), BY);
  assert.deepEqual(upgraded.years, [2012, 2019, 2020]);
  assert.deepEqual(Object.keys(upgraded.archives), ["2020"]);
});

test("keys of other tools stay, in the object and in the year's own entry", () => {
  const first = withArchive(undefined, 2020, entry(2020), BY);
  const foreign = { ...first, theme: { dark: true }, archives: { 2020: { ...first.archives[2020], note: "checked" } } };
  const { featureCounts: _left, ...bare } = entry(2020);
  const again = withArchive(parseManifest(JSON.stringify(foreign), "us", {}), 2020, bare, BY);
  assert.deepEqual(again.theme, { dark: true });
  assert.deepEqual(again.archives[2020], { ...bare, note: "checked" });
});

for (const [what, text, sentence] of [
  ["nothing", "", /not JSON/],
  ["half a file", '{"version": 1, "ye', /not JSON/],
  ["a list of names", '["a"]', /list of something else/],
  ["a list with a year out of range", "[2019, 20200]", /list of something else/],
  ["a string", '"x"', /no object/],
  ["another tool's object", '{"name": "package", "years": [2020]}', /no version .*keys name years/],
  ["a later version", '{"version": 2, "region": "us", "years": [], "archives": {}}', /another version .*received=2/],
  ["another region", '{"version": 1, "region": "eu", "years": [], "archives": {}}', /another region's .*received=eu/],
  ["years that are no list", '{"version": 1, "region": "us", "years": 2020, "archives": {}}', /no list of years/],
  ["archives that are a list", '{"version": 1, "region": "us", "years": [], "archives": []}', /not listed by year/],
]) {
  test(`refuses ${what}`, () => {
    assert.throws(() => parseManifest(text, "us", { manifest: "m.json" }), refused(sentence));
    assert.throws(() => parseManifest(text, "us", { manifest: "m.json" }), refused(/manifest=m\.json/));
  });
}

test("says why a year is not listed as it should be", () => {
  const manifest = withArchive(undefined, 2020, entry(2020), BY);
  const { checksum, url } = entry(2020);
  assert.equal(entryProblem(manifest, "full", 2020, checksum, url), undefined);
  assert.match(entryProblem(manifest, "full", 2019, checksum, url), /does not list/);
  assert.match(entryProblem(manifest, "full", 2020, "sha256:other", url), /another archive/);
  assert.match(entryProblem(manifest, "full", 2020, checksum, "elsewhere"), /another URL/);
  assert.match(entryProblem(undefined, "full", 2020, checksum, url), /does not list/);
});
