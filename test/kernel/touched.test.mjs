// Pixels that a polygon touches: against rasterio's all_touched, and known shapes on and off the lattice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIELD_STATUS } from "../../dist/kernel/geometry.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { oracle } from "../../dist-test/oracle/kernel.js";
import { pixelsOf } from "../support/burned.mjs";
import { Random } from "../support/random.mjs";
import { onGrid, randomPolygon, randomShape, rectangle } from "../support/random-polygons.mjs";
import { rasterioMissing, rasterioPixels } from "../support/rasterio.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const kernels = [nativeKernel(), oracle];
const GRID = { a: 30, c: -106095, e: -30, f: 1822605, width: 2100, height: 530 };

/** Both kernels' answer, equal to the byte. */
function burn(geometries, rule, grid = GRID) {
  const column = wkbColumnOf(geometries.map((geometry) => writeWkb(onGrid(geometry, grid))));
  const [a, b] = kernels.map((kernel) => kernel.burn(column, grid, null, 0, rule));
  assert.deepEqual(a, b);
  return a;
}

/** As the tests speak of it: [col, row] of every pixel of the first geometry. */
function touchedBy(geometry, rule = "touched") {
  const grid = { a: 1, c: 0, e: -1, f: 0, width: 20, height: 20 };
  return (pixelsOf(burn([geometry], rule, grid), 20).get(0) ?? []).map((at) => [at % 20, Math.floor(at / 20)]);
}

/** GDAL takes edges of less than a hundredth of a pixel in either direction for upright ones, and has rules of its own on the lattice. */
function isGeneric(ring) {
  const off = (v) => Math.abs(v - Math.round(v)) > 0.02;
  return ring.every(
    ([x, y], i) =>
      off(x) && off(y) && (i === 0 || (Math.abs(x - ring[i - 1][0]) > 0.02 && Math.abs(y - ring[i - 1][1]) > 0.02)),
  );
}

test("generic polygons, holes and parts: rasterio's all_touched", { skip: rasterioMissing() }, async () => {
  const random = new Random(31);
  const ring = (at) => {
    for (;;) {
      const shape = randomShape(random, random.pick(["blob", "free"]), at);
      if (isGeneric(shape)) return shape;
    }
  };
  const geometries = Array.from({ length: 3000 }, () => {
    const size = random.pick([0.6, 1.5, 5, 20]);
    const at = [random.pick([random.between(0, 2100), 2048]), random.pick([random.between(0, 530), 512]), size];
    const part = () => (random.chance(0.3) ? [ring(at), ring([at[0], at[1], size / 2])] : [ring(at)]);
    return random.chance(0.2) ? [part(), part()] : part();
  });
  const expected = await rasterioPixels(
    geometries.map((geometry) => writeWkb(onGrid(geometry, GRID))),
    GRID,
    { touched: true },
  );
  const pixels = pixelsOf(burn(geometries, "touched"), GRID.width);
  const wrong = expected.flatMap((theirs, i) => {
    const ours = pixels.get(i) ?? [];
    return String(ours) === String([...(theirs ?? [])]) ? [] : [{ i, ours, theirs, geometry: geometries[i] }];
  });
  assert.deepEqual(wrong.slice(0, 2), [], `${wrong.length} of ${expected.length} polygons differ`);
});

test("adversarial polygons: both kernels alike, and no pixel of the center rule is missing", () => {
  const random = new Random(32);
  const geometries = Array.from({ length: 3000 }, () =>
    randomPolygon(random, [random.between(-5, 2105), random.between(-5, 535), random.pick([0.5, 2, 8, 40])]),
  );
  const centre = burn(geometries, "centre");
  const [byCenter, byTouch] = [centre, burn(geometries, "touched")].map((burned) => pixelsOf(burned, GRID.width));
  for (const [field, pixels] of byCenter) {
    const touched = new Set(byTouch.get(field));
    assert.ok(pixels.every((pixel) => touched.has(pixel)));
  }
  const small = burn(geometries, "small-touched");
  const bySmall = pixelsOf(small, GRID.width);
  let answered = 0;
  geometries.forEach((_, i) => {
    const missed = FIELD_STATUS[centre.status[i]] === "no pixel centre inside";
    assert.deepEqual(bySmall.get(i), (missed ? byTouch : byCenter).get(i));
    if (missed && bySmall.has(i)) {
      answered++;
      assert.equal(FIELD_STATUS[small.status[i]], "small: touched pixels");
    }
  });
  assert.ok(answered > 200, `${answered} answered by touch`);
});

test("known shapes", () => {
  // On the lattice a field touches its own pixels, not its neighbors': 2 × 3 of them.
  assert.equal(touchedBy([rectangle(3, 3, 5, 6)]).length, 6);
  // As it does after a reprojection's noise.
  assert.equal(touchedBy([rectangle(3 - 1e-8, 3 + 1e-8, 5 + 1e-8, 6 + 1e-8)]).length, 6);
  assert.equal(touchedBy([rectangle(2.99, 2.99, 5.01, 6.01)]).length, 4 * 5);
  // Inside one pixel, off its center.
  assert.deepEqual(touchedBy([rectangle(7.1, 7.1, 7.2, 7.2)]), [[7, 7]]);
  assert.deepEqual(touchedBy([rectangle(7.1, 7.1, 7.2, 7.2)], "small-touched"), [[7, 7]]);
  assert.deepEqual(touchedBy([rectangle(7.1, 7.1, 7.2, 7.2)], "centre"), []);
  // A sliver over three pixels of a row.
  assert.deepEqual(
    touchedBy([rectangle(1.5, 1.1, 3.5, 1.2)]),
    [1, 2, 3].map((col) => [col, 1]),
  );
  // A hole's own edge touches; what lies wholly inside the hole does not belong.
  const ring = touchedBy([rectangle(2.2, 2.2, 7.8, 7.8), rectangle(3.5, 3.5, 6.5, 6.5)]);
  assert.equal(ring.length, 36 - 4);
  // A line without area along a side of the lattice touches nothing.
  assert.deepEqual(
    touchedBy([
      [
        [2, 2],
        [9, 2],
        [4, 2],
        [2, 2],
      ],
    ]),
    [],
  );
});
