import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { computeAreas, findAreas, joinAreas } from "../../dist/fields/field-areas.js";
import { openFields } from "../../dist/index.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { openPool } from "../../dist/parallel/pool.js";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { writeByRust } from "../support/parquet-variants.mjs";
import { Random } from "../support/random.mjs";
import { rasterioMissing } from "../support/rasterio.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

const skip = rasterioMissing();

/** Square meters on an ellipsoid by GeographicLib, by way of pyproj; of rings in a CRS. */
function geographicLib(rings, { ellipsoid = "WGS84", crs = "EPSG:4326", degrees = "EPSG:4326" } = {}) {
  const script = `
import json, sys, pyproj
geod = pyproj.Geod(ellps="${ellipsoid}")
way = pyproj.Transformer.from_crs("${crs}", "${degrees}", always_xy=True)
print(json.dumps([abs(geod.polygon_area_perimeter(*way.transform(*zip(*ring)))[0]) for ring in json.load(sys.stdin)]))`;
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", ["-c", script], { input: JSON.stringify(rings) });
  assert.equal(status, 0, String(stderr));
  return JSON.parse(stdout);
}

/** Polygons of 4 to 12 corners, `size` degrees across, anywhere between 80 degrees south and north. */
function someRings(count, size) {
  const random = new Random(3);
  return Array.from({ length: count }, () => {
    const [lon, lat] = [random.between(-180, 180), random.between(-80, 80)];
    const corners = 4 + Math.floor(random.next() * 9);
    const ring = Array.from({ length: corners }, (_, k) => {
      const [angle, r] = [(2 * Math.PI * k) / corners, (size / 2) * random.between(0.5, 1.5)];
      return [lon + (r * Math.cos(angle)) / Math.cos((lat * Math.PI) / 180), lat + r * Math.sin(angle)];
    });
    return [...ring, ring[0]];
  });
}

const WGS84 = [6378137, 298.257223563];
const areas = (wkbs) => nativeKernel().areas(wkbColumnOf(wkbs), ...WGS84);

test("areas are GeographicLib's to 1e-6, from fields of 30 m to such of 100 km", { skip }, () => {
  for (const size of [0.0003, 0.003, 0.03, 0.1, 0.3, 1]) {
    const rings = someRings(300, size);
    const got = areas(rings.map((ring) => writeWkb([ring])));
    for (const [i, expected] of geographicLib(rings).entries()) {
      assert.ok(Math.abs(got[i] / expected - 1) < 1e-6, `${size}: ${got[i]}, not ${expected}`);
    }
  }
});

test("holes are taken off, parts added up, either order of corners, over the antimeridian; NaN for what is no polygon", () => {
  const box = (x, y, side) => [
    [x, y],
    [x + side, y],
    [x + side, y + side],
    [x, y + side],
    [x, y],
  ];
  const [outer, hole, other] = [box(10, 50, 0.01), box(10.002, 50.002, 0.004), box(10.02, 50, 0.01)];
  const [a, h, o] = areas([outer, hole, other].map((ring) => writeWkb([ring])));
  const near = (got, expected) => assert.ok(Math.abs(got / expected - 1) < 1e-9, `${got}, not ${expected}`);
  const [withHole, parts, reversed] = areas([
    writeWkb([outer, hole]),
    writeWkb([[outer, hole], [other]]),
    writeWkb([outer.toReversed(), hole]),
  ]);
  near(withHole, a - h);
  near(parts, a - h + o);
  near(reversed, a - h);
  const over = box(179.995, 50, 0.01).map(([x, y]) => [x > 180 ? x - 360 : x, y]);
  near(areas([writeWkb([over])])[0], a);
  const far = writeWkb([box(10, 95, 1)]);
  assert.deepEqual([...areas([null, Buffer.alloc(0), writeWkb([outer]).subarray(0, 30), far])].map(Number.isNaN), [
    true,
    true,
    true,
    true,
  ]);
});

test("a file's areas: computed in any CRS, or by a column in its unit", { skip }, async (t) => {
  const folder = tempFolder(t);
  const pool = openPool(1);
  t.after(() => pool.close());
  const ctx = testContext();
  const random = new Random(9);
  const rings = Array.from({ length: 50 }, () => {
    const [x, y, side] = [random.between(-1e5, 1e5), random.between(1.8e6, 2e6), random.between(50, 1500)];
    const ring = [
      [x, y],
      [x + side, y + 7],
      [x + side - 9, y + side],
      [x, y + side / 2],
    ];
    return [...ring, ring[0]];
  });
  const path = join(folder, "f.parquet");
  writeByRust(
    path,
    rings.map((ring, i) => ({ id: BigInt(i), wkb: i === 4 ? null : writeWkb([ring]) })),
  );
  const fields = await openFields(path, { fieldsCrs: "EPSG:5070" });
  const computed = await computeAreas(fields, 16_384, pool, ctx);
  const expected = geographicLib(rings, { ellipsoid: "GRS80", crs: "EPSG:5070", degrees: "EPSG:4269" });
  for (const [i, area] of expected.entries()) {
    if (i === 4) assert.ok(Number.isNaN(computed.values[i]));
    else
      assert.ok(Math.abs((computed.values[i] * 10_000) / area - 1) < 1e-6, `${computed.values[i]}, not ${area / 1e4}`);
  }

  const layout = { fieldsRaw: join(folder, "own.parquet"), fieldsClean: join(folder, "clean.parquet") };
  const write = (name, columns) =>
    query(`copy (select ${columns} from '${path}') to '${join(folder, name)}' (format parquet)`);
  const found = async (options = {}) => {
    const table = await findAreas(layout, options);
    if (table === undefined) return undefined;
    const own = await openFields(layout.fieldsRaw, { fieldsCrs: "EPSG:5070" });
    return [table.column, (await joinAreas(own, table, { batch: 16_384 }, ctx)).values[2]];
  };
  await write("own.parquet", "field_id, geometry, field_id as n");
  assert.equal(await found(), undefined);
  assert.deepEqual(await found({ areaColumn: "n", areaUnit: "acres" }), ["n", Math.fround(2 * 0.40468564224)]);
  await assert.rejects(found({ areaColumn: "nope" }), /Column of the area is missing.*own\.parquet.*expected=nope/);
  await write("own.parquet", 'field_id, geometry, field_id * 20000.0 as "metrics:area"');
  assert.deepEqual(await found(), ["metrics:area", 4]);
  await write("own.parquet", "field_id, geometry, field_id * 100.0 as CsbAcres, field_id as area_ha");
  assert.deepEqual(await found(), ["area_ha", 2]);
  await write("own.parquet", "field_id, geometry, field_id * 100.0 as CsbAcres");
  assert.deepEqual(await found(), ["CsbAcres", Math.fround(200 * 0.40468564224)]);
  assert.deepEqual(await found({ areaUnit: "ha" }), ["CsbAcres", 200]);
  await write("clean.parquet", "field_id, 7.5 + field_id as area_ha");
  assert.deepEqual(await found(), ["area_ha", 9.5]);
  assert.deepEqual(await found({ areaColumn: "CsbAcres" }), ["CsbAcres", Math.fround(200 * 0.40468564224)]);
  await assert.rejects(
    found({ fieldsClean: "x", areaColumn: "nope" }),
    /Column of the area is missing.*clean\.parquet/,
  );
});
