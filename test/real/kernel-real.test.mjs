// Real fields on real rasters, against the answers of other tools: every column, every field.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import gdal from "gdal-async";
import { openFields } from "../../dist/fields/fields-file.js";
import { planProjection } from "../../dist/fields/projection.js";
import { columnData, readSlice, wkbColumn } from "../../dist/fields/read-slice.js";
import { planSlices } from "../../dist/fields/slice.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { countFields } from "../support/burned.mjs";
import { wkbColumnOf } from "../support/wkb.mjs";

const data = new URL("../../../shared/data/", import.meta.url);
const file = (name) => fileURLToPath(new URL(name, data));

const PAIRS = [
  { folder: "kansas2021_lattice", raster: "2021_30m_cdls.tif", expected: "expected_2021.csv" },
  { folder: "barton_lattice", raster: "barton_county_ks_2010.tif", expected: "expected_2010.csv" },
  { folder: "barton_lattice", raster: "barton_county_ks_2019.tif", expected: "expected_2019.csv" },
  { folder: "kansas2021", raster: "2021_30m_cdls.tif", expected: "expected_2021.csv" },
  { folder: "barton", raster: "barton_county_ks_2010.tif", expected: "expected_2010.csv" },
  { folder: "barton", raster: "barton_county_ks_2019.tif", expected: "expected_2019.csv" },
  { folder: "viscover", raster: "ames_2018.tif", expected: "expected_2018.csv" },
];

function readExpected(path) {
  const [head, ...lines] = readFileSync(path, "utf8").trimEnd().split(/\r?\n/);
  const columns = head.split(",");
  return lines.map((line) => {
    const values = line.split(",").map((v) => (v === "" ? null : Number(v)));
    return Object.fromEntries(columns.map((column, i) => [column, values[i]]));
  });
}

function openRaster(path) {
  const dataset = gdal.open(path);
  const band = dataset.bands.get(1);
  const { x: width, y: height } = dataset.rasterSize;
  const [c, a, , f, , e] = dataset.geoTransform;
  const pixels = band.pixels.read(0, 0, width, height);
  const raster = { crs: dataset.srs.toWKT(), grid: { a, c, e, f, width, height }, pixels, nodata: band.noDataValue };
  dataset.close();
  return raster;
}

/** One row per field, in file order, with the columns of the expected answers. */
async function countFile(kernel, fieldsPath, rasterPath) {
  const { crs, grid, pixels, nodata } = openRaster(rasterPath);
  const skip = nodata === null ? [0] : [0, nodata];
  const fields = await openFields(fieldsPath, {});
  const projection = planProjection(fields.crs, crs);
  assert.notEqual(projection.kind, "proj", "the kernel projects these itself");
  const rows = [];
  for (const slice of planSlices(fields, 1000)) {
    const table = await readSlice(fieldsPath, slice, [fields.idColumn, fields.geometryColumn]);
    const column = wkbColumn(columnData(table, fields.geometryColumn));
    const ids = table.getChild(fields.idColumn);
    const burned = kernel.burn(column, grid, projection.constants ?? null, slice.firstRow);
    const counts = countFields(kernel, burned, pixels, grid.width, skip);
    for (let i = 0; i < slice.rows; i++) {
      const answer = counts.get(slice.firstRow + i) ?? NONE;
      rows.push({
        field_id: Number(ids.get(i)),
        crop_code: answer.code,
        crop_pixels: answer.pixels,
        valid_pixels: answer.valid,
        second_code: answer.second,
        second_pixels: answer.secondPixels,
        tied: answer.code !== null && answer.pixels === answer.secondPixels ? 1 : 0,
      });
    }
  }
  return rows;
}

const NONE = { code: null, pixels: 0, valid: 0, second: null, secondPixels: 0 };

for (const pair of PAIRS) {
  const fieldsPath = file(`${pair.folder}/fields_raw.parquet`);
  const skip = existsSync(fieldsPath) ? false : `no real data at ${fileURLToPath(data)}`;
  test(`${pair.folder} on ${pair.raster}`, { skip }, async () => {
    const expected = readExpected(file(`${pair.folder}/${pair.expected}`));
    const rows = await countFile(nativeKernel(), fieldsPath, file(`rasters/${pair.raster}`));
    assert.equal(rows.length, expected.length);
    const wrong = rows.flatMap((row, i) => (isSame(row, expected[i]) ? [] : [{ row, expected: expected[i] }]));
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${rows.length} fields differ`);
  });
}

function isSame(row, expected) {
  return Object.entries(expected).every(([column, value]) => row[column] === value);
}

// What other projects publish as their own tools' answers.

/** A shapefile's polygons as a WKB column. */
function readShapes(path) {
  const features = gdal.open(path).layers.get(0).features;
  return wkbColumnOf(features.map((feature) => feature.getGeometry().toWKB()));
}

const published = existsSync(file("published")) ? false : `no real data at ${fileURLToPath(data)}`;

test("python-rasterstats: slope classes, float32", { skip: published }, async () => {
  const { grid, pixels, nodata } = openRaster(file("published/rasterstats/slope_classes.tif"));
  const shapes = readShapes(file("published/rasterstats/polygons.shp"));
  const kernel = nativeKernel();
  const burned = kernel.burn(shapes, grid, null, 0);
  const counts = (skip) => countFields(kernel, burned, pixels, grid.width, [nodata, ...skip]);
  assert.deepEqual(counts([]).get(0), { code: 1, pixels: 75, valid: 75, second: null, secondPixels: 0 });
  assert.deepEqual(counts([]).get(1), { code: 5, pixels: 40, valid: 40 + 9 + 1, second: 2, secondPixels: 9 });
  assert.equal(counts([1]).get(1).valid, 49);
});

test("FIESTA: forest districts on a NAD27 DEM, uint16, by way of PROJ", { skip: published }, async () => {
  const { crs, grid, pixels, nodata } = openRaster(file("published/fiesta_wy/WYbighorn_dem_250m.img"));
  const projection = planProjection("EPSG:4269", crs);
  assert.equal(projection.kind, "proj");
  const shapes = projection.reproject(readShapes(file("published/fiesta_wy/WYbighorn_districtbnd.shp")));
  const kernel = nativeKernel();
  const counts = countFields(kernel, kernel.burn(shapes, grid, null, 0), pixels, grid.width, [nodata]);
  assert.deepEqual(
    [0, 1, 2].map((i) => counts.get(i).valid),
    [23617, 21649, 26770],
  );
  assert.deepEqual(
    [0, 1, 2].map((i) => counts.get(i).code),
    [2844, 2430, 2449],
  );
});
