// --stats against numpy on rasterio's pixels, and exactextract's weighted quantiles by hand; --band.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { parseStatistics } from "../../dist/zonal/statistics.js";
import { writeFields } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { GRID, rowsOf, writeWorld, zonalOf } from "../support/random-fields.mjs";
import { randomShape } from "../support/random-polygons.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";
import { writeWkb } from "../support/wkb.mjs";

let folder;
let geometries;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "statistics-"));
  const random = new Random(71);
  const shapes = Array.from({ length: 150 }, () => {
    const at = [random.pick([random.between(0, GRID.width), 2048]), random.between(0, GRID.height)];
    return [randomShape(random, "blob", [...at, random.pick([0.5, 2, 10, 40])])];
  });
  geometries = await writeWorld(folder, shapes);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const STATS = "minority,variety,mean,stdev,variance,min,max,sum,count_3,count_99";

/** The plain definitions, pixel by pixel. */
function plain(histogram) {
  const pairs = Object.entries(histogram ?? {})
    .map(([code, n]) => [Number(code), n])
    .filter(([code]) => code !== 0)
    .sort(([a], [b]) => a - b);
  const pixels = pairs.flatMap(([code, n]) => Array(n).fill(code));
  if (pixels.length === 0) return undefined;
  const mean = pixels.reduce((sum, v) => sum + v, 0) / pixels.length;
  const variance = pixels.reduce((sum, v) => sum + (v - mean) ** 2, 0) / pixels.length;
  const least = Math.min(...pairs.map(([, n]) => n));
  return {
    minority: pairs.find(([, n]) => n === least)[0],
    variety: pairs.length,
    mean,
    stdev: Math.sqrt(variance),
    variance,
    min: pixels[0],
    max: pixels.at(-1),
    sum: mean * pixels.length,
    count_3: pixels.filter((v) => v === 3).length,
    count_99: 0,
  };
}

test("every statistic of every field", { skip: rasterioMissing() }, async () => {
  const run = await zonalOf(folder, "stats", ["--stats", STATS]);
  assert.equal(run.code, 0, run.stderr);
  const rows = await rowsOf(run.out);
  const expected = rasterioHistograms(geometries, join(folder, "classes.tif")).map(plain);
  let answered = 0;
  for (const [i, row] of rows.entries()) {
    for (const name of STATS.split(",")) {
      const wanted = expected[i]?.[name] ?? (name.startsWith("count_") ? 0 : null);
      if (wanted === null) assert.equal(row[name], null);
      else
        assert.ok(
          Math.abs(row[name] - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)),
          `${name} ${row[name]} ${wanted}`,
        );
    }
    if (expected[i]) answered++;
  }
  assert.ok(answered > 80);
  assert.ok(!("class_codes" in rows[0]));
});

test("with coverage they are what the histogram says; --columns takes them", async () => {
  const columns = "mean=average:float32,class_codes,class_pixels,variety:uint8";
  const run = await zonalOf(folder, "covered", [
    "--coverage",
    "--classes",
    "--stats",
    "mean,variety",
    "--columns",
    columns,
  ]);
  assert.equal(run.code, 0, run.stderr);
  const rows = await rowsOf(run.out);
  let some = 0;
  for (const { average, variety, class_codes: codes, class_pixels: weights } of rows) {
    const total = weights.reduce((sum, n) => sum + n, 0);
    if (total === 0) {
      assert.equal(average, null);
      continue;
    }
    const mean = codes.reduce((sum, code, i) => sum + code * weights[i], 0) / total;
    assert.ok(Math.abs(average - mean) < 1e-5);
    assert.equal(variety, codes.length);
    some++;
  }
  assert.ok(some > 80);
});

test("quantiles: numpy's where all weigh alike, exactextract's where not", () => {
  const [median, q25, q0, q100] = parseStatistics("median,q25,q0,q100").map(({ of }) => of);
  const alike = { code: [1, 2, 4, 8], count: [1, 1, 1, 1] };
  assert.deepEqual([median(alike), q25(alike), q0(alike), q100(alike)], [3, 1.75, 1, 8]);
  // s = i w + (n - 1) × weights before it: 0, 2 + 2 × 1 = 4... of (n - 1) × 4 = 8; the half of it, 4, is at the second value.
  const weighted = { code: [10, 20, 40], count: [1, 2, 1] };
  assert.equal(median(weighted), 20);
  assert.equal(q25(weighted), 10 + (2 * 10) / 4);
  assert.equal(median({ code: [7], count: [3] }), 7);
  assert.equal(median({ code: [], count: [] }), null);
});

/** A raster of 1, 2, 3 ... row by row, its south-west corner at the origin, pixels of 1; and squares on it. */
async function* onCountedPixels(size, squares, change = () => {}) {
  const path = join(folder, `counted-${size}.tif`);
  const values = Int32Array.from({ length: size * size }, (_, i) => i + 1);
  change(values);
  const raster = gdal.open(path, "w", "GTiff", size, size, 1, gdal.GDT_Int32);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [0, 1, 0, size, 0, -1];
  raster.bands.get(1).noDataValue = -999;
  raster.bands.get(1).pixels.write(0, 0, size, size, values);
  raster.close();
  const rows = squares.map(([x0, y0, x1, y1], i) => ({
    id: i,
    wkb: writeWkb([
      [
        [x0, y0],
        [x1, y0],
        [x1, y1],
        [x0, y1],
        [x0, y0],
      ],
    ]),
  }));
  await writeFields(join(folder, "squares.parquet"), rows);
  const fields = await openFields(join(folder, "squares.parquet"), { fieldsCrs: "EPSG:5070" });
  const engine = new ZonalEngine({ threads: 1 });
  try {
    const stats = "minority,variety,mean,stdev,variance,min,max,sum,median,q25,q75";
    for await (const batch of engine.zonal(fields, openRaster(path), { coverage: true, stats })) yield* batch;
  } finally {
    await engine.close();
  }
}

// The figures of test_exact_extract.py in https://github.com/isciences/exactextract.
test("exactextract's published examples: a square over a part of nine pixels", async () => {
  for await (const row of onCountedPixels(3, [[0.5, 0.5, 2.5, 2.5]])) {
    const {
      valid_pixels: count,
      crop_code: mode,
      mean,
      median,
      min,
      max,
      minority,
      variety,
      variance,
      stdev,
      sum,
    } = row;
    assert.deepEqual(
      { count, mode, mean, median, min, max, minority, variety, variance, sum },
      { count: 4, mode: 5, mean: 5, median: 5, min: 1, max: 9, minority: 1, variety: 9, variance: 5, sum: 20 },
    );
    assert.ok(Math.abs(stdev - Math.sqrt(5)) < 1e-12);
    // There they are cut to the raster's integers.
    assert.deepEqual([row.q25, row.q75].map(Math.trunc), [3, 6]);
  }
});

test("exactextract's published examples: nodata under all of a square, and under a part", async () => {
  const flag = (values) => {
    for (let row = 6; row < 10; row++) values.fill(-999, 10 * row, 10 * row + 4);
  };
  const rows = [];
  const squares = [
    [0, 0, 3, 3],
    [3.5, 3.5, 4.5, 4.5],
  ];
  for await (const { sum, mean } of onCountedPixels(10, squares, flag)) rows.push({ sum, mean });
  // Nothing is null here, 0 and NaN there.
  assert.deepEqual(rows, [
    { sum: null, mean: null },
    { sum: 43.5, mean: 58 },
  ]);
});

test("--band: another band's answers", { skip: rasterioMissing() }, async () => {
  const source = gdal.open(join(folder, "classes.tif"));
  const { x: width, y: height } = source.rasterSize;
  const pixels = source.bands.get(1).pixels.read(0, 0, width, height);
  const two = gdal.open(join(folder, "two.tif"), "w", "GTiff", width, height, 2, gdal.GDT_Byte, ["COMPRESS=LZW"]);
  [two.srs, two.geoTransform] = [source.srs, source.geoTransform];
  two.bands.get(1).fill(7);
  two.bands.get(2).pixels.write(0, 0, width, height, pixels);
  two.close();
  source.close();
  const one = await zonalOf(folder, "one");
  const raster = ["--raster", join(folder, "two.tif")];
  const second = await zonalOf(folder, "second", [...raster, "--band", "2"]);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(await rowsOf(second.out), await rowsOf(one.out));
  const none = await zonalOf(folder, "none", [...raster, "--band", "3"]);
  assert.equal(none.code, 4, none.stderr);
  assert.match(none.stderr, /no such band.*expected=3, received=2/);
});

test("what is not known is refused", () => {
  for (const text of ["mode", "q101", "count_", "mean,mean", ""]) {
    assert.throws(() => parseStatistics(text), { kind: "usage" }, text);
  }
});
