import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { importVector } from "../../dist/fields/vector-source.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { rasterioMissing, rasterioPixels } from "../support/rasterio.mjs";
import { needsRealData, realData, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { readVector, writeVector } from "../support/vector-file.mjs";

// Numbers that others have published, and real files of kinds of their own.

async function zonal(t, fields, raster, args = []) {
  const out = join(tempFolder(t), "zonal.parquet");
  const run = await command("zonal", ["--fields", fields, "--raster", raster, "--out", out, ...args]);
  assert.equal(run.code, 0, run.stderr);
  return { out, rows: await query(`from '${out}'`) };
}

const counts = ({ crop_code, crop_pixels, valid_pixels, second_code, second_pixels }) => [
  crop_code,
  crop_pixels,
  valid_pixels,
  second_code,
  second_pixels,
];

test("python-rasterstats: classes of a float32 raster under a shapefile", needsRealData, async (t) => {
  const [fields, raster] = [
    realPath("published/rasterstats/polygons.shp"),
    realPath("published/rasterstats/slope_classes.tif"),
  ];
  const { rows } = await zonal(t, fields, raster, ["--nodata", ""]);
  // test_categorical: 75 of class 1; count 50 (40 + 9 + 1)
  assert.deepEqual(
    rows.map((row) => row.field_id),
    [1n, 2n],
  );
  assert.deepEqual(rows.map(counts), [
    [1, 75, 75, null, 0],
    [5, 40, 50, 2, 9],
  ]);
  // test_nodata: with nodata=1 the first has none left, the second 49
  const without = await zonal(t, fields, raster, ["--nodata", "1"]);
  assert.deepEqual(without.rows.map(counts), [
    [null, 0, 0, null, 0],
    [5, 40, 49, 2, 9],
  ]);
});

/**
 * What PROJ makes of NAD83 to NAD27 depends on the grids that are installed; the published numbers come out
 * without any, when PROJ goes by way of WGS 84.
 */
function nad27ByWayOfWgs84() {
  const [from, to] = [4269, 4267].map((code) => gdal.SpatialReference.fromEPSG(code));
  const { x, y } = new gdal.CoordinateTransformation(from, to).transformPoint(44.5, -107.4);
  return Math.abs(x - 44.500075375) < 1e-8 && Math.abs(y + 107.399306175) < 1e-8;
}

test("FIESTA: forest districts on a uint16 .img of another datum", needsRealData, async (t) => {
  if (!nad27ByWayOfWgs84()) return t.skip("PROJ has a grid for NAD27 here, the published numbers were made without");
  const [fields, raster] = [
    realPath("published/fiesta_wy/WYbighorn_districtbnd.shp"),
    realPath("published/fiesta_wy/WYbighorn_dem_250m.img"),
  ];
  const { rows } = await zonal(t, fields, raster, ["--id-column", "DISTRICTNA"]);
  const published = {
    "Medicine Wheel Ranger District": { pixels: 23617, majority: [2844] },
    "Powder River Ranger District": { pixels: 21649, majority: [2430, 2586] },
    "Tongue Ranger District": { pixels: 26770, majority: [2449] },
  };
  assert.deepEqual(
    rows.map((row) => row.field_id).sort((a, b) => (a < b ? -1 : 1)),
    Object.keys(published),
  );
  for (const row of rows) {
    const { pixels, majority } = published[row.field_id];
    assert.equal(row.valid_pixels, pixels, row.field_id);
    assert.equal(row.crop_code, majority[0], row.field_id);
    // A tie: the lowest code answers, the other one is second with as many pixels.
    assert.equal(row.second_pixels === row.crop_pixels, majority.length > 1, row.field_id);
    if (majority.length > 1) assert.equal(row.second_code, majority[1]);
  }
});

const CSB_ZIP = "csb_union_nm/NationalCSB_2017-2024_rev23.zip";
const CSB_GPKG = "csb_union_nm/csb1724_union_nm_100.gpkg";

test(
  "crop sequence boundaries: zipped FileGDB and geopackage hold the same ids and polygons",
  needsRealData,
  async (t) => {
    const folder = tempFolder(t);
    const [zip, gpkg] = await Promise.all(
      [CSB_ZIP, CSB_GPKG].map(async (name, i) => {
        const out = await importVector(realPath(name), {}, join(folder, `${i}.parquet`), testContext());
        const geometry = i === 0 ? "Shape" : "geom";
        return query(`select CSBID as id, hex(ST_AsWKB(${geometry})) as wkb from '${out}' order by CSBID`);
      }),
    );
    assert.equal(gpkg.length, 100);
    assert.match(gpkg[0].id, /^\d{15}$/);
    assert.deepEqual(zip, gpkg);
    const read = readVector(realPath(CSB_GPKG), "CSBID").map(({ id, wkb }) => ({ id, wkb }));
    assert.deepEqual(
      gpkg,
      read.sort((a, b) => (a.id < b.id ? -1 : 1)),
    );
  },
);

test("crop sequence boundaries, counted as rasterio counts them", {
  skip: realData ? rasterioMissing() : needsRealData.skip,
}, async (t) => {
  const folder = tempFolder(t);
  const grid = { a: 30, c: -666_465, e: -30, f: 1_447_515, width: 640, height: 150 };
  const random = new Random(21);
  const pixels = Uint8Array.from({ length: grid.width * grid.height }, () => Math.floor(8 * random.next() ** 2));
  const raster = gdal.open(join(folder, "r.tif"), "w", "GTiff", grid.width, grid.height, 1, gdal.GDT_Byte);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [grid.c, grid.a, 0, grid.f, 0, grid.e];
  raster.bands.get(1).pixels.write(0, 0, grid.width, grid.height, pixels);
  raster.close();
  const expected = await rasterioAnswers(readVector(realPath(CSB_GPKG), "CSBID"), grid, pixels, [0]);
  assert.ok(expected.filter(([, , valid]) => valid > 0).length > 90);
  for (const source of [CSB_ZIP, CSB_GPKG]) {
    const { rows } = await zonal(t, realPath(source), join(folder, "r.tif"));
    const byId = rows.sort((a, b) => (a.field_id < b.field_id ? -1 : 1));
    assert.deepEqual(
      byId.map((row) => [row.field_id, row.crop_code, row.valid_pixels, row.crop_pixels]),
      expected,
    );
  }
});

/** [id, majority (lowest at ties), pixels counted, of the majority], by id. */
async function rasterioAnswers(fields, { ...grid }, pixels, skip) {
  const inside = await rasterioPixels(
    fields.map(({ wkb }) => Buffer.from(wkb, "hex")),
    grid,
  );
  return fields
    .map(({ id }, i) => {
      const histogram = new Map();
      for (const at of inside[i] ?? []) {
        if (!skip.includes(pixels[at])) histogram.set(pixels[at], (histogram.get(pixels[at]) ?? 0) + 1);
      }
      const [first] = [...histogram].sort(([c, n], [d, m]) => m - n || c - d);
      const valid = [...histogram.values()].reduce((sum, n) => sum + n, 0);
      return [id, first?.[0] ?? null, valid, first?.[1] ?? 0];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const PEORIA = "rasters/peoria_nodata255.tif";

/** Polygons over the raster: by pixels' corners (which only the very same CRS leaves where they are) and anywhere. */
function peoriaFields(onCorners) {
  const random = new Random(onCorners ? 3 : 4);
  return Array.from({ length: 120 }, (_, i) => {
    const [col, row] = [Math.floor(1480 * random.next()), Math.floor(1780 * random.next())];
    const n = 2 + Math.floor(40 * random.next());
    const shift = () => (onCorners ? 0 : 25 * random.next());
    const at = (c, r) => `${501_675 + 30 * c + shift()} ${2_014_845 - 30 * r - shift()}`;
    const first = at(col, row);
    const ring = [first, at(col + n, row), at(col + n, row + 2 * n), at(col + 1, row + n), first];
    return { id: i, wkt: `POLYGON((${ring.join(",")}))` };
  });
}

for (const [where, crs, onCorners] of [
  ["in EPSG:5070, on pixel corners", 5070, true],
  ["in EPSG:5070", 5070, false],
  ["in EPSG:4269", 4269, false],
]) {
  test(`Peoria: nodata 255, a CRS called "unknown"; fields ${where}`, {
    skip: realData ? rasterioMissing() : needsRealData.skip,
  }, async (t) => {
    const folder = tempFolder(t);
    const raster = gdal.open(realPath(PEORIA));
    const { x: width, y: height } = raster.rasterSize;
    const pixels = raster.bands.get(1).pixels.read(0, 0, width, height);
    const [c, a, , f, , e] = raster.geoTransform;
    raster.close();
    const rows = peoriaFields(onCorners);
    writeVector(join(folder, "projected.gpkg"), "GPKG", [{ name: "f", rows, crs: 5070 }]);
    const way = new gdal.CoordinateTransformation(
      gdal.SpatialReference.fromEPSG(5070),
      gdal.SpatialReference.fromUserInput("OGC:CRS83"),
    );
    const moved = rows.map(({ id, wkt }) => {
      const geometry = gdal.Geometry.fromWKT(wkt);
      if (crs !== 5070) geometry.transform(way);
      return { id, wkt: geometry.toWKT() };
    });
    writeVector(join(folder, "fields.gpkg"), "GPKG", [{ name: "f", rows: moved, crs }]);
    const grid = { a, c, e, f, width, height };
    const expected = await rasterioAnswers(readVector(join(folder, "projected.gpkg"), "id"), grid, pixels, [0, 255]);
    const answers = await zonal(t, join(folder, "fields.gpkg"), realPath(PEORIA));
    assert.deepEqual(
      answers.rows.map((row) => [row.field_id, row.crop_code, row.valid_pixels, row.crop_pixels]),
      expected,
    );
    assert.ok(
      expected.some(([, code]) => code === null),
      "no field lies in nodata alone",
    );
    assert.ok(expected.filter(([, code]) => code !== null).length > 60);
  });
}

test("a mosaic of four adjoining files gives the bytes of the whole raster", needsRealData, async (t) => {
  const folder = tempFolder(t);
  const parts = ["-106095_1807575", "-106095_1822575", "-91095_1807575", "-91095_1822575"].map((corner) =>
    realPath(`rasters/2021_30m_cdls_${corner}_15000.tif`),
  );
  gdal.buildVRT(join(folder, "mosaic.vrt"), parts).close();
  for (const [fields, threads] of [
    ["kansas2021", "2"],
    ["kansas2021_lattice", "1"],
  ]) {
    const path = realPath(`${fields}/fields_raw.parquet`);
    const whole = await zonal(t, path, realPath("rasters/2021_30m_cdls.tif"));
    const mosaic = await zonal(t, path, join(folder, "mosaic.vrt"), ["--threads", threads]);
    assert.ok(whole.rows.length > 2000);
    assert.ok(readFileSync(mosaic.out).equals(readFileSync(whole.out)), fields);
  }
});
