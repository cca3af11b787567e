import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { openFields, openRaster, PipelineError, ZonalEngine } from "fields-pipeline";
import gdal from "gdal-async";
import { writeFields } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";

const examples = [
  ...readFileSync(new URL("../../docs/library.md", import.meta.url), "utf8").matchAll(/```js\n([\s\S]*?)```/g),
].map(([, code]) => code);
const entry = new URL("../../dist/index.js", import.meta.url).href;
let folder;

/** 20 × 20 pixels of 30 m: west of column 10 one class, east of it another. */
function writeRaster(name, west, east) {
  const raster = gdal.open(join(folder, name), "w", "GTiff", 20, 20, 1, gdal.GDT_UInt16);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [0, 30, 0, 600, 0, -30];
  raster.bands.get(1).pixels.write(
    0,
    0,
    20,
    20,
    Uint16Array.from({ length: 400 }, (_, i) => (i % 20 < 10 ? west : east)),
  );
  raster.close();
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-library-"));
  writeRaster("landcover_2019.tif", 300, 41);
  writeRaster("landcover_2020.tif", 300, 0);
  // Six columns west and three east of the border by four rows; then four by two in the east.
  const shapes = [box(120, 300, 390, 420), box(420, 30, 540, 90)];
  await writeFields(
    join(folder, "fields.parquet"),
    shapes.map((ring, i) => ({ id: i + 7, wkb: polygonWkb([ring]) })),
  );
  const features = shapes.map((ring, i) => ({
    type: "Feature",
    properties: { id: i + 7 },
    geometry: { type: "Polygon", coordinates: [ring] },
  }));
  const crs = { type: "name", properties: { name: "urn:ogc:def:crs:EPSG::5070" } };
  writeFileSync(join(folder, "fields.geojson"), JSON.stringify({ type: "FeatureCollection", crs, features }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function run(code) {
  const path = join(folder, "example.mjs");
  writeFileSync(path, code.replace('"fields-pipeline"', JSON.stringify(entry)));
  const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder });
  return stdout.trim().split("\n");
}

test("one raster", async () => {
  assert.deepEqual(await run(examples[0]), ["7n 300 24", "8n null 0"]);
});

test("several years from one index, with histograms", async () => {
  const [a, b] = ["landcover_2019.tif", "landcover_2020.tif"].map((name) => join(folder, name));
  const relative = (line) => line.replace("landcover", join(folder, "landcover"));
  assert.deepEqual((await run(examples[1])).map(relative), [
    `${a} 7n [ 41, 300 ] [ 12, 24 ]`,
    `${a} 8n [ 41 ] [ 8 ]`,
    `${b} 7n [ 0, 300 ] [ 12, 24 ]`,
    `${b} 8n [ 0 ] [ 8 ]`,
  ]);
});

test("another vector format, by covered share", async () => {
  assert.deepEqual(await run(examples[2]), ["7 300 24.00", "8 0 8.00"]);
});

test("every example is run", () => assert.equal(examples.length, 3));

test("errors carry kind and place; an engine goes on after one", async (t) => {
  const engine = new ZonalEngine({ threads: 1 });
  t.after(() => engine.close());
  const fields = await openFields(join(folder, "fields.parquet"), { fieldsCrs: "EPSG:5070" });
  const raster = openRaster(join(folder, "landcover_2019.tif"));
  const all = async (options) => {
    const rows = [];
    for await (const batch of engine.zonal(fields, raster, options))
      rows.push(...batch.toArray().map((row) => row.crop_pixels));
    return rows;
  };
  await assert.rejects(all({ index: join(folder, "landcover_2019.tif") }), (error) => {
    assert.ok(error instanceof PipelineError);
    assert.deepEqual([error.kind, error.where.path], ["input", join(folder, "landcover_2019.tif")]);
    return true;
  });
  await assert.rejects(all({ allTouched: true, coverage: true }), /exclude each other/);
  assert.deepEqual(await all({}), [24, 8]);
});
