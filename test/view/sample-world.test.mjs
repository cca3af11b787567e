// A sample year, end to end: at every field's own place the picture has its crop's color.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { pixelOf, readPng } from "../support/png.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";

const YEARS = [2019, 2020];
const GROUND = "#20242a";
const COLORS = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
let world;
let root;

before(async () => {
  world = await makeWorld({ fields: 600, years: YEARS, seed: 4 });
  root = newRoot(world, "preview");
  for (const year of YEARS) {
    const run = await runYear(root, year, world.source, ["--until", "tiles"]);
    assert.equal(run.code, 0, run.stderr);
  }
});
after(() => world?.remove());

/** Fields with their polygon, crop by the zonal table (null for none) and area. */
async function fieldsOf(year) {
  const rows = await query(`
    select hex(st_aswkb(r.geometry)) as wkb, z.crop_code as crop, c.area_ha as area
      from '${root}/outputs/zonal/zonal_us_${year}.parquet' z
      join '${root}/data/fields_raw.parquet' r using (field_id) join '${root}/data/fields_clean.parquet' c using (field_id)`);
  return rows.map(({ wkb, ...row }) => ({ ...row, polygon: gdal.Geometry.fromWKB(Buffer.from(wkb, "hex")) }));
}

/** Compare the pixels at fields' centroids; only where the field covers the pixel and its neighbors for sure. */
function checkPixels(png, map, fields, scaleBar, ground = GROUND) {
  const seen = new Set();
  let checked = 0;
  const degreesAPixel = (map.bounds.east - map.bounds.west) / map.width;
  for (const { polygon, crop } of fields) {
    const center = polygon.centroid();
    if (!polygon.contains(center.buffer(3 * degreesAPixel, 4))) continue;
    const [x, y] = pixelOf(map, center.x, center.y).map(Math.floor);
    const inside = x >= map.x && x < map.x + map.width && y >= map.y && y < map.y + map.height;
    if (!inside || (x - map.x < scaleBar && map.y + map.height - y < scaleBar)) continue;
    assert.equal(png.at(x, y), crop === null ? ground : COLORS.get(Number(crop)), `${crop} at ${x}, ${y}`);
    seen.add(crop);
    checked++;
  }
  return { checked, seen };
}

test("every field large enough to see has its crop's color, at every zoom that is detailed enough", async () => {
  const fields = await fieldsOf(2020);
  const archive = join(root, "outputs", "tiles", "fields_us_2020_full.pmtiles");
  for (const [width, zoom] of [[1200], [1200, 14], [1200, 13], [700]]) {
    const out = join(world.folder, "map.png");
    const args = ["--archive", archive, "--out", out, "--width", String(width), "--json"];
    const run = await command("preview", [...args, ...(zoom ? ["--zoom", String(zoom)] : [])]);
    assert.equal(run.code, 0, run.stderr);
    const png = readPng(out);
    assert.equal(png.width, width);
    const [map] = run.json.maps;
    if (zoom) assert.equal(map.zoom, zoom);
    const { checked, seen } = checkPixels(png, map, fields, 0.25 * width);
    assert.ok(checked > (width > 1000 ? 250 : 100), `${checked} fields checked`);
    assert.ok(seen.size >= 6, [...seen].join(" "));
  }
});

test("a light picture has a light ground and the same crops", async () => {
  const out = join(world.folder, "light.png");
  const run = await command("preview", ["2020", "--root", root, "--out", out, "--theme", "light", "--json"]);
  assert.equal(run.code, 0, run.stderr);
  const { checked } = checkPixels(readPng(out), run.json.maps[0], await fieldsOf(2020), 300, "#e4e8ec");
  assert.ok(checked > 250, `${checked} fields checked`);
  const wrong = await command("preview", ["2020", "--root", root, "--out", out, "--theme", "sepia"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--theme must be dark or light/);
});

test("drawn areas are the fields' areas", async () => {
  const out = join(world.folder, "areas.png");
  const run = await command("preview", ["2020", "--root", root, "--out", out, "--zoom", "14", "--json"]);
  assert.equal(run.code, 0, run.stderr);
  const expected = {};
  for (const { crop, area } of await fieldsOf(2020)) {
    if (crop !== null) expected[crop] = (expected[crop] ?? 0) + area;
  }
  const total = Object.values(expected).reduce((sum, area) => sum + area, 0);
  const { hectares } = run.json.maps[0];
  for (const [code, area] of Object.entries(expected)) {
    assert.ok(
      Math.abs((hectares[code] ?? 0) - area) < 0.003 * total,
      `${code}: ${hectares[code]} ha drawn, ${area} ha`,
    );
  }
});

test("years side by side are each their own year, at one scale", async () => {
  const out = join(world.folder, "years.png");
  const run = await command("preview", ["2019-2020", "--root", root, "--out", out, "--width", "1600", "--json"]);
  assert.equal(run.code, 0, run.stderr);
  const png = readPng(out);
  const [first, second] = run.json.maps;
  assert.deepEqual(
    run.json.maps.map(({ year }) => year),
    YEARS,
  );
  for (const map of run.json.maps) {
    const letters = new Set();
    for (let y = map.y - 40; y < map.y; y++) for (let x = map.x; x < map.x + 80; x++) letters.add(png.at(x, y));
    assert.ok(letters.has("#f4f1ea"), "each map has its year above it");
    letters.clear();
    for (let y = map.y + map.height; y < png.height; y++)
      for (let x = map.x + map.width - 60; x < map.x + map.width; x++) letters.add(png.at(x, y));
    assert.ok(letters.size > 3, "and its own shares below it");
  }
  assert.deepEqual([png.width, png.height], [1600, run.json.height]);
  assert.ok(first.x + first.width < second.x && first.y === second.y);
  assert.deepEqual(first.bounds, second.bounds);
  for (const [i, year] of YEARS.entries()) {
    const { checked } = checkPixels(png, run.json.maps[i], await fieldsOf(year), 220);
    assert.ok(checked > 120, `${checked} fields checked`);
  }
  // The years differ, or the check above could not tell them apart.
  const [before, now] = await Promise.all(YEARS.map((year) => fieldsOf(year)));
  assert.ok(before.filter(({ crop }, i) => crop !== now[i].crop).length > 100);
});
