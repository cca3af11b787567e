// Zooms below 9 of the native tiler: how much is drawn, of which crop, where; judged by readers of other projects.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { openPool } from "../../dist/parallel/pool.js";
import { tileNatively } from "../../dist/tiles/native-tiler.js";
import { testContext } from "../support/context.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { writeKansas } from "../support/kansas81.mjs";
import { Random } from "../support/random.mjs";
import { needsRealData } from "../support/real-data.mjs";
import { makeWorld } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { judgeLowZooms, judgeTiles, sourceFields, tilesOf } from "../support/tile-judge.mjs";
import { writeWkb } from "../support/wkb.mjs";

const pools = new Map();
const pool = (threads) => {
  if (!pools.has(threads)) pools.set(threads, openPool(threads));
  return pools.get(threads);
};
let world;
before(async () => {
  world = await makeWorld({ fields: 10_000, years: [2020], args: ["--shapes", "csb"] });
});
after(async () => {
  world?.remove();
  for (const one of pools.values()) await one.close();
});

async function tile(t, path, { threads = 2, minZoom = 4, maxZoom = 9, batch = 65_536, limitBytes } = {}) {
  const fields = await openFields(path, { fieldsCrs: "OGC:CRS84" });
  const area = new SharedArrayBuffer(fields.rows * 4);
  const options = { batch, minZoom, maxZoom, ...(limitBytes && { limitBytes }) };
  const partial = join(tempFolder(t), "out");
  return tileNatively(fields, { area, fieldId: false }, partial, options, pool(threads), testContext());
}

async function tileShapes(t, shapes, options) {
  const path = join(tempFolder(t), "fields.parquet");
  await writeFields(
    path,
    shapes.map((shape, id) => ({ id, wkb: writeWkb(shape) })),
  );
  return tile(t, path, options);
}

const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const box = (west, south, east, north) => [
  [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ],
];

/** Valid, without attributes or points, each row once a tile, and no more rows than precompressed tiles hold. */
function checkCells(path, zooms) {
  for (const [z, zoom] of Object.entries(judgeTiles(path, zooms))) {
    assert.deepEqual([zoom.faults, zoom.centroids], [{}, 0], `zoom ${z}: ${zoom.first}`);
  }
  for (const { z, x, y, layers } of tilesOf(path, zooms)) {
    assert.deepEqual(Object.keys(layers), ["fields"]);
    const ids = Array.from({ length: layers.fields.length }, (_, i) => layers.fields.feature(i).id);
    assert.ok(
      ids.every((id, i) => i === 0 || id > ids[i - 1]),
      `rows ascend in ${z}/${x}/${y}`,
    );
    assert.ok(ids.length <= 65_535);
    for (let i = 0; i < Math.min(50, ids.length); i++) assert.deepEqual({ ...layers.fields.feature(i).properties }, {});
  }
}

test("traced fields: the drawn area is the true one, and so is the mix of crops", async (t) => {
  const { path, cells } = await tile(t, world.files.raw);
  assert.deepEqual(cells, { minzoom: 4, maxzoom: 8 });
  checkCells(path, [4, 8]);
  const fields = await query(`
    set enable_geoparquet_conversion = false;
    select geometry as wkb, crop_2020::int as crop from read_parquet('${world.files.raw}', file_row_number = true) f
      join '${world.files.truth}' using (field_id) order by f.file_row_number`);
  for (const [z, { drawn, wrong }] of Object.entries(judgeLowZooms(path, fields, [4, 8]))) {
    assert.ok(drawn > 0.97 && drawn < 1.08, `${drawn} of the true area at zoom ${z}`);
    assert.ok(wrong < 0.08, `${wrong} of a block wrong at zoom ${z}`);
  }
});

test("real fields: the same", needsRealData, async (t) => {
  const root = tempFolder(t);
  const { files } = await writeKansas(root, 3);
  const { path } = await tile(t, files.raw);
  checkCells(path, [4, 8]);
  const fields = await sourceFields(files.raw, files.zonal);
  for (const [z, { drawn, wrong }] of Object.entries(judgeLowZooms(path, fields, [4, 8]))) {
    assert.ok(drawn > 0.9 && drawn < 1.15, `${drawn} of the true area at zoom ${z}`);
    assert.ok(wrong <= 0.1, `${wrong} of a block wrong at zoom ${z}`);
  }
});

test("the same bytes with any number of threads, slices and memory; a tile does not depend on far fields", async (t) => {
  const first = await tile(t, world.files.raw);
  for (const other of [{ threads: 1 }, { batch: 300 }, { limitBytes: 100_000 }]) {
    assert.equal(digest((await tile(t, world.files.raw, other)).path), digest(first.path), JSON.stringify(other));
  }
  // Zooms that were not asked for change nothing in the others.
  const fewer = await tile(t, world.files.raw, { minZoom: 6 });
  const bytesOf = (path) => [...tilesOf(path, [6, 8])].map(({ z, x, y, bytes }) => [z, x, y, digestOf(bytes)]);
  assert.deepEqual(bytesOf(fewer.path), bytesOf(first.path));
});

function digestOf(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

test("squares lie where fields lie: at zoom 8 a point is in its field, at lower zooms the cell has the field in it", async (t) => {
  const random = new Random(3);
  const shapes = Array.from({ length: 300 }, () => {
    const [lng, lat] = [random.between(-100, -90), random.between(35, 45)];
    const size = 10 ** random.between(-2.5, 0);
    return box(lng, lat, lng + size, lat + size * random.between(0.3, 1));
  });
  const { path } = await tileShapes(t, shapes);
  checkCells(path, [4, 8]);
  for (const { z, x, y, layers } of tilesOf(path, [4, 8])) {
    const side = z === 8 ? 8 : 16;
    for (let i = 0; i < layers.fields.length; i++) {
      const feature = layers.fields.feature(i);
      const [ring] = shapes[feature.id];
      const xs = ring.map(([lng]) => ((lng / 360 + 0.5) * 2 ** z - x) * 4096);
      const ys = ring.map(
        ([, lat]) => ((0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)) * 2 ** z - y) * 4096,
      );
      for (const { x: px, y: py } of feature.loadGeometry().flat()) {
        assert.ok(px > Math.min(...xs) - side && px < Math.max(...xs) + side, `${feature.id} in ${z}/${x}/${y}`);
        assert.ok(py > Math.min(...ys) - side && py < Math.max(...ys) + side, `${feature.id} in ${z}/${x}/${y}`);
      }
    }
  }
});

test("where there is any field, something is drawn at every zoom, over the antimeridian and at the edge too", async (t) => {
  for (const shape of [
    box(-100, 40, -99.999, 40.001),
    box(179.999, 10, -179.999, 10.002),
    box(-1e-7, -1e-7, 1e-7, 1e-7),
    box(20, 85.0, 20.01, 85.05),
    box(-20, -10, 20, 15),
  ]) {
    const { path } = await tileShapes(t, [shape], { minZoom: 0 });
    checkCells(path, [0, 8]);
    const zooms = judgeTiles(path, [0, 9], { validity: false });
    for (let z = 0; z <= 9; z++) assert.equal(zooms[z]?.rows, 1, `zoom ${z} of ${JSON.stringify(shape)}`);
  }
});

test("100,000 tiny fields in one place: no tile has more rows than it may", async (t) => {
  const [columns, rows] = [400, 250];
  const size = 360 / 2 ** 8 / 512;
  // One field a point of zoom 8, and more in all than a tile may hold.
  const shapes = Array.from({ length: columns * rows }, (_, i) => {
    const [west, north] = [-90 + (i % columns) * size, 5 - Math.floor(i / columns) * size];
    return box(west, north - size, west + size, north);
  });
  const { path } = await tileShapes(t, shapes, { minZoom: 6 });
  checkCells(path, [6, 8]);
  const zooms = judgeTiles(path, [6, 8], { validity: false });
  assert.ok(zooms[8].largest.features > 10_000 && zooms[8].largest.features <= 65_535);
});

for (const [minZoom, maxZoom] of [
  [0, 3],
  [4, 5],
  [8, 8],
  [2, 9],
]) {
  test(`zooms ${minZoom} to ${maxZoom}`, async (t) => {
    const shapes = [box(-100, 40, -99.9, 40.1), box(-99.9, 40, -99.8, 40.1), box(20, -30, 20.5, -29.9)];
    const { path, cells } = await tileShapes(t, shapes, { minZoom, maxZoom });
    const highest = Math.min(9, maxZoom) - 1;
    assert.deepEqual(cells, minZoom > highest ? undefined : { minzoom: minZoom, maxzoom: highest });
    const zooms = judgeTiles(path, [minZoom, maxZoom]);
    for (let z = minZoom; z <= maxZoom; z++) assert.ok(zooms[z].rows >= 1, `zoom ${z}`);
    assert.equal(zooms[maxZoom].rows, 3);
  });
}

test("a summary that is damaged is refused", () => {
  const kernel = nativeKernel();
  const none = new Uint8Array(0);
  const merge = (bytes) => kernel.mergeCells(5, [Uint8Array.from(bytes), none, none, none], { rows: 1 });
  assert.equal(merge([]).tiles.tileIds.length, 0);
  for (const bytes of [[0], [1], [1, 16], [1, 16, 0, 1], [1, 16, 34, 1, 2], [2, 16, 0, 128, 128, 1]]) {
    assert.throws(() => merge(bytes), /summary of cells is damaged/);
  }
  // All of 128 x 128 cells empty: 0, then 16,384.
  assert.equal(merge([1, 16, 0, 128, 128, 1]).tiles.tileIds.length, 0);
});
