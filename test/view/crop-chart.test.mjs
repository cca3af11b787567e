// The chart of crop areas: what is drawn is what the legend says, pixel by pixel.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { readPng } from "../support/png.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const byYear = (values) => Object.fromEntries(values.map((value, i) => [2018 + i, value]).filter(([y]) => y !== 2019));
const crop = (code, name, color, values) => ({ code, name, color, fields: byYear(values), hectares: byYear(values) });

const LEGEND = {
  version: 1,
  region: "us",
  years: [2018, 2019, 2020, 2021],
  missing: [2019],
  area: "clean",
  fields: 10,
  fieldsWithoutArea: 0,
  crops: [
    crop(1, "Corn", "#ffd400", [5000, 0, 4000, 100]),
    crop(5, "Soybeans", "#267300", [3000, 0, 4500, 100]),
    crop(24, "Winter Wheat", "#a87000", [1000, 0, 500, 100]),
    crop(36, "Alfalfa", "#ffa8e3", [600, 0, 10, 0]),
    crop(61, "Fallow/Idle Cropland", "#bfbf7a", [300, 0, 20, 0]),
  ],
  noCrop: { fields: byYear([0, 0, 0, 0]), hectares: byYear([0, 0, 0, 0]) },
};

function rootWith(t, legend) {
  const root = tempFolder(t);
  const folder = join(root, "outputs", "history", "us");
  mkdirSync(folder, { recursive: true });
  if (legend !== undefined) writeFileSync(join(folder, "legend.json"), legend);
  return root;
}

const draw = (root, args = []) =>
  command("preview", ["--chart", "--root", root, "--out", join(root, "chart.png"), "--json", ...args]);

/** Runs of one color down a column of the picture: [[color, pixels], ...]. */
function bandsOf(png, x, from, to) {
  const runs = [];
  for (let y = from; y < to; y++) {
    const color = png.at(x, y);
    if (runs.at(-1)?.[0] === color) runs.at(-1)[1]++;
    else runs.push([color, 1]);
  }
  return runs;
}

test("bars are as high as the hectares, in USDA's colors, the largest crop at the bottom", async (t) => {
  const root = rootWith(t, JSON.stringify(LEGEND));
  const { json, code, stderr } = await draw(root, ["--top", "3"]);
  assert.equal(code, 0, stderr);
  const png = readPng(join(root, "chart.png"));
  assert.deepEqual([png.width, png.height], [json.width, json.height]);
  assert.deepEqual(
    json.bands.map(({ name }) => name),
    ["Corn", "Soybeans", "Winter Wheat", "2 other crops"],
  );
  const { y0, y1, hectares } = json.axis;
  assert.equal(hectares, 10_000);
  for (const { year, x, width } of json.bars) {
    const runs = bandsOf(png, x + (width >> 1), y1, y0).reverse();
    for (const { name, color } of json.bands) {
      const own = LEGEND.crops.find((entry) => entry.name === name);
      const amount = own
        ? (own.hectares[year] ?? 0)
        : LEGEND.crops.slice(3).reduce((sum, entry) => sum + (entry.hectares[year] ?? 0), 0);
      const expected = (amount / hectares) * (y0 - y1);
      const drawn = runs.filter(([colorOf]) => colorOf === color).reduce((sum, [, pixels]) => sum + pixels, 0);
      assert.ok(Math.abs(drawn - expected) <= 3, `${year} ${name}: ${drawn} pixels, ${expected} expected`);
    }
    const order = runs.map(([color]) => json.bands.findIndex((band) => band.color === color)).filter((i) => i >= 0);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  }
});

test("the legend and the years are lettered, and a larger picture is the same one larger", async (t) => {
  const root = rootWith(t, JSON.stringify(LEGEND));
  const large = (await draw(root)).json;
  const lettered = readPng(join(root, "chart.png"));
  let bright = 0;
  for (let x = large.bars.at(-1).x + large.bars.at(-1).width; x < 1200; x++) {
    for (let y = large.axis.y1; y < 640; y++) if (/^#[cdef].[cdef].[cdef].$/.test(lettered.at(x, y))) bright++;
  }
  assert.ok(bright > 50, `${bright} pixels of letters`);
  const small = (await draw(root, ["--width", "600"])).json;
  assert.deepEqual([small.width, small.height, large.width, large.height], [600, 320, 1200, 640]);
  assert.deepEqual(small.bands, large.bands);
});

test("years can be chosen; what cannot be drawn is an error", async (t) => {
  const root = rootWith(t, JSON.stringify(LEGEND));
  assert.deepEqual((await draw(root, ["2020-2021"])).json.years, [2020, 2021]);
  const cases = [
    [root, ["2017"], 4, /does not have this year.*2017/],
    [root, ["2019"], 4, /no area/],
    [root, ["--top", "0"], 2, /--top/],
    [root, ["--bbox=1,2,3,4"], 2, /--bbox cannot be used with --chart/],
    [rootWith(t), [], 4, /No history yet/],
    [rootWith(t, "{"), [], 4, /not JSON/],
    [rootWith(t, '{"version": 9}'), [], 4, /cannot be read.*received=9/],
  ];
  for (const [where, args, exit, message] of cases) {
    const { code, stderr } = await draw(where, args);
    assert.equal(code, exit, stderr);
    assert.match(stderr, message);
  }
  assert.ok(existsSync(join(root, "chart.png")));
});
