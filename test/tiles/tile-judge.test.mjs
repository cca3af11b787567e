// The judge of tiles itself: what it must see, on tiles made by hand.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tileId } from "../../dist/archive/tile-id.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";
import { vectorTile } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { judgeBorders, judgeLowZooms, judgeTiles } from "../support/tile-judge.mjs";
import { writeWkb } from "../support/wkb.mjs";

const zigzag = (value) => (value << 1) ^ (value >> 31);

/** Commands of rings of [x, y], none closed. */
function commands(...rings) {
  const out = [];
  let [x, y] = [0, 0];
  for (const ring of rings) {
    ring.forEach(([px, py], i) => {
      if (i === 0) out.push(9);
      if (i === 1) out.push(2 | ((ring.length - 1) << 3));
      out.push(zigzag(px - x), zigzag(py - y));
      [x, y] = [px, py];
    });
    out.push(15);
  }
  return out;
}

function archiveOf(t, tiles) {
  const path = join(tempFolder(t), "a.pmtiles");
  const writer = new ArchiveWriter(path);
  for (const { address, features } of tiles) writer.write(tileId(address), vectorTile({ fields: features }));
  const bounds = { west: -180, south: -85, east: 180, north: 85 };
  writer.finish({ metadata: { vector_layers: [] }, bounds, center: { zoom: 0, lng: 0, lat: 0 } });
  return path;
}

const square = (x, y, side) => [
  [x, y],
  [x + side, y],
  [x + side, y + side],
  [x, y + side],
];
const feature = (id, ...rings) => ({ id, type: 3, geometry: commands(...rings) });

test("faults of polygons are seen, each by its name", (t) => {
  const hole = square(30, 30, 10).reverse();
  const FAULTS = [
    [feature(0, square(10, 10, 50)), undefined],
    [feature(1, square(10, 10, 50), hole), undefined],
    [feature(2, square(10, 10, 50).reverse()), "a hole before any exterior"],
    [
      feature(3, [
        [1, 1],
        [5, 5],
        [9, 9],
      ]),
      "a ring without area",
    ],
    [
      feature(4, [
        [1, 1],
        [50, 1],
        [50, 1],
        [50, 50],
      ]),
      "a repeated point",
    ],
    [feature(5, square(4000, 0, 300)), "a point beyond the buffer"],
    [
      feature(6, [
        [0, 0],
        [50, 50],
        [50, 0],
        [0, 60],
      ]),
      "invalid by GEOS",
    ],
    [feature(7, square(0, 0, 50), square(50, 0, 50)), "invalid by GEOS"],
    [feature(8, square(0, 0, 50), square(50, 50, 50)), undefined],
    [feature(9, square(0, 0, 50), square(100, 100, 5).reverse()), "invalid by GEOS"],
  ];
  const path = archiveOf(t, [{ address: { z: 9, x: 3, y: 4 }, features: FAULTS.map(([one]) => one) }]);
  const { faults, first, fields, rows, largest } = judgeTiles(path)[9];
  const expected = {};
  for (const [, fault] of FAULTS) if (fault) expected[fault] = (expected[fault] ?? 0) + 1;
  assert.deepEqual(faults, expected);
  assert.match(first[0], /id 2 in 9\/3\/4/);
  assert.deepEqual([fields, rows, largest.features, largest.tile], [10, 10, 10, "9/3/4"]);
});

/** A square of a tile's units as a source field, in longitude and latitude. */
function field({ z, x, y }, [left, top, side], crop) {
  const lng = (u) => ((x + u / 4096) / 2 ** z) * 360 - 180;
  const lat = (v) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * (y + v / 4096)) / 2 ** z))) * 180) / Math.PI;
  const ring = square(left, top, side).map(([u, v]) => [lng(u), lat(v)]);
  return { wkb: Buffer.from(writeWkb([[...ring, ring[0]]])), crop };
}

test("drawn area and wrong crops are those of the source", (t) => {
  const tile = { z: 8, x: 60, y: 97 };
  // Four blocks of 256 units: one right, one of another crop, one not drawn, one drawn by half.
  const fields = [0, 256, 512, 768].map((left, i) => field(tile, [left, 0, 256], i));
  const half = [
    [768, 0],
    [896, 0],
    [896, 256],
    [768, 256],
  ];
  const features = [feature(0, square(0, 0, 256)), feature(0, square(256, 0, 256)), feature(3, half)];
  const [judged] = Object.values(judgeLowZooms(archiveOf(t, [{ address: tile, features }]), fields, [8, 8]));
  assert.equal(judged.blocks, 4);
  const near = (value, expected) => assert.ok(Math.abs(value - expected) < 0.01, `${value}, not ${expected}`);
  near(judged.drawn, 2.5 / 4);
  near(judged.wrong, (0 + 1 + 1 + 0.5) / 4);
  near(judged.wrongCrop, (0 + 1 + 0.5 + 0.25) / 4);
});

test("gaps and overlaps of neighbors are measured, holes of the source are none", (t) => {
  const tile = { z: 9, x: 120, y: 194 };
  const fields = [field(tile, [1000, 1000, 1000], 1), field(tile, [2000, 1000, 1000], 2)];
  const address = tile;
  const right = archiveOf(t, [
    { address, features: [feature(0, square(1000, 1000, 1000)), feature(1, square(2000, 1000, 1000))] },
  ]);
  const { gaps, overlaps, tiles } = judgeBorders(right, fields, 9);
  assert.ok(gaps < 1e-9 && overlaps < 1e-9 && tiles === 1, `${gaps} ${overlaps}`);
  const off = archiveOf(t, [
    { address, features: [feature(0, square(1000, 1000, 1000)), feature(1, square(2010, 1000, 1000))] },
  ]);
  assert.ok(Math.abs(judgeBorders(off, fields, 9).gaps - 0.005) < 0.0002, "10 of 2000 units wide");
  const over = archiveOf(t, [
    { address, features: [feature(0, square(1000, 1000, 1000)), feature(1, square(1990, 1000, 1010))] },
  ]);
  assert.ok(Math.abs(judgeBorders(over, fields, 9).overlaps - 0.005) < 0.0002);
});
