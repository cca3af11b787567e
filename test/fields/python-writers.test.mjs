// Files of pyarrow, GeoPandas and polars: every row is what rasterio counts on GeoPandas' geometries.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { importVector } from "../../dist/fields/vector-source.js";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { testContext } from "../support/context.mjs";
import { kansasRaster, kansasRings } from "../support/kansas-rings.mjs";
import { pythonFiles, pythonWritersMissing } from "../support/python-writers.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SYSTEMS = [
  "EPSG:4269",
  "EPSG:5070",
  "EPSG:4267",
  "EPSG:26914",
  "EPSG:2277",
  "EPSG:3857",
  "EPSG:4269+5703",
  "OGC:CRS84",
];

/** [id, class, its pixels, pixels of all classes] of a row. */
function answerOf(id, histogram) {
  const counts = Object.entries(histogram).map(([code, n]) => [Number(code), n]);
  const [code, n] = counts.sort(([a, x], [b, y]) => y - x || a - b)[0];
  return [id, code, n, counts.reduce((sum, [, pixels]) => sum + pixels, 0)];
}

test("types of ids and polygons, encodings and CRSs", {
  skip: rasterioMissing() || pythonWritersMissing(),
}, async (t) => {
  const folder = tempFolder(t);
  const raster = kansasRaster(join(folder, "r.tif"));
  const task = { folder, raster_crs: "EPSG:5070", systems: SYSTEMS, rings: kansasRings(30) };
  const lines = pythonFiles(task);
  const histograms = new Map();
  for (const { crs, polygons } of lines) {
    if (polygons) histograms.set(crs, rasterioHistograms(polygons, raster.path));
  }
  const engine = new ZonalEngine({ threads: 1 });
  after(() => engine.close());
  const files = lines.filter(({ path }) => path);
  assert.ok(files.length > 100);
  assert.deepEqual(
    lines.filter(({ refused }) => refused),
    [],
  );
  for (const { path, ids, crs, options } of files) {
    const isParquet = path.endsWith(".parquet");
    const parquet = isParquet ? path : `${path}.parquet`;
    if (!isParquet) await importVector(path, {}, parquet, testContext());
    const rows = [];
    for await (const batch of engine.zonal(await openFields(parquet, options), openRaster(raster.path))) {
      for (const row of batch) {
        const id = row.field_id === null ? null : String(row.field_id);
        rows.push([id, row.crop_code, row.crop_pixels, row.valid_pixels]);
      }
    }
    const expected = histograms.get(crs).map((histogram, i) => answerOf(ids[i], histogram));
    assert.deepEqual(rows, expected, `${options.what}, ${crs}`);
  }
});
