// Covered shares of pixels, and their weights: against clipping each pixel, which the kernels do not do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nativeKernel } from "../../dist/kernel/native.js";
import { SHARE_UNITS, WEIGHTED_RUN } from "../../dist/kernel/zonal.js";
import { oracle } from "../../dist-test/oracle/kernel.js";
import { segmentsOf } from "../support/burned.mjs";
import { Random } from "../support/random.mjs";
import { onGrid, randomPolygon, randomShape, rectangle } from "../support/random-polygons.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const kernels = [nativeKernel(), oracle];
const GRID = { a: 30, c: -106095, e: -30, f: 1822605, width: 2100, height: 530 };

function burn(geometries, grid = GRID) {
  const column = wkbColumnOf(geometries.map((geometry) => writeWkb(onGrid(geometry, grid))));
  const [a, b] = kernels.map((kernel) => kernel.burn(column, grid, null, 0, "coverage"));
  assert.deepEqual(a, b);
  return a;
}

/** Both kernels' histograms of a raster, equal to the byte. */
function weigh(burned, grid, pixels, rowWeights, skip = []) {
  const { words, layout } = segmentsOf(burned, grid.width);
  const args = [pixels, grid.width, words, layout, Float64Array.from(skip), false, rowWeights];
  const [a, b] = kernels.map((kernel) => kernel.countWeighted(...args));
  assert.deepEqual(a, b);
  return a;
}

/** Share of every pixel of every field: field → Map(row × width + col → share). A raster of pixel numbers tells. */
function sharesOf(burned, grid) {
  const pixels = Uint32Array.from({ length: grid.width * grid.height }, (_, i) => i);
  const {
    field,
    end,
    code,
    pixels: weights,
  } = weigh(burned, grid, pixels, new Float64Array(grid.height).fill(SHARE_UNITS));
  const shares = new Map();
  let pair = 0;
  field.forEach((f, i) => {
    const of = shares.get(f) ?? new Map();
    shares.set(f, of);
    for (; pair < end[i]; pair++) {
      assert.ok(!of.has(code[pair]), "each pixel once");
      of.set(code[pair], weights[pair] / SHARE_UNITS);
    }
  });
  return shares;
}

/** Area of a ring inside a pixel, by clipping it at the pixel's four sides. */
function clippedArea(ring, col, row) {
  let vertices = ring.slice(0, -1);
  for (const [axis, side, sign] of [
    [0, col, 1],
    [0, col + 1, -1],
    [1, row, 1],
    [1, row + 1, -1],
  ]) {
    const depth = (vertex) => sign * (vertex[axis] - side);
    vertices = vertices.flatMap((vertex, i) => {
      const before = vertices.at(i - 1);
      const [from, to] = [depth(before), depth(vertex)];
      const t = from / (from - to);
      const crossing = [before[0] + t * (vertex[0] - before[0]), before[1] + t * (vertex[1] - before[1])];
      return [...(from < 0 !== to < 0 ? [crossing] : []), ...(to < 0 ? [] : [vertex])];
    });
  }
  const twice = vertices.reduce((sum, [x, y], i) => sum + vertices.at(i - 1)[0] * y - x * vertices.at(i - 1)[1], 0);
  return Math.abs(twice) / 2;
}

test("shares of shells, holes and parts that lie apart: each pixel clipped", () => {
  const random = new Random(51);
  const geometries = Array.from({ length: 400 }, () => {
    const size = random.pick([0.4, 2, 7, 15]);
    const [col, row] = [random.pick([random.between(-3, 2103), 2048]), random.pick([random.between(-3, 533), 512])];
    const snap = random.chance(0.3) ? Math.round : (v) => v;
    const shell = (x) => randomShape(random, "blob", [snap(x), snap(row), size]);
    // Smaller than the least radius of the shell, about the same middle.
    const hole = () => randomShape(random, "blob", [snap(col), snap(row), size * 0.35]);
    const part = random.chance(0.4) ? [shell(col), hole()] : [shell(col)];
    return random.chance(0.2) ? [part, [shell(col + size + 2)]] : part;
  });
  // Snapping moves hole and shell alike, so that one stays in the other.
  const shares = sharesOf(burn(geometries), GRID);
  let partly = 0;
  geometries.forEach((geometry, i) => {
    const parts = Array.isArray(geometry[0][0][0]) ? geometry : [geometry];
    const ours = shares.get(i) ?? new Map();
    const all = parts.flat(2);
    const [cols, rows] = [0, 1].map((axis) => {
      const values = all.map((vertex) => vertex[axis]);
      return [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values))];
    });
    for (let row = Math.max(0, rows[0]); row < Math.min(GRID.height, rows[1]); row++) {
      for (let col = Math.max(0, cols[0]); col < Math.min(GRID.width, cols[1]); col++) {
        const expected = parts.reduce(
          (sum, [shell, ...holes]) =>
            sum + clippedArea(shell, col, row) - holes.reduce((s, hole) => s + clippedArea(hole, col, row), 0),
          0,
        );
        const share = ours.get(row * GRID.width + col) ?? 0;
        assert.ok(Math.abs(share - expected) < 1e-7, `field ${i}, pixel ${col} ${row}: ${share}, not ${expected}`);
        if (share > 0 && share < 1) partly++;
      }
    }
  });
  assert.ok(partly > 3000, `${partly} pixels covered partly`);
});

test("any polygon: both kernels alike, shares between 0 and 1", () => {
  const random = new Random(52);
  const geometries = Array.from({ length: 3000 }, () =>
    randomPolygon(random, [random.between(-5, 2105), random.between(-5, 535), random.pick([0.5, 2, 8, 40])]),
  );
  const burned = burn(geometries);
  for (const shares of sharesOf(burned, GRID).values()) {
    for (const share of shares.values()) assert.ok(share > 0 && share <= 1, `${share}`);
  }
  // Wide and narrow types, skipped classes, weights by row; far-off vertices.
  for (const type of [Uint8Array, Int16Array, Int32Array, Float32Array, Float64Array]) {
    const pixels = new type(GRID.width * GRID.height).map(() => random.pick([0, 1, 2, 7, -0, 90]));
    if (type === Float32Array) for (let i = 0; i < 5000; i++) pixels[random.integer(0, pixels.length)] = Number.NaN;
    const rows = Float64Array.from({ length: GRID.height }, (_, row) => 9e5 + 17.3 * row);
    weigh(burned, GRID, pixels, rows, [0, 7]);
  }
  const far = [3, 1e9, 1e18, 1e300].map((size) => [rectangle(-size, -size, size, size)]);
  const shares = sharesOf(burn(far, { ...GRID, width: 60, height: 40 }), { ...GRID, width: 60, height: 40 });
  assert.equal(shares.get(0).size, 9);
  assert.equal(shares.get(1).size, 60 * 40);
});

test("known shapes", () => {
  const grid = { a: 1, c: 0, e: -1, f: 0, width: 10, height: 10 };
  const of = (geometry) => Object.fromEntries(sharesOf(burn([geometry], grid), grid).get(0) ?? []);
  assert.deepEqual(of([rectangle(2, 3, 4, 4)]), { 32: 1, 33: 1 });
  assert.deepEqual(of([rectangle(2.5, 3.75, 4, 4)]), { 32: 0.125, 33: 0.25 });
  assert.deepEqual(of([rectangle(2, 3, 4, 4), rectangle(2.5, 3, 3, 4)]), { 32: 0.5, 33: 1 });
  // Parts add up, and nothing exceeds the pixel.
  assert.deepEqual(of([[rectangle(2, 3, 2.5, 4)], [rectangle(2.25, 3, 2.5, 4)]]), { 32: 0.75 });
  assert.deepEqual(of([[rectangle(2, 3, 3, 4)], [rectangle(2, 3, 3, 4)]]), { 32: 1 });
  assert.deepEqual(of([rectangle(8.5, 9.5, 12, 12)]), { 98: 0.25, 99: 0.5 });
  const burned = burn([[rectangle(0.5, 0, 3, 1)]], grid);
  assert.deepEqual(
    [...burned.run],
    [WEIGHTED_RUN, new Uint32Array(Float32Array.of(0.5).buffer)[0], (1 << 11) | 1],
    "a run of one pixel and its share, and a run of whole pixels",
  );
});

test("weights that do not fit the window or the segment are a TypeError", () => {
  const grid = { a: 1, c: 0, e: -1, f: 0, width: 10, height: 10 };
  const { words, layout } = segmentsOf(burn([[rectangle(0.5, 0.5, 3, 2)]], grid), 10);
  const count = (kernel, change) => {
    const args = { pixels: new Uint8Array(100), stride: 10, words, layout, rows: new Float64Array(10), ...change };
    return kernel.countWeighted(
      args.pixels,
      args.stride,
      args.words,
      args.layout,
      new Float64Array(0),
      false,
      args.rows,
    );
  };
  const cut = words.slice();
  cut[1] = (1 << 16) | 1;
  for (const [change, message] of [
    [{ rows: new Float64Array(9) }, /rowWeights: one a row/],
    [{ rows: [1] }, /rowWeights: Float64Array/],
    [{ words: cut }, /words: /],
    [{ pixels: new Uint8Array(2), stride: 2, rows: new Float64Array(1) }, /words: /],
    [{ layout: new Uint32Array(6) }, /layout: /],
  ]) {
    for (const kernel of kernels) assert.throws(() => count(kernel, change), { name: "TypeError", message });
  }
});
