import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { planProjection, pointProjection } from "../../dist/fields/projection.js";
import { Polygons, readWkb } from "../../dist/fields/wkb.js";
import { openFields } from "../../dist/index.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { readStruct, writeStruct } from "../../dist/table/thrift.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { rasterioMissing } from "../support/rasterio.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

/** Where each CRS is used; north-first, west-first, polar, in feet, compound, three-dimensional. */
const SYSTEMS = [
  ["EPSG:4267", -93, 42],
  ["EPSG:4267+5703", -93, 42],
  ["EPSG:4269", -93, 42],
  ["EPSG:4979", -93, 42],
  ["EPSG:5070", -93, 42],
  ["EPSG:26915", -93, 42],
  ["EPSG:26915+5703", -93, 42],
  ["EPSG:2264", -80, 35.5],
  ["EPSG:3035", 10, 50],
  ["EPSG:3857", 10, 50],
  ["EPSG:2180", 19, 52],
  ["EPSG:31467", 9, 50],
  ["EPSG:2193", 172, -42],
  ["EPSG:5514", 15, 50],
  ["EPSG:2046", 15, -30],
  ["EPSG:3031", 30, -75],
  ["EPSG:32661", 30, 85],
  ["EPSG:3995", 30, 75],
];

const skip = rasterioMissing();
let oracle = [];

before(() => {
  if (skip) return;
  const script = fileURLToPath(new URL("../support/crs-oracle.py", import.meta.url));
  const { stdout, status, stderr } = spawnSync("/usr/bin/python3", [script], { input: JSON.stringify(SYSTEMS) });
  assert.equal(status, 0, String(stderr));
  oracle = JSON.parse(stdout);
});

const near = (got, want, tolerance, what) => {
  for (const [i, value] of got.entries())
    assert.ok(Math.abs(value - want[i]) <= tolerance, `${what}: ${got}, not ${want}`);
};

test("x comes first in every CRS, by code, PROJJSON without an id or WKT, as GeoPandas' to_crs has it", {
  skip,
}, () => {
  for (const [i, { x, y, base, forms }] of oracle.entries()) {
    const [name, lon, lat] = SYSTEMS[i];
    for (const [form, crs] of Object.entries(forms)) {
      const ring = [
        [x, y],
        [x, y],
        [x, y],
        [x, y],
      ];
      const column = wkbColumnOf([writeWkb([ring])]);
      const plan = planProjection(crs, base);
      const polygons = new Polygons();
      assert.equal(readWkb(plan.kind === "proj" ? plan.reproject(column).values : column.values, polygons), 0);
      near([polygons.x.data[0], polygons.y.data[0]], [lon, lat], 1e-8, `${name} ${form} to degrees`);
      const back = planProjection(base, crs);
      if (back.kind !== "proj") continue;
      const degrees = wkbColumnOf([writeWkb([ring.map(() => [lon, lat])])]);
      readWkb(back.reproject(degrees).values, polygons);
      near([polygons.x.data[0], polygons.y.data[0]], [x, y], 1e-4, `${name} ${form} from degrees`);
    }
  }
});

test("single points, as the lookup has them, are x first too", { skip }, () => {
  const known = oracle[SYSTEMS.findIndex(([name]) => name === "EPSG:3035")];
  for (const crs of Object.values(known.forms)) {
    const { forward, back } = pointProjection(crs);
    near(forward([10, 50]), [known.x, known.y], 2, "forward");
    near(back([known.x, known.y]), [10, 50], 1e-4, "back");
  }
});

test("geometries that the way by PROJ takes: EWKB, Z, collections; broken ones and those without a place keep their row", () => {
  const ring = [
    [-93, 42],
    [-92, 42],
    [-92, 43],
    [-93, 42],
  ];
  const plain = writeWkb([ring]);
  const far = writeWkb([ring.map(([x, y]) => [x, y + 1000])]);
  const collection = Buffer.concat([Buffer.from([1, 7, 0, 0, 0, 2, 0, 0, 0]), plain, writeWkb([[ring]])]);
  const dialects = [writeWkb([ring], { srid: 4267 }), writeWkb([ring], { iso: true, z: true, m: true }), collection];
  const rows = [plain, null, ...dialects, far, plain.subarray(0, 20)];
  const { reproject } = planProjection("EPSG:4267", "EPSG:5070");
  const { values, offsets } = reproject(wkbColumnOf(rows));
  const polygons = new Polygons();
  const read = rows.map((_, i) => {
    const status = readWkb(values.subarray(offsets[i], offsets[i + 1]), polygons);
    return [status, polygons.partEnd.length, Math.round(polygons.x.data[0])];
  });
  const x = read[0][2];
  assert.ok(x > 2e5 && x < 3e5, `${x}`);
  assert.deepEqual(read.slice(2, 5), [
    [0, 1, x],
    [0, 1, x],
    [0, 2, x],
  ]);
  assert.deepEqual(
    [1, 5, 6].map((i) => read[i][0]),
    [3, 5, 3],
  );
});

/** Fields in Conus Albers; `geo` replaces DuckDB's metadata, `logical` is the CRS of Parquet's own type. */
async function writeFile(path, squares, { geo, logical, geography } = {}) {
  const rows = squares.map(({ ring }, i) => `(${i}, st_geomfromwkb(unhex('${writeWkb([ring]).toString("hex")}')))`);
  const version = logical === undefined ? "NONE" : "V2";
  const metadata = geo === undefined ? "" : `, kv_metadata {geo: '${JSON.stringify(geo).replaceAll("'", "''")}'}`;
  const select = logical === undefined ? "st_aswkb(g)" : "g";
  await query(
    `copy (select i as field_id, ${select} as geometry from (values ${rows.join(",")}) t(i, g))
     to '${path}' (format parquet, geoparquet_version '${version}'${metadata})`,
  );
  if (logical !== undefined) setLogicalCrs(path, logical, geography);
}

/** Change the CRS in the footer; null takes it away. */
function setLogicalCrs(path, crs, geography = false) {
  const file = readFileSync(path);
  const length = file.readUInt32LE(file.length - 8);
  const begin = file.length - 8 - length;
  const { struct } = readStruct(file.subarray(begin, file.length - 8));
  for (const element of struct.get(2).value.items) {
    const logical = element.get(10)?.value;
    const type = logical?.get(17);
    if (type === undefined) continue;
    if (crs === null) type.value.delete(1);
    else type.value.set(1, { type: 8, value: Buffer.from(crs) });
    if (geography) {
      logical.delete(17);
      logical.set(18, type);
    }
  }
  const footer = Buffer.from(writeStruct(struct));
  const end = Buffer.alloc(8, "PAR1");
  end.writeUInt32LE(footer.length);
  writeFileSync(
    path,
    Buffer.concat([file.subarray(0, begin), footer, Buffer.concat([end.subarray(0, 4), Buffer.from("PAR1")])]),
  );
}

test("Parquet's own GEOMETRY type: its CRS in every form; without one, longitude and latitude", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "f.parquet");
  const squares = littleSquares(littleRaster(join(folder, "r.tif")), 3);
  const crsOf = async (options, given) => (await openFields(path, given ? { fieldsCrs: given } : {}, options)).crs;
  for (const [logical, expected] of [
    ["EPSG:5070", "EPSG:5070"],
    ["srid:5070", "EPSG:5070"],
    [null, "OGC:CRS84"],
    ['{"type":"ProjectedCRS","name":"mine","id":{"authority":"EPSG","code":5070}}', /^\{"type":"ProjectedCRS"/],
  ]) {
    await writeFile(path, squares, { logical });
    const crs = await crsOf();
    assert.ok(crs === expected || (expected instanceof RegExp && expected.test(crs)), crs);
  }
  await writeFile(path, squares, { logical: "projjson:my_crs" });
  await assert.rejects(openFields(path, {}), /type refers to is missing from the file metadata.*expected=my_crs/);
  const warned = [];
  await writeFile(path, squares, { logical: null, geography: true });
  assert.equal(await crsOf({ warn: (text) => warned.push(text) }), "OGC:CRS84");
  assert.match(warned.join(), /edges are spherical/);
  // An entry that says nothing of the CRS does not outweigh a type that does.
  const geo = { version: "1.1.0", primary_column: "geometry", columns: { geometry: { encoding: "WKB" } } };
  await writeFile(path, squares, { logical: "EPSG:5070", geo });
  assert.equal(await crsOf(), "EPSG:5070");
});

test("--fields-crs wins over the file, with a notice where the two contradict; crs: null asks for it", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "f.parquet");
  const raster = littleRaster(join(folder, "r.tif"));
  const squares = littleSquares(raster, 20);
  const geo = (column) => ({
    version: "1.1.0",
    primary_column: "geometry",
    columns: { geometry: { encoding: "WKB", ...column } },
  });
  const zonal = async (...args) => {
    const out = join(folder, "out.parquet");
    const run = await command("zonal", ["--fields", path, "--raster", raster.path, "--out", out, ...args]);
    return {
      ...run,
      rows: run.code === 0 ? await query(`select crop_code as code, crop_pixels as n from '${out}'`) : [],
    };
  };
  const expected = squares.map(({ majority, pixels }) => ({ code: majority, n: pixels }));
  await writeFile(path, squares, { geo: geo({}) });
  const told = await zonal("--fields-crs", "EPSG:5070");
  assert.deepEqual(told.rows, expected);
  assert.match(told.stderr, /WARN --fields-crs EPSG:5070 is used instead of the file's own CRS, OGC:CRS84/);
  await writeFile(path, squares, { geo: geo({ crs: null }) });
  const unknown = await zonal();
  assert.deepEqual([unknown.code, /does not declare a CRS/.test(unknown.stderr)], [4, true], unknown.stderr);
  const given = await zonal("--fields-crs", "EPSG:5070");
  assert.deepEqual([given.rows, /WARN/.test(given.stderr)], [expected, false], given.stderr);
  for (const options of [{ geo: geo({ crs: "Nobody's own" }) }, { logical: "projjson:nowhere" }]) {
    await writeFile(path, squares, options);
    assert.equal((await zonal()).code, 4);
    const wins = await zonal("--fields-crs", "EPSG:5070");
    assert.deepEqual(wins.rows, expected, wins.stderr);
    assert.match(wins.stderr, /WARN --fields-crs is used; the file's own CRS cannot be: /);
    const wrong = await zonal("--fields-crs", "Nobody's own");
    assert.deepEqual([wrong.code, /Unknown CRS/.test(wrong.stderr)], [4, true], wrong.stderr);
  }
});

/** A geographic CRS whose angles are in `unit`, and longitudes positive to `side`. */
function geographic(unit, side) {
  const datum = 'DATUM["North_American_Datum_1983",SPHEROID["GRS 1980",6378137,298.257222101]]';
  const axes = `AXIS["Longitude",${side}],AXIS["Latitude",NORTH]`;
  return `GEOGCS["own",${datum},PRIMEM["Greenwich",0],${unit},${axes}]`;
}

const DEGREES = 'UNIT["degree",0.0174532925199433]';
const GRADS = 'UNIT["grad",0.015707963267949]';

/** Fields' and raster's CRS, of other datums or realizations, and a place: in Hawaii PROJ has another way than in Kansas. */
const DATUMS = [
  ["EPSG:4326", "EPSG:5070", -97.7, 38.2],
  ["EPSG:4326", "ESRI:102007", -156.4, 20.8],
  ["EPSG:4326", "EPSG:3338", -149.1, 61.6],
  ["EPSG:4152", "EPSG:5070", -97.7, 38.2],
  ["EPSG:4955", "EPSG:4326", -97.7, 38.2],
  ["EPSG:7912", "EPSG:4326", -97.7, 38.2],
  ["EPSG:4326", "EPSG:4269", -156.4, 20.8],
  ["EPSG:6318", "EPSG:5070", -97.7, 38.2],
  [geographic(DEGREES, "EAST"), "EPSG:5070", -97.7, 38.2],
  [geographic(DEGREES, "WEST"), "EPSG:5070", 97.7, 38.2],
  [geographic(GRADS, "EAST"), "EPSG:5070", -97.7 / 0.9, 38.2 / 0.9],
  [geographic(GRADS, "EAST"), "EPSG:4269", -97.7 / 0.9, 38.2 / 0.9],
  [geographic(DEGREES, "WEST"), "EPSG:4269", 97.7, 38.2],
];

test("what the kernel projects by itself, and what counts as the same, is within a millimeter of pyproj", {
  skip,
}, () => {
  const script = `
import json, sys, pyproj
print(json.dumps([pyproj.Transformer.from_crs(a, b, always_xy=True).transform(x, y)[:2] for a, b, x, y in json.load(sys.stdin)]))`;
  const { stdout, status, stderr } = spawnSync("/usr/bin/python3", ["-c", script], { input: JSON.stringify(DATUMS) });
  assert.equal(status, 0, String(stderr));
  for (const [i, expected] of JSON.parse(stdout).entries()) {
    const [from, to, lon, lat] = DATUMS[i];
    const column = wkbColumnOf([writeWkb([Array.from({ length: 4 }, () => [lon, lat])])]);
    const plan = planProjection(from, to);
    const got = new Polygons();
    if (plan.kind === "albers") {
      // On a grid of unit pixels the extent is x and -y.
      const grid = { a: 1, c: 0, e: -1, f: 0, width: 1, height: 1 };
      const [x, y] = nativeKernel().burn(column, grid, plan.constants, 0).extent;
      near([x, -y], expected, 1e-3, `${from} to ${to}`);
      continue;
    }
    assert.equal(readWkb(plan.kind === "proj" ? plan.reproject(column).values : column.values, got), 0);
    const millimeter = to === "EPSG:4326" || to === "EPSG:4269" ? 1e-8 : 1e-3;
    near([got.x.data[0], got.y.data[0]], expected, millimeter, `${from} to ${to}`);
  }
});
