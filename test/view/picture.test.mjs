// Pictures of hand-made archives, their pixels read by GDAL.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { readPng } from "../support/png.mjs";
import { writeSquareFields } from "../support/square-fields.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const GROUND = "#20242a";
const CORN = "#ffd400";
const SOY = "#267300";
const GRAY = "#9e9e9e";
const T = 4096;

async function draw(folder, archive, args = []) {
  const out = join(folder, "map.png");
  const run = await command("preview", ["--archive", archive, "--out", out, "--json", ...args]);
  assert.equal(run.code, 0, run.stderr);
  const png = readPng(out);
  assert.deepEqual([png.width, png.height], [run.json.width, run.json.height]);
  return { png, map: run.json.maps[0], run };
}

/** Colors of a rectangle of the map, given as shares of it, with their counts. */
function colors(png, map, [left, top, right, bottom]) {
  const counts = {};
  for (let y = Math.ceil(map.y + top * map.height); y < map.y + bottom * map.height; y++) {
    for (let x = Math.ceil(map.x + left * map.width); x < map.x + right * map.width; x++) {
      const color = png.at(x, y);
      counts[color] = (counts[color] ?? 0) + 1;
    }
  }
  return counts;
}

const onlyColor = (counts) => {
  assert.equal(Object.keys(counts).length, 1, JSON.stringify(counts));
  return Object.keys(counts)[0];
};

for (const buffer of [80, 0]) {
  for (const [name, span] of [
    ["far", 8],
    ["near, with borders", 2],
  ]) {
    test(`a field over many tiles has no seams (${name}; tiles reach ${buffer} units beyond their sides)`, async (t) => {
      const folder = tempFolder(t);
      const archive = join(folder, "a.pmtiles");
      const box = [0.37 * T, 0.41 * T, (0.37 + span) * T, (0.41 + 0.7 * span) * T].map(Math.round);
      const [west, south, east, north] = writeSquareFields(archive, [{ box, properties: { crop_code: 1 } }], {
        buffer,
      });
      const bbox = [west, south, east, north].map((side) => side.toFixed(9)).join(",");
      const { png, map } = await draw(folder, archive, [`--bbox=${bbox}`, "--width", "811"]);
      assert.ok(map.tiles > 3);
      // All of the map but its border, and but the scale bar in the lower left.
      assert.equal(onlyColor(colors(png, map, [0.01, 0.01, 0.99, 0.75])), CORN);
      assert.equal(onlyColor(colors(png, map, [0.5, 0.01, 0.99, 0.99])), CORN);
    });
  }
}

test("crops, a hole, a field without a crop and an unknown code have their colors and areas", async (t) => {
  const folder = tempFolder(t);
  const archive = join(folder, "a.pmtiles");
  // Three columns of one tile each; the first with a hole.
  const fields = [
    { box: [0, 0, T, 2 * T], holes: [[T / 4, T / 2, (3 * T) / 4, T]], properties: { crop_code: 1 } },
    { box: [T, 0, 2 * T, T], properties: { crop_code: 5 } },
    { box: [T, T, 2 * T, 2 * T] },
    { box: [2 * T, 0, 3 * T, 2 * T], properties: { crop_code: 251 } },
  ];
  const [west, south, east, north] = writeSquareFields(archive, fields);
  const bbox = [west, south, east, north].map((side) => side.toFixed(9)).join(",");
  const { png, map } = await draw(folder, archive, [`--bbox=${bbox}`]);
  assert.equal(png.width, 1200);
  assert.ok(Math.abs(map.height / map.width - 2 / 3) < 0.002, `${map.height} / ${map.width}`);
  const third = (column, row) => [column / 3 + 0.01, row / 2 + 0.01, (column + 1) / 3 - 0.01, (row + 1) / 2 - 0.01];
  assert.equal(onlyColor(colors(png, map, third(1, 0))), SOY);
  assert.equal(onlyColor(colors(png, map, third(1, 1))), GROUND);
  assert.equal(onlyColor(colors(png, map, third(2, 0))), GRAY);
  assert.equal(onlyColor(colors(png, map, [0.1, 0.27, 0.23, 0.48])), GROUND);
  assert.equal(onlyColor(colors(png, map, [0.01, 0.01, 0.32, 0.23])), CORN);
  // The outline of the field without a crop: gray, which neither ground nor border is.
  const outline = colors(png, map, [1 / 3 - 0.004, 0.6, 1 / 3 + 0.004, 0.9]);
  assert.ok(
    Object.keys(outline).some((color) => /^#(6|7)/.test(color)),
    JSON.stringify(outline),
  );

  // A tile of zoom 12 at this latitude, by its formula; mercator's scale changes with the row.
  const tileHa = (row) => {
    const lat = Math.atan(Math.sinh(Math.PI * (1 - (2 * (1580 + row + 0.5)) / 4096)));
    return ((40_075_016.686 / 4096) * Math.cos(lat)) ** 2 / 10_000;
  };
  const expected = { 1: tileHa(0) * 0.75 + tileHa(1), 5: tileHa(0), 251: tileHa(0) + tileHa(1) };
  assert.deepEqual(Object.keys(map.hectares), Object.keys(expected));
  for (const [code, hectares] of Object.entries(expected)) {
    assert.ok(Math.abs(map.hectares[code] / hectares - 1) < 0.003, `${code}: ${map.hectares[code]} ha, ${hectares} ha`);
  }
});

test("the archive's own legend decides colors; the same input gives the same bytes", async (t) => {
  const folder = tempFolder(t);
  const archive = join(folder, "a.pmtiles");
  const legend = [{ code: 1, name: "Mais", color: "#123456" }];
  writeSquareFields(archive, [{ box: [0, 0, T, T], properties: { crop_code: 1 } }], {
    metadata: { legend, year: 2021 },
  });
  const { png, map } = await draw(folder, archive);
  assert.equal(onlyColor(colors(png, map, [0.1, 0.1, 0.9, 0.7])), "#123456");
  const bytes = readFileSync(join(folder, "map.png"));
  await draw(folder, archive);
  assert.ok(bytes.equals(readFileSync(join(folder, "map.png"))));
  assert.deepEqual(readdirSync(folder).sort(), ["a.pmtiles", "map.png"]);
});

test("on a machine without fonts the map is drawn without text, and that is said", async (t) => {
  const folder = tempFolder(t);
  const archive = join(folder, "a.pmtiles");
  writeSquareFields(archive, [{ box: [0, 0, T, T], properties: { crop_code: 1 } }]);
  const preview = fileURLToPath(new URL("../../dist/preview.js", import.meta.url));
  const out = join(folder, "map.png");
  const script = 'mkdir -p /usr/share/fonts && mount -t tmpfs none /usr/share/fonts && HOME=/nonexistent exec "$@"';
  const args = [process.execPath, preview, "--archive", archive, "--out", out, "--json"];
  const run = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", ...args], { encoding: "utf8" });
  if (run.error || /unshare|mount:/.test(run.stderr)) return t.skip("no right to mount over the fonts");
  assert.equal(run.status, 0, run.stderr);
  const json = JSON.parse(run.stdout);
  if (json.font !== null) return t.skip(`fonts outside /usr/share/fonts: ${json.font}`);
  assert.match(run.stderr, /No font found: the picture has no text/);
  const png = readPng(out);
  // The map has the whole picture, and nothing is on it but the field with its border.
  assert.equal(json.maps[0].width, 1200);
  assert.equal(onlyColor(colors(png, json.maps[0], [0.03, 0.03, 0.97, 0.97])), CORN);
});

test("bad input: one error, its kind's exit code, and the picture that was there stays", async (t) => {
  const folder = tempFolder(t);
  const path = (name) => join(folder, name);
  const good = [{ box: [0, 0, T, T], properties: { crop_code: 1 } }];
  const write = (name, fields, options) => {
    writeSquareFields(path(name), fields, options);
    return path(name);
  };
  writeFileSync(path("text.pmtiles"), "x".repeat(500));
  truncateSync(write("cut.pmtiles", good), 16_400);
  const fine = write("fine.pmtiles", good);
  const nowhere = path("nowhere.pmtiles");
  const cases = [
    [["--archive", nowhere], 4, /Cannot open archive \(path=.*nowhere\.pmtiles\)/],
    [["--archive", path("text.pmtiles")], 4, /Not a PMTiles archive \(path=.*text\.pmtiles, expected=/],
    [["--archive", path("cut.pmtiles")], 4, /Archive is cut short \(path=.*cut\.pmtiles/],
    [
      ["--archive", write("points.pmtiles", good, { layer: "centroids" })],
      4,
      /no fields in the picture .*layer=fields/,
    ],
    [
      ["--archive", write("text-code.pmtiles", [{ ...good[0], properties: { crop_code: "1" } }])],
      4,
      /crop_code is not a number .*tile=12\/94[01]\/158[01].*received="1"/,
    ],
    [
      ["--archive", write("legend.pmtiles", good, { metadata: { legend: [{ code: 1, name: "Corn", color: "red" }] } })],
      4,
      /legend cannot be read .*legend\.pmtiles.*received=.*red/,
    ],
    [["--archive", fine, "--bbox=10,50,11,51"], 4, /no fields in the picture/],
    [["--archive", fine, "--zoom", "9"], 2, /no such zoom .*expected=12 to 12, received=9/],
    [["--archive", fine, "--zoom", "9.5"], 2, /--zoom must be a whole number/],
    [["--archive", fine, "--width", "100"], 2, /--width must be a whole number from 400 to 4096 \(received=100\)/],
    [["--archive", fine, "--bbox=11,50,10,51"], 2, /--bbox must be WEST,SOUTH,EAST,NORTH/],
    [["--archive", fine, "--bbox=1,2,3"], 2, /--bbox must be/],
    [["--archive", fine, "2020"], 2, /Expected --archive FILE, or years \(received=both\)/],
    [[], 2, /Expected --archive FILE, or years \(received=neither\)/],
    [["twenty"], 2, /Not a year: "twenty"/],
    [["2020", "--root", folder], 4, /Cannot open archive \(path=.*fields_us_2020_full\.pmtiles\)/],
  ];
  const out = path("map.png");
  writeFileSync(out, "the picture before");
  for (const [args, code, message] of cases) {
    const run = await command("preview", [...args, "--force", "--out", out]);
    assert.equal(run.code, code, `${args}: ${run.stderr}`);
    assert.match(run.stderr, message);
    assert.equal(run.stderr.trim().split("\n").length, 1, run.stderr);
    assert.equal(readFileSync(out, "utf8"), "the picture before");
  }
  const noOut = await command("preview", ["--archive", fine]);
  assert.equal(noOut.code, 2);
  assert.match(noOut.stderr, /--out must name the picture/);
  assert.ok(!readdirSync(folder).some((name) => name.includes("scratch")));
});

test("a full disk: kind space, and no half a picture", async (t) => {
  const disk = tinyDisk(t, "8k");
  if (disk === undefined) return t.skip("no small file system may be mounted here");
  const folder = tempFolder(t);
  const archive = join(folder, "a.pmtiles");
  writeSquareFields(archive, [{ box: [0, 0, T, T], properties: { crop_code: 1 } }]);
  const out = join(disk, "map.png");
  const run = await command("preview", ["--archive", archive, "--out", out]);
  assert.equal(run.code, 7, run.stderr);
  assert.match(run.stderr, /No space left on device/);
  assert.ok(!existsSync(out));
  assert.deepEqual(readdirSync(disk), []);
});
