// The STAC collection and items beside the manifest: what the published schemas ask for, by hand.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runStep } from "../../dist/pipeline/step.js";
import { stacCollection } from "../../dist/publish/stac.js";
import { BOUNDS, makeContext, makeRoot, makeYear, readJson } from "../support/published-year.mjs";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

function assertLinks(links, folder) {
  for (const { rel, href, type } of links) {
    assert.ok(rel.length > 0 && type.length > 0);
    assert.ok(existsSync(join(folder, href)), href);
  }
}

test("an item a year, and a collection of them, with relative links that lead somewhere", async (t) => {
  const root = makeRoot(t);
  for (const year of [2020, 2019]) await runStep(makeYear(root, year).step, makeContext());
  const web = join(root, "outputs/web");
  const collection = readJson(join(web, "us_collection.json"));
  assert.equal(collection.type, "Collection");
  assert.match(collection.stac_version, /^1\.\d\.\d$/);
  for (const key of ["id", "description", "license"]) assert.ok(collection[key].length > 0, key);
  assert.deepEqual(collection.extent.spatial.bbox, [BOUNDS]);
  const [[from, to]] = collection.extent.temporal.interval;
  assert.deepEqual(
    [from, to].map((time) => TIME.test(time)),
    [true, true],
  );
  assert.deepEqual([from.slice(0, 4), to.slice(0, 4)], ["2019", "2020"]);
  const items = collection.links.filter(({ rel }) => rel === "item");
  assert.deepEqual(
    items.map(({ href }) => href),
    ["./us_2019_item.json", "./us_2020_item.json"],
  );
  assertLinks(collection.links, web);

  const item = readJson(join(web, "us_2020_item.json"));
  assert.equal(item.type, "Feature");
  assert.equal(item.stac_version, collection.stac_version);
  assert.deepEqual([item.id, item.collection], ["us_2020", collection.id]);
  assert.deepEqual(item.bbox, BOUNDS);
  const [west, south, east, north] = BOUNDS;
  assert.equal(item.geometry.type, "Polygon");
  assert.deepEqual(item.geometry.coordinates[0][0], [west, south]);
  assert.deepEqual(item.geometry.coordinates[0][2], [east, north]);
  assert.deepEqual(item.geometry.coordinates[0][0], item.geometry.coordinates[0].at(-1));
  // Without one time, a beginning and an end are required.
  assert.equal(item.properties.datetime, null);
  for (const key of ["start_datetime", "end_datetime", "created"]) assert.match(item.properties[key], TIME, key);
  assert.equal(item.properties["proj:code"], "EPSG:3857");
  assertLinks(item.links, web);
  assert.deepEqual(
    item.links.map(({ rel }) => rel),
    ["root", "parent", "collection", "pmtiles"],
  );
  assert.deepEqual(item.links.at(-1)["pmtiles:layers"], ["fields", "centroids"]);
  for (const extension of ["file", "projection", "web-map-links"]) {
    assert.ok(item.stac_extensions.some((url) => url.startsWith(`https://stac-extensions.github.io/${extension}/v`)));
  }
  const { pmtiles } = item.assets;
  const bytes = readFileSync(join(web, pmtiles.href));
  assert.equal(pmtiles["file:size"], bytes.length);
  assert.equal(pmtiles["file:checksum"], `1220${createHash("sha256").update(bytes).digest("hex")}`);
});

test("years in any order give the same collection", async (t) => {
  const texts = [];
  for (const years of [
    [2019, 2020],
    [2020, 2019],
  ]) {
    const root = makeRoot(t);
    for (const year of years) await runStep(makeYear(root, year).step, makeContext());
    texts.push(readFileSync(join(root, "outputs/web/us_collection.json"), "utf8"));
  }
  assert.equal(texts[0], texts[1]);
});

test("a history is an asset of the collection", () => {
  const file = (key) => ({ url: key, key, bytes: 3, checksum: `sha256:${"ab".repeat(32)}` });
  const archive = { ...file("a.pmtiles"), bounds: BOUNDS, layers: ["fields"], builtAt: "2026-01-02T03:04:05.000Z" };
  const history = { years: [2020], legend: file("us_legend.json"), table: file("us_history.parquet") };
  const { assets, stac_extensions: extensions } = stacCollection({
    region: "us",
    archives: { 2020: archive },
    history,
  });
  assert.equal(assets.history.href, "us_history.parquet");
  assert.equal(assets.history["file:checksum"], `1220${"ab".repeat(32)}`);
  assert.equal(extensions.length, 1);
});

test("a file of someone else's under that name stays", async (t) => {
  const root = makeRoot(t);
  const first = makeYear(root, 2020);
  await runStep(first.step, makeContext());
  const path = join(root, "outputs/web/us_collection.json");
  writeFileSync(path, '{"mine": true}');
  const ctx = makeContext();
  await runStep(makeYear(root, 2021).step, ctx);
  assert.equal(readFileSync(path, "utf8"), '{"mine": true}');
  assert.ok(ctx.lines.some((line) => line.includes("with the name of a STAC file")));
});
