// Point in polygon against GEOS, on lattice polygons whose edges run through the points.
import assert from "node:assert/strict";
import { test } from "node:test";
import gdal from "gdal-async";
import { Polygons, readWkb } from "../../dist/fields/wkb.js";
import { float32Above, float32Below } from "../../dist/lookup/boxes.js";
import { sideOf } from "../../dist/lookup/contains.js";
import { Random } from "../support/random.mjs";
import { randomPolygon } from "../support/random-polygons.mjs";
import { writeWkb } from "../support/wkb.mjs";

function side(wkb, x, y) {
  const polygons = new Polygons();
  assert.equal(readWkb(wkb, polygons), 0);
  return sideOf(polygons, x, y);
}

function geosSide(geometry, point) {
  if (geometry.contains(point)) return "inside";
  return geometry.intersects(point) ? "edge" : "outside";
}

test("the same side as GEOS says, for points on vertices, on edges and beside them", () => {
  const random = new Random(11);
  const seen = { inside: 0, edge: 0, outside: 0 };
  for (let i = 0; i < 1500; i++) {
    const wkb = writeWkb(randomPolygon(random, [8, 8, random.between(1, 8)]));
    const geometry = gdal.Geometry.fromWKB(wkb);
    if (!geometry.isValid()) continue;
    const { minX, minY, maxX, maxY } = geometry.getEnvelope();
    for (let k = 0; k < 12; k++) {
      const snap = random.chance(0.6) ? (v) => Math.round(2 * v) / 2 : (v) => v;
      const [x, y] = [snap(random.between(minX - 0.5, maxX + 0.5)), snap(random.between(minY - 0.5, maxY + 0.5))];
      const expected = geosSide(geometry, new gdal.Point(x, y));
      assert.equal(side(wkb, x, y), expected, `${geometry.toWKT()} ${x} ${y}`);
      seen[expected]++;
    }
  }
  assert.ok(seen.inside > 500 && seen.edge > 100 && seen.outside > 1000, JSON.stringify(seen));
});

test("a hair's breadth from a slanted edge decides exactly", () => {
  const wkb = writeWkb([
    [
      [-98.7, 38.1],
      [-98.1, 38.4],
      [-98.9, 38.9],
      [-98.7, 38.1],
    ],
  ]);
  const geometry = gdal.Geometry.fromWKB(wkb);
  const random = new Random(2);
  for (let i = 0; i < 2000; i++) {
    const along = random.next();
    const [x, y] = [-98.7 + 0.6 * along, 38.1 + 0.3 * along + random.pick([0, 1, -1, 2]) * 7e-15];
    assert.equal(side(wkb, x, y), geosSide(geometry, new gdal.Point(x, y)), `${x} ${y}`);
  }
});

test("holes are outside, their edge is not; parts of a multipolygon each count", () => {
  const box = (a, b) => [
    [a, a],
    [b, a],
    [b, b],
    [a, b],
    [a, a],
  ];
  const holed = writeWkb([box(0, 10), box(4, 6)]);
  const sides = [2, 4, 5, 6, 10, 11].map((v) => side(holed, v, v));
  assert.deepEqual(sides, ["inside", "edge", "outside", "edge", "edge", "outside"]);
  const parts = writeWkb([[box(0, 2)], [box(1, 3)]]);
  assert.deepEqual(
    [0.5, 1.5, 2.5, 3.5].map((v) => side(parts, v, v)),
    ["inside", "inside", "inside", "outside"],
  );
});

test("float32 bounds are the nearest on their side", () => {
  const random = new Random(3);
  for (const value of [
    0,
    1,
    -1,
    0.1,
    -98.123456789,
    1e-46,
    -1e-46,
    ...Array.from({ length: 500 }, () => random.between(-180, 180)),
  ]) {
    const [below, above] = [float32Below(value), float32Above(value)];
    assert.ok(below <= value && value <= above, String(value));
    assert.equal(Math.fround(below), below);
    assert.equal(Math.fround(above), above);
    if (below !== above)
      assert.ok(
        [below, above].some((v) => Object.is(v + 0, Math.fround(value) + 0)),
        String(value),
      );
  }
});
