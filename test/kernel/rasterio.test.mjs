// The pixel rule against rasterio itself, live: random and adversarial polygons, not one pixel may differ.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIELD_STATUS } from "../../dist/kernel/geometry.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { CHUNK_COLS, CHUNK_ROWS } from "../../dist/kernel/zonal.js";
import { pixelsOf } from "../support/burned.mjs";
import { Random } from "../support/random.mjs";
import { onGrid, randomPolygon } from "../support/random-polygons.mjs";
import { rasterioMissing, rasterioPixels } from "../support/rasterio.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const skip = rasterioMissing();
const kernel = nativeKernel();

const GRIDS = {
  "30 m on whole meters": { a: 30, c: -106095, e: -30, f: 1822605, width: 2100, height: 530 },
  // barton_county_ks_2010.tif's pixels, over a chunk's edge.
  "degrees, pixels not square": {
    a: 0.0003259146556798141,
    c: -99.033399,
    e: -0.00032577893950709233,
    f: 38.697004,
    width: 2100,
    height: 530,
  },
  "origin off the metre": { a: 30, c: -106081.3, e: -30, f: 1822601.7, width: 300, height: 200 },
};
const POLYGONS = 5000;

for (const [name, grid] of Object.entries(GRIDS)) {
  test(`${2 * POLYGONS} polygons: ${name}`, { skip }, async () => {
    await Promise.all([11, 12].map((seed) => compare(grid, seed)));
  });
}

async function compare(grid, seed) {
  const random = new Random(seed);
  const geometries = Array.from({ length: POLYGONS }, () =>
    onGrid(randomPolygon(random, somewhere(random, grid)), grid),
  );
  const wkbs = geometries.map((geometry) => writeWkb(geometry));
  const expected = await rasterioPixels(wkbs, grid);
  assert.equal(expected.length, POLYGONS);
  const burned = kernel.burn(wkbColumnOf(wkbs), grid, null, 0);
  const pixels = pixelsOf(burned, grid.width);
  const wrong = [];
  const seen = { ok: 0, "outside the raster": 0, "no pixel centre inside": 0 };
  expected.forEach((theirs, i) => {
    const ours = pixels.get(i) ?? [];
    const status = FIELD_STATUS[burned.status[i]];
    seen[status]++;
    const isSame = theirs === null ? status === "outside the raster" : Buffer.compare(bytes(ours), bytes(theirs)) === 0;
    if (!isSame)
      wrong.push({ i, status, ours, theirs: theirs && [...theirs], geometry: JSON.stringify(geometries[i]) });
  });
  assert.deepEqual(wrong.slice(0, 3), [], `${wrong.length} of ${POLYGONS} polygons differ (seed ${seed})`);
  // The generator is worth something only while it makes all of these.
  for (const [status, count] of Object.entries(seen)) assert.ok(count > 20, `${status}: ${count}`);
  assert.ok(burned.shape.some((shape) => (shape & 0xffff) > 1) || grid.width < CHUNK_COLS, "some lie over chunk edges");
}

function bytes(numbers) {
  return Buffer.from(Uint32Array.from(numbers).buffer);
}

/** In the raster, over its edges, over chunk edges, about as small as the fields of a pixel or a hundred. */
function somewhere(random, { width, height }) {
  const col = random.pick([random.between(0, width), CHUNK_COLS, 0, width]);
  const row = random.pick([random.between(0, height), CHUNK_ROWS, 0, height]);
  return [col + random.between(-3, 3), row + random.between(-3, 3), random.pick([0.7, 2, 5, 10, 25])];
}
