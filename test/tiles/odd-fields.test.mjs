// Odd shapes of every kind, through the native tiler: each in its tiles at every zoom, and valid by GEOS.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { tileNatively } from "../../dist/tiles/native-tiler.js";
import { testContext } from "../support/context.mjs";
import { writeFields } from "../support/duck.mjs";
import { oddField } from "../support/odd-fields.mjs";
import { Random } from "../support/random.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { areaOf, judgeTiles, ringsOf, tilesOf } from "../support/tile-judge.mjs";
import { writeWkb } from "../support/wkb.mjs";

async function judged(t, shapes, maxZoom) {
  const folder = tempFolder(t);
  const path = join(folder, "fields.parquet");
  await writeFields(
    path,
    shapes.map((shape, id) => ({ id, wkb: Buffer.from(writeWkb(shape)) })),
  );
  const pool = openPool(2);
  t.after(() => pool.close());
  const fields = await openFields(path, { fieldsCrs: "OGC:CRS84" });
  const area = new SharedArrayBuffer(fields.rows * 4);
  const options = { batch: 65_536, minZoom: 7, maxZoom };
  const tiled = await tileNatively(fields, { area, fieldId: false }, join(folder, "out"), options, pool, testContext());
  return { zooms: judgeTiles(tiled.path), ...tiled };
}

test("odd shapes are valid in every tile, and none is missing from zoom 9 on", async (t) => {
  const random = new Random(17);
  const shapes = Array.from({ length: 700 }, () => oddField(random));
  const { zooms, drawn } = await judged(t, shapes, 13);
  for (const [z, { faults, first, rows }] of Object.entries(zooms)) {
    assert.deepEqual(faults, {}, `zoom ${z}: ${first}`);
    if (z >= 9) assert.equal(rows, drawn, `zoom ${z}`);
  }
});

test("a hole that touches its exterior stays where a tile's side cuts the field into pieces", async (t) => {
  // Units of a tile of zoom 14, from the corner of four tiles of every zoom from 9 on.
  const [zoom, column, row] = [14, 118 * 32, 197 * 32];
  const lngLat = ([x, y]) => {
    const latitude = Math.atan(Math.sinh(Math.PI * (1 - (2 * (row + y / 4096)) / 2 ** zoom)));
    return [((column + x / 4096) / 2 ** zoom) * 360 - 180, (latitude * 180) / Math.PI];
  };
  // Two prongs to the west over the tile's side. The hole's first vertex touches the outline.
  const prongs = (hole, first) => {
    const outline = [
      [-1600, 200],
      [800, 200],
      [800, 2600],
      [-1600, 2600],
      [-1600, 1800],
      [400, 1800],
      [400, 1000],
      [-1600, 1000],
    ];
    const touching = hole[0];
    const after = outline.findIndex((from, i) => {
      const to = outline[(i + 1) % outline.length];
      return [0, 1].every((k) => Math.min(from[k], to[k]) <= touching[k] && touching[k] <= Math.max(from[k], to[k]));
    });
    outline.splice(after + 1, 0, touching);
    const turned = [...hole.slice(first), ...hole.slice(0, first)];
    return [outline, turned].map((ring) => [...ring, ring[0]].map(lngLat));
  };
  const triangle = (...numbers) => [numbers.slice(0, 2), numbers.slice(2, 4), numbers.slice(4)];
  const holes = [200, 1800].flatMap((top) => [
    // At the prong's north, south, and west.
    triangle(-800, top, -400, top + 400, -1200, top + 400),
    triangle(-800, top + 800, -1200, top + 400, -400, top + 400),
    triangle(-1600, top + 400, -800, top + 200, -800, top + 600),
  ]);
  const shapes = holes.flatMap((hole) => [0, 1, 2].map((first) => [prongs(hole, first)]));
  const { zooms, path } = await judged(t, shapes, 14);
  for (const { faults, first } of Object.values(zooms)) assert.deepEqual(faults, {}, `${first}`);
  const units = (800 * 400) / 2;
  let looked = 0;
  for (const { z, x, y, layers } of tilesOf(path, [11, 14])) {
    if (x !== (column >> (14 - z)) - 1 || y !== row >> (14 - z)) continue;
    for (let i = 0; i < layers.fields.length; i++) {
      const feature = layers.fields.feature(i);
      const holes = ringsOf(feature)
        .map(areaOf)
        .filter((area) => area < 0);
      assert.equal(holes.length, 1, `field ${feature.id} at zoom ${z}`);
      assert.ok(Math.abs(holes[0] * 4 ** (14 - z) + units) < 0.03 * units, `field ${feature.id} at zoom ${z}`);
      looked++;
    }
  }
  assert.equal(looked, 4 * shapes.length);
});

test("a hole does not become an exterior where a tile's side cuts parts without area", async (t) => {
  const line = [
    [-99.4029844787437, 39.6980910771526],
    [-99.3919787334128, 39.7090968224835],
    [-99.3809729880819, 39.7201025678144],
    [-99.4029844787437, 39.6980910771526],
  ];
  const steps = [
    [-99.408606388839, 39.6923833363689],
    [-99.4034994628746, 39.6923833363689],
    [-99.4034994628746, 39.6975760930218],
    [-99.3985641982872, 39.6975760930218],
    [-99.3985641982872, 39.703927563969],
    [-99.414013722213, 39.703927563969],
    [-99.414013722213, 39.6870618336834],
    [-99.4086493041832, 39.6870618336834],
    [-99.4086493041832, 39.6900229924358],
    [-99.408606388839, 39.6900229924358],
    [-99.408606388839, 39.6923833363689],
  ];
  const speck = [
    [-99.402952753666, 39.6981228022304],
    [-99.402952753666, 39.6980910771526],
    [-99.4029844787437, 39.6980910771526],
    [-99.4029844787437, 39.6981228022304],
    [-99.402952753666, 39.6981228022304],
  ];
  const { zooms } = await judged(t, [[[line], [steps], [line], [speck]]], 14);
  for (const [z, { faults }] of Object.entries(zooms)) assert.deepEqual(faults, {}, `zoom ${z}`);
});

test("an exterior without area does not take the rings after it along", async (t) => {
  const spike = [
    [-99.92, 38.12],
    [-99.91, 38.11],
    [-99.92, 38.12],
    [-99.92, 38.12],
  ];
  const square = [
    [-100, 38],
    [-100, 38.5],
    [-99.5, 38.5],
    [-99.5, 38],
    [-100, 38],
  ];
  // Wide enough for tiles that its border does not meet: the same ones for both.
  const { zooms } = await judged(t, [[spike, square], [square]], 12);
  for (const z of [9, 10, 11, 12]) {
    assert.deepEqual(zooms[z].faults, {});
    assert.equal(zooms[z].fields, 2 * zooms[z].tiles, `zoom ${z}`);
  }
});
