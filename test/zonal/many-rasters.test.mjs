import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { command } from "../support/command.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";

// A world of 2600 × 1200 pixels; years are rasters over it, some cut out of it, on the same lattice.
const [X0, Y0, WIDTH, HEIGHT] = [-300015, 2000025, 2600, 1200];
let folder;
const file = (name) => join(folder, name);
const code = (col, row, year) => 1 + (((col >> 4) * 7 + (row >> 4) * 3 + year) % 200);

function writeRaster(name, year, { col = 0, row = 0, width = WIDTH, height = HEIGHT, offset = 0, block = 256 } = {}) {
  const raster = gdal.open(file(name), "w", "GTiff", width, height, 1, gdal.GDT_Byte, [
    "TILED=YES",
    `BLOCKXSIZE=${block}`,
    `BLOCKYSIZE=${block}`,
  ]);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [X0 + col * 30 + offset, 30, 0, Y0 - row * 30, 0, -30];
  const pixels = new Uint8Array(width * height);
  for (let r = 0; r < height; r++) for (let c = 0; c < width; c++) pixels[r * width + c] = code(c + col, r + row, year);
  raster.bands.get(1).pixels.write(0, 0, width, height, pixels);
  raster.close();
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-years-"));
  for (const year of [2018, 2019]) writeRaster(`cdl_${year}.tif`, year);
  // Cut out at an odd place, over several chunk borders (512 rows, 2048 columns).
  writeRaster("cdl_2020.tif", 2020, { col: 333, row: 77, width: 1901, height: 1011 });
  writeRaster("cdl_2021.tif", 2021, { col: 333, row: 77, width: 1901, height: 1011, block: 512 });
  writeRaster("off_2022.tif", 2022, { offset: 11 });
  const fields = Array.from({ length: 2500 }, (_, i) => {
    const [x, y] = [X0 + 100 + ((i * 7919) % 76_000), Y0 - 200 - ((i * 104_729) % 34_000)];
    return { id: i, wkb: polygonWkb([box(x, y, x + 100 + (i % 1500), y - 100 - (i % 1300))]) };
  });
  await writeFields(file("fields.parquet"), fields);
  const run = await command("prepare", [
    "--fields",
    file("fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    file("cdl_2018.tif"),
    "--out",
    file("all.zones"),
  ]);
  assert.equal(run.code, 0, run.stderr);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function zonal(raster, out, args = []) {
  const base = [
    "--fields",
    file("fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    file(raster),
    "--out",
    file(out),
    "--json",
  ];
  return command("zonal", [...base, ...args]);
}

test("several years in one pass give the bytes of each year alone", async () => {
  const run = await zonal("cdl_{year}.tif", "pass_{year}.parquet", [
    "--years",
    "2018-2021",
    "--index",
    file("all.zones"),
  ]);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(
    run.json.years.map(({ year }) => year),
    [2018, 2019, 2020, 2021],
  );
  for (const year of [2018, 2019]) {
    assert.equal((await zonal(`cdl_${year}.tif`, "alone.parquet")).code, 0);
    assert.deepEqual(readFileSync(file(`pass_${year}.parquet`)), readFileSync(file("alone.parquet")), `${year}`);
  }
});

test("a year whose raster is cut short fails alone: named, its old table kept, the others' bytes as ever", async () => {
  for (const year of [2018, 2019, 2021]) copyFileSync(file(`cdl_${year}.tif`), file(`cut_${year}.tif`));
  truncateSync(file("cut_2019.tif"), 2_000_000);
  writeFileSync(file("cut_2019.parquet"), "an old table");
  const run = await zonal("cut_{year}.tif", "cut_{year}.parquet", ["--years", "2018,2019,2021", "--force"]);
  assert.equal(run.code, 3, run.stderr);
  assert.match(run.stderr, /ERROR.*Raster block cannot be read.*cut_2019\.tif.*window=/);
  assert.match(run.stderr, /Some years failed \(failed=2019, done=2018 2021\)/);
  assert.equal((await zonal("cut_{year}.tif", "sound_{year}.parquet", ["--years", "2018,2021"])).code, 0);
  for (const year of [2018, 2021])
    assert.deepEqual(readFileSync(file(`cut_${year}.parquet`)), readFileSync(file(`sound_${year}.parquet`)), `${year}`);
  assert.equal(readFileSync(file("cut_2019.parquet"), "utf8"), "an old table");
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("scratch")),
    [],
  );
  assert.equal((await zonal("cut_{year}.tif", "cut_{year}.parquet", ["--years", "2019", "--force"])).code, 4);
});

test("an index serves a raster shifted by whole pixels: the answers of one burned for that raster", async () => {
  for (const year of [2020, 2021]) {
    const indexed = await zonal(`cdl_${year}.tif`, `shifted_${year}.parquet`, ["--index", file("all.zones")]);
    assert.equal(indexed.code, 0, indexed.stderr);
    const direct = await zonal(`cdl_${year}.tif`, `direct_${year}.parquet`);
    assert.equal(direct.code, 0, direct.stderr);
    const columns = "field_id, crop_code, crop_pixels, valid_pixels, second_code, second_pixels";
    const [a, b] = [
      `select ${columns} from '${file(`shifted_${year}.parquet`)}'`,
      `select ${columns} from '${file(`direct_${year}.parquet`)}'`,
    ];
    assert.deepEqual(await query(`(${a} except ${b}) union all (${b} except ${a})`), []);
    const outside = indexed.json.unanswered["outside the raster"];
    assert.ok(outside > 100 && outside < 1500, `${outside} fields outside`);
    // A field that reaches over the raster's edge by less than half a pixel is outside to the one, without a center to the other.
    const sum = (reasons) => Object.values(reasons).reduce((a, b) => a + b, 0);
    assert.equal(sum(indexed.json.unanswered), sum(direct.json.unanswered));
  }
});

test("a raster off the lattice is refused with its index and gets its own without", async () => {
  const run = await zonal("off_2022.tif", "off.parquet", ["--index", file("all.zones")]);
  assert.equal(run.code, 4, run.stderr);
  assert.match(run.stderr, /another grid.*off_2022\.tif.*all\.zones/);
  const mixed = await command("zonal", [
    "--fields",
    file("fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--years",
    "2018,2022",
    "--raster",
    file("mixed_{year}.tif"),
    "--out",
    file("mixed_{year}.parquet"),
  ]);
  assert.equal(mixed.code, 4);
  copyFileSync(file("cdl_2018.tif"), file("mixed_2018.tif"));
  copyFileSync(file("off_2022.tif"), file("mixed_2022.tif"));
  const both = await zonal("mixed_{year}.tif", "mixed_{year}.parquet", ["--years", "2018,2022"]);
  assert.equal(both.code, 0, both.stderr);
  assert.equal((await zonal("off_2022.tif", "alone.parquet")).code, 0);
  assert.deepEqual(readFileSync(file("mixed_2022.parquet")), readFileSync(file("alone.parquet")));
});

test("an index of a smaller raster that fields reach out of does not serve a larger one", async () => {
  const made = await command("prepare", [
    "--fields",
    file("fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    file("cdl_2020.tif"),
    "--out",
    file("small.zones"),
  ]);
  assert.equal(made.code, 0, made.stderr);
  const run = await zonal("cdl_2018.tif", "x.parquet", ["--index", file("small.zones")]);
  assert.equal(run.code, 4, run.stderr);
  assert.match(run.stderr, /lacks fields/);
});

test("prepare: nothing to do the second time; made again for other fields", async () => {
  const args = [
    "--fields",
    file("fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    file("cdl_2019.tif"),
    "--out",
    file("all.zones"),
    "--json",
  ];
  assert.equal((await command("prepare", args)).json.made, false);
});

test("an index that is cut short, damaged, of another version or of other fields is named", async () => {
  const whole = readFileSync(file("all.zones"));
  const cases = {
    "cut.zones": [() => truncateSync(file("cut.zones"), whole.length - 10), /cut short/],
    "flip.zones": [() => writeFileSync(file("flip.zones"), flip(whole, 5000)), /damaged.*segment/],
    "magic.zones": [() => writeFileSync(file("magic.zones"), flip(whole, 0)), /Not a zone index/],
    "header.zones": [() => writeFileSync(file("header.zones"), flip(whole, whole.length - 100)), /damaged.*header/],
  };
  for (const [name, [damage, message]] of Object.entries(cases)) {
    writeFileSync(file(name), whole);
    damage();
    const run = await zonal("cdl_2018.tif", "x.parquet", ["--index", file(name)]);
    assert.equal(run.code, 4, `${name}: ${run.stderr}`);
    assert.match(run.stderr, message);
    assert.ok(run.stderr.includes(name));
  }
  await writeFields(file("others.parquet"), [{ id: 1, wkb: polygonWkb([box(X0, Y0 - 900, X0 + 900, Y0)]) }]);
  const others = await command("zonal", [
    "--fields",
    file("others.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    file("cdl_2018.tif"),
    "--out",
    file("x.parquet"),
    "--index",
    file("all.zones"),
  ]);
  assert.equal(others.code, 4);
  assert.match(others.stderr, /Zone index belongs to other fields/);
});

function flip(bytes, at) {
  const copy = Buffer.from(bytes);
  copy[at] ^= 0x40;
  return copy;
}

test("library: a raster that went away after it was opened is named, and no handle of the others stays open", async () => {
  copyFileSync(file("cdl_2019.tif"), file("gone.tif"));
  const rasters = [openRaster(file("cdl_2018.tif")), openRaster(file("gone.tif"))];
  rmSync(file("gone.tif"));
  const fields = await openFields(file("fields.parquet"), { fieldsCrs: "EPSG:5070" });
  const engine = new ZonalEngine({ threads: 1 });
  try {
    await assert.rejects(engine.zonalOverMany(fields, rasters, { index: file("all.zones") }).next(), {
      kind: "input",
      sentence: "Raster not found",
      where: { path: file("gone.tif") },
    });
  } finally {
    await engine.close();
  }
  const links = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  assert.deepEqual(
    links.filter((path) => path.endsWith(".tif")),
    [],
  );
});
