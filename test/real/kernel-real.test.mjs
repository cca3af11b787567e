// Real fields on real rasters, against answers of GeoPandas + rasterio + numpy: every column, every field.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import gdal from "gdal-async";
import { openFields } from "../../dist/fields/fields-file.js";
import { planProjection } from "../../dist/fields/projection.js";
import { columnData, readSlice, wkbColumn } from "../../dist/fields/read-slice.js";
import { planSlices } from "../../dist/fields/slice.js";
import { loadKernel } from "../../dist/kernel/kernel.js";
import { countFields } from "../support/burned.mjs";

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

/** One row per field, in file order, with the columns of the expected answers. */
async function countFile(kernel, fieldsPath, rasterPath) {
  const raster = gdal.open(rasterPath);
  const band = raster.bands.get(1);
  const { x: width, y: height } = raster.rasterSize;
  const [c, a, , f, , e] = raster.geoTransform;
  const pixels = band.pixels.read(0, 0, width, height);
  const skip = band.noDataValue === null ? [0] : [0, band.noDataValue];
  const fields = await openFields(fieldsPath, {});
  const projection = planProjection(fields.crs, raster.srs.toWKT());
  assert.notEqual(projection.kind, "proj", "the kernel projects these itself");
  const rows = [];
  for (const slice of planSlices(fields, 1000)) {
    const table = await readSlice(fieldsPath, slice, [fields.idColumn, fields.geometryColumn]);
    const column = wkbColumn(columnData(table, fields.geometryColumn));
    const ids = table.getChild(fields.idColumn);
    const burned = kernel.burn(column, { a, c, e, f, width, height }, projection.constants ?? null, slice.firstRow);
    const counts = countFields(kernel, burned, pixels, width, skip);
    for (let i = 0; i < slice.rows; i++) {
      const answer = counts.get(slice.firstRow + i) ?? {
        code: null,
        pixels: 0,
        valid: 0,
        second: null,
        secondPixels: 0,
      };
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
  raster.close();
  return rows;
}

for (const name of ["native", "js"]) {
  for (const pair of PAIRS) {
    const fieldsPath = file(`${pair.folder}/fields_raw.parquet`);
    const skip = existsSync(fieldsPath) ? false : `no real data at ${fileURLToPath(data)}`;
    test(`${name}: ${pair.folder} on ${pair.raster}`, { skip }, async () => {
      const expected = readExpected(file(`${pair.folder}/${pair.expected}`));
      const rows = await countFile(await loadKernel(name), fieldsPath, file(`rasters/${pair.raster}`));
      assert.equal(rows.length, expected.length);
      const wrong = rows.flatMap((row, i) => (isSame(row, expected[i]) ? [] : [{ row, expected: expected[i] }]));
      assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${rows.length} fields differ`);
    });
  }
}

function isSame(row, expected) {
  return Object.entries(expected).every(([column, value]) => row[column] === value);
}
