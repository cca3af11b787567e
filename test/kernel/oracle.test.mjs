// The kernel and its oracle give the same bytes, whatever comes in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { albersConstants } from "../../dist/kernel/albers.js";
import { FIELD_STATUS } from "../../dist/kernel/geometry.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { CHUNK_COLS, CHUNK_ROWS, TABLE_SOURCES, TABLE_TYPES } from "../../dist/kernel/zonal.js";
import { oracle } from "../../dist-test/oracle/kernel.js";
import { answerArrays, pixelsOf, segmentsOf } from "../support/burned.mjs";
import { Random } from "../support/random.mjs";
import { onGrid, randomPolygon, randomShape, rectangle } from "../support/random-polygons.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const native = nativeKernel();

const CONUS = albersConstants({
  lat0: 23,
  lon0: -96,
  lat1: 29.5,
  lat2: 45.5,
  x0: 0,
  y0: 0,
  semiMajor: 6378137,
  inverseFlattening: 298.257222101,
});
/** The national CDL grid. */
const CDL = { a: 30, c: -2356095, e: -30, f: 3172605, width: 153811, height: 96523 };
const GRIDS = [
  { a: 30, c: -106095, e: -30, f: 1822605, width: 1000, height: 1000 },
  { a: 30, c: -2356095.123, e: -30, f: 3172604.987, width: 5000, height: 1300 },
  { a: 0.0003259146556798141, c: -99.03, e: -0.00026990464283, f: 38.7, width: 2100, height: 520 },
  { a: 1, c: 0, e: -1, f: 0, width: 7, height: 3 },
  { a: 250.7, c: -1e6, e: -333.3, f: 1e6, width: 4097, height: 1025 },
  { a: 10, c: 0, e: 10, f: 0, width: 3000, height: 600 },
];

/** Both kernels' answers, or both kernels' errors, equal to the byte; the native one's. */
function both(call) {
  const run = (kernel) => {
    try {
      return { value: call(kernel) };
    } catch (error) {
      return { error: `${error.name}: ${error.message}` };
    }
  };
  const [a, b] = [run(native), run(oracle)];
  assert.equal(a.error, b.error);
  if (a.value !== undefined) assertSameBytes(a.value, b.value, "");
  return a;
}

function assertSameBytes(a, b, path) {
  if (ArrayBuffer.isView(a)) {
    assert.equal(a.constructor, b.constructor, path);
    assert.equal(a.length, b.length, `${path}: lengths`);
    const [x, y] = [a, b].map((view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength));
    // deepEqual on 100 k numbers is slow: only to show what differs.
    if (!x.equals(y)) assert.deepEqual(a, b, path);
    assert.ok(x.equals(y), path);
    return;
  }
  if (typeof a !== "object") {
    assert.ok(Object.is(a, b), `${path}: ${a} ${b}`);
    return;
  }
  assert.deepEqual(Object.keys(a).sort(), Object.keys(b).sort(), path);
  for (const key of Object.keys(a)) assertSameBytes(a[key], b[key], `${path}.${key}`);
}

function burnBoth(geometries, grid, albers = null, firstRow = 0, shift = 0) {
  const { value, error } = both((kernel) => kernel.burn(wkbColumnOf(geometries, shift), grid, albers, firstRow));
  assert.equal(error, undefined);
  return value;
}

/** Somewhere in, on or about the raster, often on the edges of chunks and of the raster. */
function somewhere(random, { width, height }) {
  const col = random.pick([random.between(-5, width + 5), CHUNK_COLS * random.integer(0, 3), 0, width]);
  const row = random.pick([random.between(-5, height + 5), CHUNK_ROWS * random.integer(0, 3), 0, height]);
  return [col + random.between(-3, 3), row + random.between(-3, 3), random.pick([0.5, 2, 5, 12, 40])];
}

function dialect(random) {
  return {
    big: random.chance(0.3),
    iso: random.chance(0.5),
    z: random.chance(0.2),
    m: random.chance(0.1),
    ...(random.chance(0.2) ? { srid: 5070 } : {}),
  };
}

test("random polygons on random grids burn alike", () => {
  const random = new Random(1);
  const seen = new Set();
  for (const grid of GRIDS) {
    for (let batch = 0; batch < 4; batch++) {
      const geometries = Array.from({ length: 400 }, () => {
        if (random.chance(0.02)) return null;
        return writeWkb(onGrid(randomPolygon(random, somewhere(random, grid)), grid), dialect(random));
      });
      const burned = burnBoth(geometries, grid, null, 1000 * batch, random.integer(0, 20));
      for (const status of burned.status) seen.add(FIELD_STATUS[status]);
    }
  }
  for (const status of ["ok", "null geometry", "outside the raster", "no pixel centre inside"])
    assert.ok(seen.has(status), status);
});

test("fields in degrees are projected and burned alike", () => {
  const random = new Random(2);
  const geometries = Array.from({ length: 2000 }, () => {
    const [lng, lat] = [random.between(-126, -65), random.between(23, 51)];
    const degrees = { a: 0.0003, c: lng, e: -0.0003, f: lat };
    return writeWkb(onGrid(randomPolygon(random, [0, 0, random.pick([1, 10, 60])]), degrees));
  });
  const burned = burnBoth(geometries, CDL, CONUS);
  assert.ok(burned.run.length > 10_000);
  // Anywhere on the globe, and off it.
  const strays = Array.from({ length: 2000 }, () => {
    const at = { a: random.pick([1e-3, 1, 30]), c: random.between(-600, 600), e: -1, f: random.between(-100, 100) };
    return writeWkb(onGrid(randomPolygon(random, [0, 0, 3]), at));
  });
  const strayed = burnBoth(strays, CDL, CONUS);
  assert.ok(strayed.status.includes(FIELD_STATUS.indexOf("coordinates not finite")));
});

test("every truncation of every dialect is told alike and never as a polygon", () => {
  const grid = GRIDS[0];
  const geometries = [
    [rectangle(3, 3, 12, 12), rectangle(5, 5, 8, 8)],
    [[rectangle(3, 3, 12, 12), rectangle(5, 5, 8, 8)], [rectangle(50, 50, 54, 54)]],
  ];
  for (const geometry of geometries) {
    for (const variant of [
      {},
      { big: true },
      { z: true },
      { m: true, iso: true },
      { z: true, m: true, big: true, srid: 4326 },
      { z: true, m: true, iso: true },
    ]) {
      const wkb = writeWkb(onGrid(geometry, grid), variant);
      const whole = burnBoth([wkb], grid);
      assert.equal(FIELD_STATUS[whole.status[0]], "ok");
      assert.equal(pixelsOf(whole, grid.width).get(0).length, geometry === geometries[0] ? 81 - 9 : 81 - 9 + 16);
      const cut = Array.from({ length: wkb.length }, (_, i) => wkb.subarray(0, i));
      const burned = burnBoth(cut, grid);
      assert.deepEqual(new Set(burned.status), new Set([FIELD_STATUS.indexOf("truncated WKB")]));
      assert.deepEqual(burned.extent, Float64Array.of(Infinity, Infinity, -Infinity, -Infinity));
    }
  }
});

test("broken geometries have a status each", () => {
  const grid = GRIDS[0];
  const square = rectangle(0, 0, 9, 9);
  const at = (x, y) => onGrid([[square[0], [x, y], ...square.slice(2)]], grid);
  const code = (value) =>
    Buffer.concat([Buffer.from([1]), Buffer.from(Uint32Array.of(value).buffer), Buffer.alloc(64)]);
  const cases = [
    ["null geometry", null],
    ["truncated WKB", Buffer.alloc(0)],
    ["truncated WKB", Buffer.from([2, 3, 0, 0, 0])],
    ["empty geometry", writeWkb([])],
    ["empty geometry", writeWkb([[]])],
    ["empty geometry", code(6)],
    ["not a polygon", code(1)],
    ["not a polygon", code(2)],
    ["empty geometry", code(7)],
    ["not a polygon", code(1001)],
    ["not a polygon", code(4003)],
    ["not a polygon", code(0x1fffffff)],
    ["coordinates not finite", writeWkb(at(Number.NaN, 1))],
    ["coordinates not finite", writeWkb(at(1, Infinity))],
    ["ring of fewer than four vertices", writeWkb(onGrid([square.slice(0, 3)], grid))],
    ["outside the raster", writeWkb(onGrid([square.map(([c, r]) => [c - 100, r])], grid))],
    ["outside the raster", writeWkb([square.map(([x, y]) => [x * 1e290 + 1e299, y])])],
    ["no pixel centre inside", writeWkb(onGrid([square.map(([c, r]) => [c / 30, r / 30])], grid))],
    ["ok", writeWkb(onGrid([square], grid))],
    // Not closed: closed by the reader.
    ["ok", writeWkb(onGrid([square.slice(0, 4)], grid))],
  ];
  const burned = burnBoth(
    cases.map(([, wkb]) => wkb),
    grid,
    null,
    0,
    5,
  );
  assert.deepEqual(
    [...burned.status].map((status) => FIELD_STATUS[status]),
    cases.map(([status]) => status),
  );
  const pixels = pixelsOf(burned, grid.width);
  assert.equal(pixels.get(cases.length - 1).length, 81);
  const { value } = both((kernel) =>
    kernel.geojson(wkbColumnOf(cases.map(([, wkb]) => wkb)), 0, texts(cases.length), 6),
  );
  assert.equal(value.status[0], 1);
});

test("flipped bits burn alike", () => {
  const random = new Random(4);
  const grid = GRIDS[1];
  const geometries = Array.from({ length: 6000 }, () => {
    const wkb = writeWkb(onGrid(randomPolygon(random, somewhere(random, grid)), grid), dialect(random));
    const flips = random.integer(0, 4);
    for (let i = 0; i < flips; i++) {
      const at = random.chance(0.5) ? random.integer(0, Math.min(30, wkb.length)) : random.integer(0, wkb.length);
      wkb[at] ^= 1 << random.integer(0, 8);
    }
    return wkb;
  });
  const burned = burnBoth(geometries, grid);
  assert.ok(new Set(burned.status).size >= 7, "most kinds of status come up");
  both((kernel) => kernel.geojson(wkbColumnOf(geometries), 0, texts(geometries.length), 6));
});

test("one field over the whole raster, and one of more than 65,535 runs in a chunk row", () => {
  const grid = { ...GRIDS[1], width: 5000, height: 1300 };
  const huge = writeWkb(
    onGrid(
      [
        [
          [-10, -10],
          [6000, -10],
          [6000, 2000],
          [-10, 2000],
          [-10, -10],
        ],
      ],
      grid,
    ),
  );
  // A comb with teeth of one pixel: 1,000 runs a row, so that one chunk needs several entries.
  const teeth = [[0, 1300]];
  for (let i = 0; i < 1000; i++) teeth.push([2 * i, 0], [2 * i + 1, 0], [2 * i + 1, 1299], [2 * i + 2, 1299]);
  const comb = writeWkb(onGrid([[...teeth, [2000, 1300], [0, 1300]]], grid));
  const burned = burnBoth([huge, comb], grid);
  const pixels = pixelsOf(burned, grid.width);
  assert.equal(pixels.get(0).length, 5000 * 1300);
  assert.equal(pixels.get(1).length, 1000 * 1299 + 2000);
  assert.equal(burned.run.length, 1300 * 3 + 1000 * 1299 + 1);
  const entries = [...burned.field].filter((field) => field === 1).length;
  assert.equal(entries, 8 + 8 + 5, "512,000 runs in a chunk make eight entries of 65,535 at most");
  countBoth(burned, grid, new Uint8Array(grid.width * grid.height).fill(7), [0]);
});

const TYPES = {
  Uint8Array: () => (random) => random.integer(0, 256),
  Uint8ClampedArray: () => (random) => random.integer(0, 4),
  Int8Array: () => (random) => random.integer(-128, 128),
  Uint16Array: () => (random) => random.pick([0, 65535, random.integer(0, 65536)]),
  Int16Array: () => (random) => random.integer(-32768, 32768),
  Uint32Array: () => (random) => random.pick([4294967295, 0, random.integer(0, 2 ** 32)]),
  Int32Array: () => (random) => random.integer(-(2 ** 31), 2 ** 31),
  Float32Array: () => (random) => random.pick([Number.NaN, 0, -0, 0.1, -9999, 1e30, Infinity, random.next()]),
  Float64Array: () => (random) => random.pick([Number.NaN, 0, -0, 0.1, -9999, 1e300, -Infinity, random.next()]),
};

/** What count() writes and gives, fields that chunks share merged too. */
function counted(kernel, pixels, width, words, layout, skip, clip, rows) {
  const answers = answerArrays(rows, pixels.constructor);
  const partial = kernel.count(pixels, width, words, layout, skip, clip, answers);
  const open = kernel.merge([partial], answers, false);
  kernel.merge([open], answers, true);
  return { partial, open, answers };
}

function countBoth(burned, grid, pixels, skip) {
  const { words, layout } = segmentsOf(burned, grid.width);
  const rows = Math.max(...burned.field) + 1;
  const skipped = Float64Array.from(skip);
  const all = both((kernel) => kernel.count(pixels, grid.width, words, layout, skipped, false, null)).value;
  assert.equal(all.field.length, burned.field.length, "every entry's histogram");
  return both((kernel) => counted(kernel, pixels, grid.width, words, layout, skipped, false, rows)).value;
}

test("every band type counts alike: few classes and many, ties, skipped classes, NaN", () => {
  const random = new Random(5);
  const grid = { ...GRIDS[1], width: 2300, height: 600 };
  const geometries = Array.from({ length: 300 }, () =>
    writeWkb(onGrid(randomPolygon(random, somewhere(random, grid)), grid)),
  );
  const burned = burnBoth(geometries, grid);
  assert.ok(burned.chunks.length > 1 && burned.shape.some((shape) => (shape & 0xffff) > 1), "fields lie over chunks");
  for (const [name, draw] of Object.entries(TYPES)) {
    for (const classes of [1, 3, 5000]) {
      const palette = Array.from({ length: classes }, () => draw()(random));
      const pixels = new globalThis[name](
        new SharedArrayBuffer(grid.width * grid.height * globalThis[name].BYTES_PER_ELEMENT),
      );
      let value = palette[0];
      for (let i = 0; i < pixels.length; i++) {
        if (random.chance(0.4)) value = random.pick(palette);
        pixels[i] = value;
      }
      for (const skip of [[], [0], [palette[0], 255, -9999, 1e30, Number.NaN, 0.1, -0.5, Infinity]]) {
        const { answers, partial, open } = countBoth(burned, grid, pixels, skip);
        assert.ok(partial.field.length > 0 && open.field.length === 0);
        assert.ok(answers.pixels.some((n) => n > 0) || palette.every((code) => skip.includes(code)));
        for (const code of partial.code) assert.ok(!skip.includes(code) && !Number.isNaN(code));
        answers.pixels.forEach((n, row) => {
          assert.ok(n === 0 || !skip.includes(answers.code[row]));
          assert.ok(answers.secondPixels[row] === 0 || !skip.includes(answers.second[row]));
        });
      }
    }
  }
});

test("a window cut out of the raster counts what lies in it", () => {
  const random = new Random(8);
  const grid = { ...GRIDS[1], width: 2300, height: 600 };
  const geometries = Array.from({ length: 200 }, () =>
    writeWkb(onGrid(randomPolygon(random, somewhere(random, grid)), grid)),
  );
  const burned = burnBoth(geometries, grid);
  const { words, layout } = segmentsOf(burned, grid.width);
  const whole = Uint8Array.from({ length: grid.width * grid.height }, () => random.integer(0, 4));
  for (let i = 0; i < 10; i++) {
    const [col, row] = [random.integer(0, 2200), random.integer(0, 560)];
    const [width, height] = [random.integer(1, grid.width - col), random.integer(1, grid.height - row)];
    const pixels = new Uint8Array(width * height);
    for (let r = 0; r < height; r++) {
      const begin = (row + r) * grid.width + col;
      pixels.set(whole.subarray(begin, begin + width), r * width);
    }
    const shifted = layout.map((v, k) => (k % 7 === 5 ? v - row : k % 7 === 6 ? v - col : v));
    const skip = Float64Array.of(0);
    const { value } = both((kernel) => counted(kernel, pixels, width, words, shifted, skip, true, geometries.length));
    const { covered } = value.answers;
    for (const [field, all] of pixelsOf(burned, grid.width)) {
      const within = all.filter((at) => {
        const [c, r] = [(at % grid.width) - col, Math.floor(at / grid.width) - row];
        return c >= 0 && c < width && r >= 0 && r < height;
      });
      assert.equal(covered[field], within.length, `field ${field}`);
    }
    // Without clipping it is a mistake.
    const { error } = both((kernel) => kernel.count(pixels, width, words, shifted, skip, false, null));
    assert.match(error, /^TypeError: words: runs lie outside the window/);
  }
});

test("a tie goes to the lowest class, the runner-up's too", () => {
  const grid = { a: 1, c: 0, e: -1, f: 0, width: 8, height: 1 };
  const row = [
    [0, 0],
    [8, 0],
    [8, 1],
    [0, 1],
    [0, 0],
  ];
  const burned = burnBoth([writeWkb(onGrid([row], grid))], grid);
  const cases = [
    { pixels: [9, 9, 5, 5, 7, 7, 1, 0], expected: [5, 2, 7, 7, 2] },
    { pixels: [3, 3, 3, 3, 8, 8, 4, 4], expected: [3, 4, 8, 4, 2] },
    { pixels: [0, 0, 0, 0, 0, 0, 0, 6], expected: [6, 1, 1, 0, 0] },
    { pixels: [0, 0, 0, 0, 0, 0, 0, 0], expected: [0, 0, 0, 0, 0] },
  ];
  for (const { pixels, expected } of cases) {
    for (const type of [Int16Array, Uint8Array]) {
      const { answers } = countBoth(burned, grid, type.from(pixels), [0]);
      const { code, pixels: most, valid, second, secondPixels } = answers;
      assert.deepEqual(
        [code, most, valid, second, secondPixels].map(([v]) => v),
        expected,
      );
    }
  }
});

function texts(rows, text = (i) => `"field_id":${i},"crop":"Größe"`) {
  const pieces = Array.from({ length: rows }, (_, i) => Buffer.from(text(i)));
  const offsets = new Int32Array(rows + 1);
  pieces.forEach((piece, i) => {
    offsets[i + 1] = offsets[i] + piece.length;
  });
  return { values: new Uint8Array(Buffer.concat(pieces)), offsets };
}

test("GeoJSON is written alike, parses, and holds every readable geometry", () => {
  const random = new Random(6);
  const geometries = Array.from({ length: 3000 }, () => {
    const grid = {
      a: random.pick([1e-7, 0.0003, 0.01]),
      c: random.between(-180, 180),
      e: -0.0003,
      f: random.between(-85, 85),
    };
    return random.chance(0.02) ? null : writeWkb(onGrid(randomPolygon(random, [0, 0, random.pick([1, 10, 60])]), grid));
  });
  for (const decimals of [0, 3, 6, 9]) {
    const { value } = both((kernel) =>
      kernel.geojson(wkbColumnOf(geometries, 3), 4e15, texts(geometries.length), decimals),
    );
    const features = Buffer.from(value.text)
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const ids = geometries.flatMap((wkb, i) => (wkb === null ? [] : [i]));
    assert.equal(features.length, 2 * ids.length);
    ids.forEach((row, k) => {
      const [polygon, point] = [features[2 * k], features[2 * k + 1]];
      for (const feature of [polygon, point]) {
        assert.equal(feature.id, 4e15 + row);
        assert.deepEqual(feature.properties, { field_id: row, crop: "Größe" });
      }
      assert.equal(polygon.tippecanoe.layer, "fields");
      assert.equal(point.tippecanoe.layer, "centroids");
      assert.equal(point.geometry.type, "Point");
      const parts = polygon.geometry.type === "Polygon" ? [polygon.geometry.coordinates] : polygon.geometry.coordinates;
      for (const ring of parts.flat()) assert.deepEqual(ring[0], ring.at(-1));
    });
  }
});

test("the point of a field lies inside it, holes and bays or not", () => {
  const random = new Random(7);
  const place = (ring) => onGrid(ring, { a: 0.0003, c: -98, e: -0.0003, f: 38 });
  const geometries = Array.from({ length: 2000 }, () => {
    const outer = randomShape(random, "blob", [0, 0, 40]);
    // A hole about the middle, where the centroid is.
    return place([outer, ...(random.chance(0.5) ? [outer.map(([c, r]) => [c * 0.7, r * 0.7])] : [])]);
  });
  const column = wkbColumnOf(geometries.map((geometry) => writeWkb(geometry)));
  const { value } = both((kernel) => kernel.geojson(column, 0, texts(geometries.length), 9));
  const lines = Buffer.from(value.text).toString().trimEnd().split("\n");
  geometries.forEach((rings, i) => {
    const [x, y] = JSON.parse(lines[2 * i + 1]).geometry.coordinates;
    const around = rings.map((ring) => windings(ring, x, y) !== 0);
    assert.deepEqual(around, [true, false].slice(0, rings.length), `row ${i}: ${x} ${y}`);
  });
});

/** How often a ring winds around a point: by angles, not by crossings as the kernel has it. */
function windings(ring, x, y) {
  let turned = 0;
  for (let i = 1; i < ring.length; i++) {
    const [a, b] = [ring[i - 1], ring[i]].map(([u, v]) => Math.atan2(v - y, u - x));
    const turn = b - a;
    turned += turn > Math.PI ? turn - 2 * Math.PI : turn < -Math.PI ? turn + 2 * Math.PI : turn;
  }
  return Math.round(turned / (2 * Math.PI));
}

test("GeoJSON of known shapes", () => {
  const clockwise = rectangle(0, 0, 2, 2).reverse();
  const hole = rectangle(0.5, 0.5, 1.5, 1.5);
  const bay = [
    [0, 0],
    [9, 0],
    [9, 9],
    [8, 9],
    [8, 1],
    [1, 1],
    [1, 9],
    [0, 9],
    [0, 0],
  ];
  const apart = rectangle(10.5, 0.5000001, 12.4, 2.4);
  const geometries = [[clockwise, hole], [[clockwise], [apart]], [bay]].map((geometry) => writeWkb(geometry));
  const numbers = texts(3, (i) => `"n":${i}`);
  const { value } = both((kernel) => kernel.geojson(wkbColumnOf(geometries), 5, numbers, 6));
  const lines = Buffer.from(value.text).toString().split("\n");
  const head = (layer) => `{"type":"Feature","id":5,"tippecanoe":{"layer":"${layer}"},"properties":{"n":0},"geometry":`;
  const turned = "[[0,0],[2,0],[2,2],[0,2],[0,0]]";
  const inner = "[[0.5,0.5],[0.5,1.5],[1.5,1.5],[1.5,0.5],[0.5,0.5]]";
  assert.equal(lines[0], `${head("fields")}{"type":"Polygon","coordinates":[${turned},${inner}]}}`);
  // A centroid that lies in a hole, between parts or in a bay is not the point.
  assert.equal(lines[1], `${head("centroids")}{"type":"Point","coordinates":[1,0.246]}}`);
  assert.ok(lines[2].includes(`{"type":"MultiPolygon","coordinates":[[${turned}],[[[10.5,0.5],[12.4,0.5],[12.4,2.4],`));
  assert.deepEqual(JSON.parse(lines[3]).geometry.coordinates, [1, 0.974]);
  assert.deepEqual(JSON.parse(lines[5]).geometry.coordinates, [0.5, 4.383]);
  assert.equal(lines.length, 7);
});

test("coordinates that are not degrees are no GeoJSON", () => {
  const meters = wkbColumnOf([writeWkb([rectangle(0, 0, 1, 1)]), writeWkb([rectangle(-98000, 0, -97000, 1)])]);
  const { value } = both((kernel) => kernel.geojson(meters, 0, texts(2), 6));
  assert.deepEqual(
    [...value.status].map((status) => FIELD_STATUS[status]),
    ["ok", "coordinates not finite"],
  );
});

test("many pixels of many classes in one field, to the last of 256", () => {
  const random = new Random(9);
  for (const [width, height, classes] of [
    [64, 1, 3],
    [65, 1, 65],
    [64, 64, 2],
    [64, 64, 256],
    [65, 64, 9],
    [300, 300, 256],
  ]) {
    const grid = { a: 1, c: 0, e: -1, f: 0, width, height };
    const burned = burnBoth([writeWkb(onGrid([rectangle(0, 0, width, height)], grid))], grid);
    for (let i = 0; i < 20; i++) {
      const pixels = Uint8Array.from({ length: width * height }, () => random.integer(0, random.integer(1, classes)));
      const { answers } = countBoth(burned, grid, pixels, i % 2 === 0 ? [0] : []);
      assert.equal(answers.covered[0], pixels.length);
    }
  }
});

const LIMITS = {
  Int8Array: [-128, 127],
  Uint8Array: [0, 255],
  Int16Array: [-32768, 32767],
  Uint16Array: [0, 65535],
  Int32Array: [-(2 ** 31), 2 ** 31 - 1],
  Uint32Array: [0, 2 ** 32 - 1],
};

test("ids of every type are encoded alike: rising, random, repeated, extreme, none", () => {
  const random = new Random(10);
  for (const rows of [0, 1, 2, 32, 33, 129, 1000]) {
    const valid = Uint8Array.from({ length: rows }, () => (random.chance(0.8) ? 1 : 0));
    for (const [name, limits] of Object.entries(LIMITS)) {
      const type = globalThis[name];
      const draws = [(i) => i, () => random.pick(limits), () => random.integer(...limits), () => 7];
      for (const draw of draws) {
        const values = type.from({ length: rows }, (_, i) => draw(i));
        const { value } = both((kernel) => kernel.encodeIds({ values }));
        both((kernel) => kernel.encodeIds({ values, valid }));
        assert.equal(value.nulls, 0);
      }
    }
    const extremes = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)];
    for (const draw of [(i) => BigInt(i) * 10n ** 15n, () => random.pick(extremes)]) {
      const values = BigInt64Array.from({ length: rows }, (_, i) => draw(i));
      both((kernel) => kernel.encodeIds({ values, valid }));
      both((kernel) => kernel.encodeIds({ values: new BigUint64Array(values.buffer) }));
    }
    for (const text of [(i) => `2017240${1000 + i}`, () => "x".repeat(random.integer(0, 40)), () => "Größe"]) {
      const pieces = Array.from({ length: rows }, (_, i) => (valid[i] ? Buffer.from(text(i)) : Buffer.alloc(0)));
      const lengths = Uint32Array.from(pieces, (piece) => piece.length);
      both((kernel) => kernel.encodeIds({ values: new Uint8Array(Buffer.concat(pieces)), lengths, valid }));
    }
  }
});

test("rows of the table are encoded alike: every type, none answered, all, some; what does not fit is named", () => {
  const random = new Random(11);
  const words = {
    rules: FIELD_STATUS.map((_, status) => (status === 9 ? "touched" : "centre")),
    reasons: [...FIELD_STATUS, "only background or nodata"],
    hasPixels: Uint8Array.from(FIELD_STATUS, (_, status) => (status === 0 || status === 9 ? 1 : 0)),
    outside: 7,
  };
  const numbers = TABLE_SOURCES.slice(0, 6).flatMap((_, source) =>
    TABLE_TYPES.slice(0, 10).map((__, type) => [source, type]),
  );
  const texts = [6, 7].map((source) => [source, TABLE_TYPES.indexOf("text")]);
  let misfits = 0;
  for (const [name, draw] of Object.entries(TYPES)) {
    for (const rows of [0, 1, 8, 700]) {
      for (const answered of [0, 0.5, 1]) {
        for (const Amount of [Uint32Array, Float64Array]) {
          const has = Array.from({ length: rows }, () => random.chance(answered));
          const value = draw();
          const finite = () => {
            for (;;) {
              const drawn = value(random);
              if (!Number.isNaN(drawn)) return drawn + 0;
            }
          };
          const arrays = {
            code: globalThis[name].from(has, finite),
            second: globalThis[name].from(has, finite),
            pixels: Amount.from(has, (yes) => (yes ? random.integer(1, 3000) : 0)),
            valid: Amount.from(has, () => random.integer(3000, 70_000) / (Amount === Float64Array ? 7 : 1)),
            covered: Amount.from(has, () => random.integer(0, 2)),
            secondPixels: Amount.from(has, (yes) => (yes ? random.integer(0, 4) : 0)),
            status: Uint8Array.from(has, (yes) => (yes ? random.pick([0, 9]) : random.integer(0, FIELD_STATUS.length))),
          };
          const from = random.integer(0, rows + 1);
          const encode = (columns) => (kernel) =>
            kernel.encodeRows(arrays, from, rows, Uint8Array.from(columns.flat()), words);
          const alike = (columns) => both((kernel) => flat(encode(columns)(kernel))).value;
          // One after the other they use the same memory.
          alike([[0, 9], [1, 9], [2, 9], [3, 8], [4, 9], [5, 9], ...texts]);
          for (const column of numbers) misfits += alike([column, ...texts]).misfit ? 1 : 0;
        }
      }
    }
  }
  assert.ok(misfits > 100, `${misfits} misfits`);
});

/** What encodeRows gives, null left out. */
function flat({ columns, answered, valid, reasons, misfit }) {
  return { columns: { ...columns }, answered, valid, reasons, ...(misfit && { misfit }) };
}

test("wrong arguments are the same TypeError", () => {
  const grid = GRIDS[0];
  const column = wkbColumnOf([writeWkb(onGrid([rectangle(0, 0, 9, 9)], grid))]);
  const [none, skip, answers] = [new Uint32Array(0), new Float64Array(0), answerArrays(2, Uint8Array)];
  const one = Uint32Array.of(1);
  const list = { field: one, parts: one, covered: one, end: one, code: Float64Array.of(7), pixels: one };
  const bad = [
    (k) => k.burn(null, grid, null, 0),
    (k) => k.burn({ ...column, values: [1] }, grid, null, 0),
    (k) => k.burn({ ...column, offsets: new Uint32Array(2) }, grid, null, 0),
    (k) => k.burn({ ...column, offsets: new Int32Array(0) }, grid, null, 0),
    (k) => k.burn({ ...column, offsets: Int32Array.of(0, 1e6) }, grid, null, 0),
    (k) => k.burn({ ...column, offsets: Int32Array.of(5, 0) }, grid, null, 0),
    (k) => k.burn({ ...column, offsets: Int32Array.of(-5, 0) }, grid, null, 0),
    (k) => k.burn({ ...column, validity: new Uint8Array(0), validityOffset: 0 }, grid, null, 0),
    (k) => k.burn({ ...column, validity: new Uint8Array(1) }, grid, null, 0),
    (k) => k.burn({ ...column, validity: new Uint8Array(1), validityOffset: 8 }, grid, null, 0),
    (k) => k.burn({ ...column, validity: null }, grid, null, 0),
    (k) => k.burn(column, undefined, null, 0),
    (k) => k.burn(column, { ...grid, a: 0 }, null, 0),
    (k) => k.burn(column, { ...grid, f: Number.NaN }, null, 0),
    (k) => k.burn(column, { ...grid, c: "0" }, null, 0),
    (k) => k.burn(column, { ...grid, width: 0 }, null, 0),
    (k) => k.burn(column, { ...grid, height: 2.5 }, null, 0),
    (k) => k.burn(column, { ...grid, height: 2 ** 31 }, null, 0),
    (k) => k.burn(column, grid, undefined, 0),
    (k) => k.burn(column, grid, { ...CONUS, n: undefined }, 0),
    (k) => k.burn(column, grid, null, -1),
    (k) => k.burn(column, grid, null, 2 ** 32),
    (k) => k.burn(column, grid, null),
    (k) => k.burn(column, grid, null, 0, "nearest"),
    (k) => k.burn(column, grid, null, 0, null),
    (k) => k.count([1, 2], 2, new Uint32Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new BigInt64Array(4), 2, new Uint32Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new DataView(new ArrayBuffer(4)), 2, new Uint32Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new Uint8Array(4), 3, new Uint32Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new Uint8Array(4), 0, new Uint32Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new Uint8Array(4), 2, new Uint8Array(0), new Uint32Array(0), new Float64Array(0)),
    (k) => k.count(new Uint8Array(4), 2, new Uint32Array(0), new Uint32Array(6), new Float64Array(0)),
    (k) => k.count(new Uint8Array(4), 2, new Uint32Array(0), new Uint32Array(7), [0]),
    (k) => k.count(new Uint8Array(4), 2, none, none, new Float64Array(0), false, undefined),
    (k) => k.count(new Uint8Array(4), 2, none, none, new Float64Array(0), false, answerArrays(1, Int16Array)),
    (k) => k.count(new Uint8Array(4), 2, none, none, skip, false, { ...answers, valid: new Float64Array(2) }),
    (k) => k.count(new Uint8Array(4), 2, none, none, skip, false, { ...answers, valid: new Uint32Array(3) }),
    (k) => k.merge(list, answers, false),
    (k) => k.merge([{ ...list, parts: none }], answers, false),
    (k) => k.merge([{ ...list, end: Uint32Array.of(2) }], answers, false),
    (k) => k.merge([{ ...list, field: Uint32Array.of(2) }], answers, false),
    (k) => k.merge([list], { ...answers, second: new Int8Array(2) }, false),
    (k) => k.merge([list], undefined, false),
    (k) => k.encodeIds({ values: new Float64Array(1) }),
    (k) => k.encodeIds({ values: [1] }),
    (k) => k.encodeIds({ values: new Int32Array(2), valid: new Uint8Array(1) }),
    (k) => k.encodeIds({ values: new Uint8Array(2), lengths: Uint32Array.of(1) }),
    (k) => k.encodeIds({ values: new Uint8Array(1), lengths: Uint32Array.of(1), valid: Uint8Array.of(0) }),
    (k) => k.geojson(column, -1, texts(1), 6),
    (k) => k.geojson(column, 2 ** 53, texts(1), 6),
    (k) => k.geojson(column, 0, texts(2), 6),
    (k) => k.geojson(column, 0, null, 6),
    (k) => k.geojson(column, 0, { ...texts(1), offsets: Int32Array.of(0, 1e6) }, 6),
    (k) => k.geojson(column, 0, texts(1), 10),
    (k) => k.geojson(column, 0, texts(1), -1),
  ];
  for (const call of bad) assert.match(both(call).error ?? `no error: ${call}`, /^TypeError: /, String(call));
  // Segments: [field offset, shape offset, run offset, entries, runs, row, col]
  const words = Uint32Array.of(0, (1 << 16) | 1, (1 << 22) | (2 << 11) | 1);
  const run =
    (layout, stride = 4, length = 8) =>
    (k) =>
      counted(
        k,
        new Uint8Array(length).fill(3),
        stride,
        words,
        Uint32Array.from(layout),
        new Float64Array(0),
        false,
        1,
      );
  assert.equal(both(run([0, 1, 2, 1, 1, 0, 0])).value.answers.pixels[0], 2);
  for (const layout of [
    [0, 1, 2, 4, 1, 0, 0], // more entries than words
    [0, 1, 2, 1, 2, 0, 0], // more runs than words
    [4294967295, 1, 2, 1, 1, 0, 0],
    [0, 1, 2, 1, 1, 1, 0], // below the window
    [0, 1, 2, 1, 1, 0, 1], // right of it
    [0, 1, 2, 1, 1, -2, 0], // above it
    [0, 1, 2, 1, 1, 0, -3], // left of it
    [0, 1, 2, 1, 1, 2147483647, 2147483647],
    [0, 1, 2, 1, 1, -2147483648, -2147483648],
    [0, 1, 2, 1, 0, 0, 0], // entries that promise more runs than there are
    [0, 1, 2, 0, 1, 0, 0], // runs without entry
  ]) {
    assert.match(both(run(layout)).error ?? `no error: ${layout}`, /^TypeError: (words|layout): /);
  }
});

test("no field, no pixel, no segment", () => {
  const burned = burnBoth([], GRIDS[0]);
  assert.equal(burned.run.length, 0);
  assert.deepEqual([...burned.extent], [Infinity, Infinity, -Infinity, -Infinity]);
  const { value } = both((kernel) =>
    counted(kernel, new Uint8Array(0), 5, new Uint32Array(0), new Uint32Array(0), new Float64Array(0), false, 0),
  );
  assert.equal(value.partial.field.length, 0);
  assert.equal(both((kernel) => kernel.geojson(wkbColumnOf([]), 0, texts(0), 6)).value.text.length, 0);
});
