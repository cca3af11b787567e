import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldRows } from "../../dist/sample/field-rows.js";
import { Painter } from "../../dist/sample/painter.js";
import { rankOf, sectionsByRank } from "../../dist/sample/survey.js";
import { planWorld, planWorldOf, sectionOf, tracedSectionOf } from "../../dist/sample/world.js";

const SHAPES = ["drawn", "csb"];

test("a world has exactly the fields asked for, with ids of their own", () => {
  for (const [shapes, fields] of SHAPES.flatMap((s) => [1, 2, 9, 100, 2000, 5001].map((n) => [s, n]))) {
    const world = planWorld(7, fields, shapes);
    const ids = Array.from(fieldRows(world), (row) => row.id);
    assert.equal(ids.length, fields);
    assert.equal(new Set(ids).size, fields);
    assert.ok(ids.every((id) => id > 2n ** 32n && id < 2n ** 53n));
  }
});

test("the raster lies on the CDL's grid, in the country", () => {
  for (const [shapes, fields] of SHAPES.flatMap((s) => [1, 2000, 300_000].map((n) => [s, n]))) {
    const { originX, originY, width, height } = planWorld(7, fields, shapes);
    // -2356095 and 3172605 are the corner of the national raster.
    assert.equal(Math.abs(originX + 2_356_095) % 30, 0);
    assert.equal(Math.abs(originY - 3_172_605) % 30, 0);
    assert.ok(originX > -2_356_095 && originX + 30 * width < 2_258_235);
    assert.ok(originY < 3_172_605 && originY - 30 * height > 276_915);
  }
  const { width, height, fields } = planWorld(7, 300_000);
  const perField = (width * height) / fields;
  assert.ok(perField > 300 && perField < 400, `${perField} pixels per field`);
  assert.ok(Math.abs(width / height - 1) < 0.1, `${width} x ${height}`);
});

test("too many fields for the country are refused", () => {
  assert.throws(() => planWorld(7, 1e9), {
    kind: "usage",
    message: /do not fit into the country .*million.*1000000000/,
  });
});

test("a section's rank is its place in the order", () => {
  for (const [columns, rows] of [
    [1, 1],
    [12, 12],
    [30, 17],
    [5, 40],
  ]) {
    let rank = 0;
    for (const [sx, sy] of sectionsByRank(columns, rows)) assert.equal(rankOf(sx, sy, columns, rows), rank++);
    assert.equal(rank, columns * rows);
  }
});

for (const shapes of SHAPES)
  test(`any order of rows paints the same pixels, ${shapes} shapes`, () => {
    const world = planWorld(7, 300, shapes);
    const [down, up] = [new Painter(world, 2020), new Painter(world, 2020)];
    const first = new Uint8Array(world.width * world.height);
    const second = new Uint8Array(world.width * world.height);
    for (let row = 0; row < world.height; row++) down.paintRow(row, first, row * world.width);
    for (let row = world.height - 1; row >= 0; row--) up.paintRow(row, second, row * world.width);
    assert.deepEqual(second, first);
  });

test("years differ in crops, not in land", () => {
  const world = planWorld(7, 300);
  const paint = (year) => {
    const painter = new Painter(world, year);
    const codes = new Uint8Array(world.width * world.height);
    for (let row = 0; row < world.height; row++) painter.paintRow(row, codes, row * world.width);
    return codes;
  };
  const [a, b] = [paint(2019), paint(2020)];
  const isLand = (code) => code >= 111 && code <= 195;
  let [changed, moved] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) changed++;
    if (isLand(a[i]) !== isLand(b[i])) moved++;
  }
  assert.ok(changed > 0.3 * a.length, `${changed} of ${a.length} pixels changed`);
  assert.ok(moved < 0.1 * a.length, `${moved} of ${a.length} pixels became land or field`);
});

test("fields spread as in the United States lie in the Midwest, few in the West", () => {
  for (const shapes of SHAPES) {
    const world = planWorldOf({ seed: 7, fields: 40_000, shapes, like: "us" });
    assert.equal(
      world.parts.reduce((sum, part) => sum + part.fields, 0),
      40_000,
    );
    assert.ok(Math.abs(world.width / world.height / (153_811 / 96_523) - 1) < 0.1, `${world.width} x ${world.height}`);
    let [west, middle, rows] = [0, 0, 0];
    for (let sy = 0; sy < world.rows; sy++) {
      for (let sx = 0; sx < world.columns; sx++) {
        const { length } = (shapes === "csb" ? tracedSectionOf : sectionOf)(world, sx, sy).fields;
        rows += length;
        if (sx < 0.3 * world.columns) west += length;
        if (Math.abs(sx / world.columns - 0.6) < 0.15) middle += length;
      }
    }
    assert.equal(rows, 40_000);
    assert.ok(middle > 5 * west && west > 0, `${middle} in the middle, ${west} in the west`);
  }
});

test("a national raster has the size and place of the CDL's, however few the fields", () => {
  for (const like of ["even", "us"]) {
    const world = planWorldOf({ seed: 7, fields: 3000, shapes: "csb", like, national: true });
    const { width, height, originX, originY } = world;
    assert.deepEqual([width, height, originX, originY], [153_811, 96_523, -2_356_095, 3_172_605]);
    let fields = 0;
    for (const { id } of fieldRows(world)) if (id > 0n) fields++;
    assert.equal(fields, 3000);
    const south = Math.floor((world.parts.at(-1).to - 1) / Math.ceil(world.columns / 12)) * 12;
    assert.ok(south > 1000, `the last fields lie in row ${south} of ${world.rows}`);
  }
  assert.throws(() => planWorldOf({ seed: 7, fields: 5e7, shapes: "csb", national: true }), { kind: "usage" });
});

test("parts are whole counties and have all fields in order", () => {
  const world = planWorld(7, 150_000, "csb");
  assert.ok(world.parts.length > 3);
  const all = Array.from(fieldRows(world), (row) => row.id);
  const byPart = world.parts.flatMap((part) => {
    const ids = Array.from(fieldRows(world, part), (row) => row.id);
    assert.equal(ids.length, part.fields);
    return ids;
  });
  assert.deepEqual(byPart, all);
});
