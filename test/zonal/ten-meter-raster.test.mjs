// A 10 m raster of the national size, in strips and in tiles: the same answers as from a clip, in bounded memory.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

/** Three times the 30 m raster's columns and rows. */
const [WIDTH, HEIGHT, PIXEL] = [461_433, 289_569, 10];
const [X0, Y0] = [-2_356_095, 3_172_605];
/** Patches with crops, at the corners and in the middle: left, top, in pixels. */
const SIDE = 400;
const PATCHES = [
  [0, 0],
  [WIDTH - SIDE, 300],
  [230_001, 144_007],
  [17, HEIGHT - SIDE],
  [WIDTH - SIDE, HEIGHT - SIDE],
];
const MIB = 2 ** 20;

function crop(col, row) {
  return 1 + (((col >> 5) * 7 + (row >> 5) * 13) % 200);
}

function patchPixels([left, top]) {
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => crop(left + (i % SIDE), top + Math.floor(i / SIDE)));
}

function writeRaster(path, width, height, [left, top], patches, options) {
  const raster = gdal.open(path, "w", "GTiff", width, height, 1, "Byte", [
    "SPARSE_OK=TRUE",
    "COMPRESS=LZW",
    ...options,
  ]);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [X0 + left * PIXEL, PIXEL, 0, Y0 - top * PIXEL, 0, -PIXEL];
  const { pixels } = raster.bands.get(1);
  for (const patch of patches) pixels.write(patch[0] - left, patch[1] - top, SIDE, SIDE, patchPixels(patch));
  raster.close();
}

function fieldsOf(patches) {
  return patches.flatMap(([left, top], patch) =>
    Array.from({ length: 40 }, (_, i) => {
      const [x, y] = [X0 + (left + 9 * i + 1.3) * PIXEL, Y0 - (top + 8 * i + 2.7) * PIXEL];
      const ring = [
        [x, y],
        [x + 260, y - 30],
        [x + 300, y - 420],
        [x - 8, y - 280],
        [x, y],
      ];
      return { id: 100 * patch + i, wkb: writeWkb([ring]) };
    }),
  );
}

/** The table's rows, and the most memory that the command had, in MiB. */
async function zonal(folder, fields, raster, threads) {
  const out = join(folder, "out.parquet");
  const report = "data:text/javascript,process.on('exit',()=>console.error('PEAK',process.resourceUsage().maxRSS))";
  const args = ["--fields", fields, "--fields-crs", "EPSG:5070", "--raster", raster, "--out", out, "--force"];
  const env = { NODE_OPTIONS: `--import=${report}` };
  const { code, stderr } = await command("zonal", [...args, "--threads", String(threads)], { env });
  assert.equal(code, 0, stderr);
  const columns = "field_id, crop_code, crop_pixels, valid_pixels, second_code, second_pixels";
  const rows = await query(`SELECT ${columns} FROM '${out}' ORDER BY field_id`);
  const peaks = [...stderr.matchAll(/PEAK (\d+)/g)].map(([, kib]) => Number(kib) / 1024);
  return { rows, peak: Math.max(...peaks) };
}

for (const [name, options, perWorker] of [
  ["tiles", ["BIGTIFF=YES", "TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512"], 40],
  // A window of 512 whole rows.
  ["strips", ["BIGTIFF=YES", "BLOCKYSIZE=1"], (512 * WIDTH) / MIB + 40],
]) {
  test(`${name}: as from clips, and memory by workers`, async (t) => {
    const folder = tempFolder(t);
    const path = join(folder, "2024_10m_cdls.tif");
    writeRaster(path, WIDTH, HEIGHT, [0, 0], PATCHES, options);
    const fields = join(folder, "fields.parquet");
    await writeFields(fields, fieldsOf(PATCHES));
    const whole = await zonal(folder, fields, path, 1);
    const expected = [];
    for (const [i, patch] of PATCHES.entries()) {
      const clip = join(folder, `clip_${i}.tif`);
      writeRaster(clip, SIDE, SIDE, patch, [patch], ["TILED=YES"]);
      const own = join(folder, `fields_${i}.parquet`);
      await writeFields(
        own,
        fieldsOf(PATCHES).filter(({ id }) => Math.floor(id / 100) === i),
      );
      expected.push(...(await zonal(folder, own, clip, 1)).rows);
    }
    assert.equal(whole.rows.length, 40 * PATCHES.length);
    assert.deepEqual(whole.rows, expected);
    t.diagnostic(`${name}: ${Math.round(whole.peak)} MiB, raster file ${Math.round(statSync(path).size / MIB)} MiB`);
    assert.ok(whole.peak < 300 + perWorker, `${whole.peak} MiB`);
    const two = await zonal(folder, fields, path, 2);
    assert.deepEqual(two.rows, expected);
    t.diagnostic(`${name}, two workers: ${Math.round(two.peak)} MiB`);
    assert.ok(two.peak < 300 + 2 * perWorker, `${two.peak} MiB`);
  });
}
