// Polygons over the 180th meridian are cut there: the same area, each piece on its side, whatever way they are written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nativeKernel } from "../../dist/kernel/native.js";
import { oracle } from "../../dist-test/oracle/kernel.js";
import { Random } from "../support/random.mjs";
import { onGrid, randomShape, rectangle } from "../support/random-polygons.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const native = nativeKernel();
const DECIMALS = 9;

/** Polygon and point of every geometry, from both kernels, which agree to the byte. */
function featuresOf(geometries) {
  const column = wkbColumnOf(geometries.map((geometry) => writeWkb(geometry)));
  const properties = { values: new Uint8Array(0), offsets: new Int32Array(geometries.length + 1) };
  const [a, b] = [native, oracle].map((kernel) => kernel.geojson(column, 0, properties, DECIMALS));
  assert.ok(a.status.every((status) => status === 0));
  const [ours, theirs] = [a, b].map(({ text }) => Buffer.from(text).toString());
  assert.equal(ours, theirs);
  const lines = ours.trimEnd().split("\n");
  return geometries.map((_, i) => {
    const [polygon, point] = [lines[2 * i], lines[2 * i + 1]].map((line) => JSON.parse(line).geometry);
    return {
      parts: polygon.type === "Polygon" ? [polygon.coordinates] : polygon.coordinates,
      type: polygon.type,
      point: point.coordinates,
    };
  });
}

const one = (geometry) => featuresOf([geometry])[0];
const box = (west, south, east, north) => rectangle(west, south, east, north);

/** The same rings with every longitude brought between −180 and 180, as most files have them. */
const wrapped = (rings) => rings.map((ring) => ring.map(([x, y]) => [x - 360 * Math.floor((x + 180) / 360), y]));

test("the example of RFC 7946: a box over the meridian becomes two", () => {
  for (const ring of [box(179, -20, 181, -10), box(-181, -20, -179, -10), wrapped([box(179, -20, 181, -10)])[0]]) {
    const { type, parts, point } = one([ring]);
    assert.equal(type, "MultiPolygon");
    assert.equal(parts.length, 2);
    const sides = parts.map(([exterior]) => exterior.map(([x]) => x)).map((xs) => [Math.min(...xs), Math.max(...xs)]);
    assert.deepEqual(
      sides.sort(([a], [b]) => a - b),
      [
        [-180, -179],
        [179, 180],
      ],
    );
    for (const [exterior] of parts) assert.equal(exterior.length, 5);
    assert.ok(Math.abs(point[0]) >= 179 && Math.abs(point[0]) <= 180 && point[1] > -20 && point[1] < -10);
  }
});

test("what does not cross stays as it is, and what lies beyond is brought back", () => {
  const outline = (geometry) => one(geometry).parts[0][0];
  assert.deepEqual(outline([box(170, 10, 180, 20)]), box(170, 10, 180, 20));
  assert.deepEqual(outline([box(-180, 10, -170, 20)]), box(-180, 10, -170, 20));
  // All the world: edges of 360 degrees are not the shorter way round.
  assert.deepEqual(outline([box(-180, -80, 180, 80)]), box(-180, -80, 180, 80));
  assert.deepEqual(outline([box(-100, 10, 79, 20)]), box(-100, 10, 79, 20));
  assert.deepEqual(outline([box(181, 10, 182, 20)]), box(-179, 10, -178, 20));
  assert.deepEqual(outline([box(-400, 10, -390, 20)]), box(-40, 10, -30, 20));
  // Alaska: parts on both sides, none of which crosses.
  const { type, parts } = one([[box(179, 51, 180, 52)], [box(-180, 51, -179, 52)]]);
  assert.deepEqual(
    [type, parts.map(([ring]) => ring)],
    ["MultiPolygon", [box(179, 51, 180, 52), box(-180, 51, -179, 52)]],
  );
  // Around the pole: no cut would do, and the ring comes as it is.
  const around = [
    [-120, 80],
    [0, 75],
    [120, 80],
    [-120, 80],
  ];
  assert.deepEqual(outline([around]), around);
});

test("holes stay with their piece, are cut as well, and bays make pieces of their own", () => {
  // A hole to the west, one to the east, one on the line.
  const holes = [box(176, 2, 177, 3), box(183, 2, 184, 3), box(179, 5, 181, 6)];
  for (const rings of [[box(175, 0, 185, 10), ...holes], wrapped([box(175, 0, 185, 10), ...holes])]) {
    const { parts } = one(rings);
    const west = parts.find(([ring]) => ring.every(([x]) => x >= 0));
    const east = parts.find(([ring]) => ring.every(([x]) => x <= 0));
    assert.equal(parts.length, 2);
    // The one on the line has become a bay of both.
    assert.deepEqual([west.length, east.length], [2, 2]);
    assert.ok(west[0].length === 9 && east[0].length === 9, `${west[0].length} ${east[0].length}`);
    assert.ok(west[1].every(([x]) => x >= 176 && x <= 177));
    assert.ok(east[1].every(([x]) => x >= -177 && x <= -176));
  }
  // A comb whose back lies in the west and whose three teeth reach over the line.
  const comb = [
    [178, 0],
    [181, 0],
    [181, 1],
    [179, 1],
    [179, 2],
    [181, 2],
    [181, 3],
    [179, 3],
    [179, 4],
    [181, 4],
    [181, 5],
    [178, 5],
    [178, 0],
  ];
  const { parts } = one([comb]);
  const east = parts.filter(([ring]) => ring.every(([x]) => x < 0));
  assert.equal(parts.length, 4);
  assert.equal(east.length, 3);
  for (const [ring] of east) assert.equal(ring.length, 5);
  // A vertex on the line, and an edge along it.
  const touching = one([
    [
      [179, 0],
      [180, 0],
      [180, 1],
      [181, 1],
      [181, 2],
      [179, 2],
      [179, 0],
    ],
  ]);
  assert.equal(touching.parts.length, 2);
});

/** How often a ring winds around a point, by angles. */
function windings(ring, x, y) {
  let turned = 0;
  for (let i = 1; i < ring.length; i++) {
    const [a, b] = [ring[i - 1], ring[i]].map(([u, v]) => Math.atan2(v - y, u - x));
    const turn = b - a;
    turned += turn > Math.PI ? turn - 2 * Math.PI : turn < -Math.PI ? turn + 2 * Math.PI : turn;
  }
  return Math.round(turned / (2 * Math.PI));
}
const isIn = ([outer, ...holes], x, y) =>
  windings(outer, x, y) !== 0 && holes.every((hole) => windings(hole, x, y) === 0);
const areaOf = (ring) => ring.slice(1).reduce((sum, [x, y], i) => sum + (ring[i][0] * y - x * ring[i][1]) / 2, 0);

test("random shapes over the line keep every point and their area, written beyond 180 degrees or not", () => {
  const random = new Random(11);
  const plain = Array.from({ length: 600 }, () => {
    const grid = { a: 0.05, c: random.pick([180, -180]) + random.between(-2, 2), e: -0.05, f: random.between(-60, 60) };
    const outer = randomShape(random, "blob", [0, 0, 40]);
    return onGrid([outer, ...(random.chance(0.6) ? [outer.map(([c, r]) => [c * 0.6, r * 0.6])] : [])], grid);
  });
  let cut = 0;
  for (const write of [(rings) => rings, wrapped]) {
    featuresOf(plain.map(write)).forEach(({ parts, point }, i) => {
      const rings = plain[i];
      const middle = rings[0][0][0];
      if (parts.length > 1) cut++;
      let area = 0;
      for (const part of parts) {
        for (const [r, ring] of part.entries()) {
          assert.ok(ring.every(([x]) => x >= -180 && x <= 180));
          assert.deepEqual(ring[0], ring.at(-1));
          assert.equal(areaOf(ring) > 0, r === 0, `row ${i}: exteriors run counter-clockwise, holes clockwise`);
          area += areaOf(ring);
        }
      }
      const expected =
        Math.abs(areaOf(rings[0])) - rings.slice(1).reduce((sum, ring) => sum + Math.abs(areaOf(ring)), 0);
      assert.ok(Math.abs(area - expected) < 1e-6, `row ${i}: ${area} of ${expected} square degrees`);
      const beside = (x) => [x - 360, x, x + 360].sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0];
      assert.ok(isIn(rings, beside(point[0]), point[1]), `row ${i}: ${point} lies inside`);
      for (let k = 0; k < 12; k++) {
        const [x, y] = [middle + random.between(-4, 4), rings[0][0][1] + random.between(-4, 4)];
        const here = x - 360 * Math.floor((x + 180) / 360);
        const found = parts.filter((part) => isIn(part, here, y)).length;
        assert.equal(found, isIn(rings, x, y) ? 1 : 0, `row ${i}: ${x} ${y}`);
      }
    });
  }
  assert.ok(cut > 400, `${cut} were cut`);
});

test("broken rings about the line are written alike and do no harm", () => {
  const random = new Random(12);
  const strays = Array.from({ length: 3000 }, () => {
    const ring = () => {
      const points = Array.from({ length: random.integer(3, 9) }, () => [
        random.pick([180, -180, 179, -179, 181, 540, -540, random.between(-540, 540)]),
        random.pick([0, 1, 1, 2, random.between(-90, 90)]),
      ]);
      return [...points, points[0]];
    };
    return Array.from({ length: random.integer(1, 4) }, ring);
  });
  for (const { parts } of featuresOf(strays)) assert.ok(parts.length > 0);
});
