// --values: statistics of a second raster, against rasterio's pixels of a raster of both numbers.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { Random } from "../support/random.mjs";
import { GRID, rowsOf, writeWorld, zonalOf } from "../support/random-fields.mjs";
import { randomShape } from "../support/random-polygons.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";

const { width, height } = GRID;
const PAIR = 100_000;
const NO_VALUE = 99_999;
let folder;
let geometries;
let classes;

function write(name, type, array, nodata) {
  const source = gdal.open(join(folder, "classes.tif"));
  const raster = gdal.open(join(folder, name), "w", "GTiff", width, height, 1, type, ["TILED=YES", "COMPRESS=LZW"]);
  [raster.srs, raster.geoTransform] = [source.srs, source.geoTransform];
  if (nodata !== undefined) raster.bands.get(1).noDataValue = nodata;
  raster.bands.get(1).pixels.write(0, 0, width, height, array);
  raster.close();
  source.close();
  return join(folder, name);
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "values-"));
  const random = new Random(12);
  const shapes = Array.from({ length: 80 }, () => {
    const at = [random.pick([random.between(0, width), 2048]), random.pick([random.between(0, height), 512])];
    return [randomShape(random, "blob", [...at, random.pick([0.5, 2, 10, 40])])];
  });
  geometries = await writeWorld(folder, shapes);
  const source = gdal.open(join(folder, "classes.tif"));
  classes = source.bands.get(1).pixels.read(0, 0, width, height);
  source.close();
});
after(() => rmSync(folder, { recursive: true, force: true }));

const KINDS = {
  bytes: { type: gdal.GDT_Byte, array: Uint8Array, of: (i) => (i * 31) % 101, nodata: 255 },
  "bytes with nodata": { type: gdal.GDT_Byte, array: Uint8Array, of: (i) => ((i >> 3) * 7) % 11, nodata: 4 },
  "negative numbers of 16 bits": {
    type: gdal.GDT_Int16,
    array: Int16Array,
    of: (i) => ((i * 13) % 4001) - 2000,
    nodata: -1,
  },
  "16 bits": { type: gdal.GDT_UInt16, array: Uint16Array, of: (i) => (i * 97) % 65_521, nodata: 7 },
};

/** What the pairs under a field give. */
function expectedOf(histogram) {
  const pairs = Object.entries(histogram ?? {}).map(([pair, n]) => {
    const code = Math.floor(Number(pair) / PAIR);
    const value = Number(pair) - code * PAIR;
    return { code, value: value === NO_VALUE ? undefined : value - 33_000, n };
  });
  const counted = pairs.filter(({ code }) => code !== 0);
  const perClass = new Map();
  for (const { code, n } of counted) perClass.set(code, (perClass.get(code) ?? 0) + n);
  const [crop] = [...perClass].sort(([a, n], [b, m]) => m - n || a - b)[0] ?? [];
  const statistics = (list) => {
    const there = list.filter(({ value }) => value !== undefined);
    const total = there.reduce((sum, { n }) => sum + n, 0);
    if (total === 0) return { mean: null, max: null };
    const sum = there.reduce((all, { value, n }) => all + value * n, 0);
    return { mean: sum / total, max: Math.max(...there.map(({ value }) => value)) };
  };
  const [all, own] = [statistics(counted), statistics(counted.filter(({ code }) => code === crop))];
  const pixels = crop === undefined ? 0 : perClass.get(crop);
  return {
    crop: crop ?? null,
    pixels,
    value_mean: all.mean,
    value_max: all.max,
    crop_value_mean: own.mean,
    crop_value_max: own.max,
  };
}

for (const [kind, { type, array, of, nodata }] of Object.entries(KINDS)) {
  test(`${kind}: the mean of all pixels and of the majority's`, { skip: rasterioMissing() }, async () => {
    const values = array.from({ length: width * height }, (_, i) => of(i));
    const path = write("values.tif", type, values, nodata);
    const pairs = Int32Array.from(classes, (code, i) => {
      return code * PAIR + (values[i] === nodata ? NO_VALUE : values[i] + 33_000);
    });
    const expected = rasterioHistograms(geometries, write("pairs.tif", gdal.GDT_Int32, pairs)).map(expectedOf);
    const stats = "variety,value_mean,value_max,crop_value_mean,crop_value_max";
    const run = await zonalOf(folder, "values", ["--values", path, "--stats", stats, "--classes"]);
    assert.equal(run.code, 0, run.stderr);
    const plain = await zonalOf(folder, "plain", ["--stats", "variety", "--classes"]);
    const rows = await rowsOf(run.out);
    for (const [i, { crop, pixels, ...means }] of expected.entries()) {
      const row = rows[i];
      assert.deepEqual([row.crop_code, row.crop_pixels], [crop, pixels]);
      for (const [name, want] of Object.entries(means)) {
        const isNear =
          want === null ? row[name] === null : Math.abs(row[name] - want) < 1e-9 * Math.max(1, Math.abs(want));
        assert.ok(isNear, `${name} of row ${i}: ${row[name]}, not ${want}`);
      }
    }
    const own = (list) =>
      list.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !name.includes("value_"))));
    assert.deepEqual(own(rows), await rowsOf(plain.out));
  });
}

test("without lists, with threads, by covered shares: the same values", async () => {
  const path = join(folder, "values.tif");
  const args = ["--values", path, "--stats", "value_mean,crop_value_mean", "--coverage"];
  const [one, two] = [
    await zonalOf(folder, "one", [...args, "--threads", "1"]),
    await zonalOf(folder, "two", [...args, "--threads", "2", "--classes"]),
  ];
  assert.equal(one.code, 0, one.stderr);
  const rows = await rowsOf(two.out);
  assert.deepEqual(
    await rowsOf(one.out),
    rows.map(({ class_codes: _codes, class_pixels: _pixels, ...rest }) => rest),
  );
});

test("another grid, floats, and statistics without a raster are refused", async () => {
  const path = join(folder, "float.tif");
  write("float.tif", gdal.GDT_Float32, new Float32Array(width * height));
  const float = await zonalOf(folder, "float", ["--values", path, "--stats", "value_mean"]);
  assert.match(float.stderr, /integers of 8 or 16 bits.*Byte, and Float32/);
  const missing = await zonalOf(folder, "missing", ["--stats", "crop_value_mean"]);
  assert.match(missing.stderr, /pass it as --values/);
  const unused = await zonalOf(folder, "unused", ["--values", path, "--stats", "mean"]);
  assert.match(unused.stderr, /--values is for statistics of its raster/);
  assert.deepEqual([float.code, missing.code, unused.code], [4, 2, 2]);
});
