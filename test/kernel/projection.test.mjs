// The kernels' Albers projection against PROJ (through GDAL), all over CONUS and far beyond.
import assert from "node:assert/strict";
import { test } from "node:test";
import gdal from "gdal-async";
import { planProjection } from "../../dist/fields/projection.js";
import { albersConstants } from "../../dist/kernel/albers.js";
import { FIELD_STATUS } from "../../dist/kernel/geometry.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { wkbColumnOf, writeWkb } from "../support/wkb.mjs";

/** On this grid a pixel's column is x and its row is -y, to the last bit. */
const UNIT_GRID = { a: 1, c: 0, e: -1, f: 0, width: 1, height: 1 };
const TOLERANCE_M = 1e-7;

/** Where a kernel puts a point: the extent of a polygon of nothing but that point. */
function project(kernel, constants, lng, lat) {
  const wkb = writeWkb([Array(4).fill([lng, lat])]);
  const [x, y] = kernel.burn(wkbColumnOf([wkb]), UNIT_GRID, constants, 0).extent;
  return { x, y: -y };
}

function proj(from, to) {
  // OSR_DEFAULT_AXIS_MAPPING_STRATEGY, which the program sets: x first, whatever the authority says.
  const [source, target] = [from, to].map((crs) => gdal.SpatialReference.fromUserInput(crs));
  const transformation = new gdal.CoordinateTransformation(source, target);
  return (lng, lat) => transformation.transformPoint(lng, lat);
}

/** Greatest distance from PROJ's answer over a grid of points, meters; every `step` degrees. */
function farthest(kernel, constants, reference, [west, south, east, north], step) {
  let most = 0;
  for (let lat = south; lat <= north; lat += step) {
    for (let lng = west; lng <= east; lng += step) {
      const [ours, theirs] = [project(kernel, constants, lng, lat), reference(lng, lat)];
      most = Math.max(most, Math.hypot(ours.x - theirs.x, ours.y - theirs.y));
    }
  }
  return most;
}

const CONUS = [-125, 24, -66, 50];
const CASES = [
  { from: "EPSG:4326", to: "EPSG:5070", bounds: CONUS, step: 0.1237 },
  { from: "OGC:CRS84", to: "EPSG:5070", bounds: CONUS, step: 0.517 },
  { from: "EPSG:4269", to: "EPSG:5070", bounds: CONUS, step: 0.517 },
  // Most of the globe, and over the antimeridian.
  { from: "EPSG:4326", to: "EPSG:5070", bounds: [-179.9, -60, 60, 89], step: 1.37 },
  { from: "EPSG:4326", to: "EPSG:5070", bounds: [-275.5, 0, -181, 80], step: 1.37 },
  { from: "EPSG:4326", to: "ESRI:102003", bounds: CONUS, step: 0.517 },
  { from: "EPSG:4269", to: "EPSG:3338", bounds: [-180, 50, -129, 72], step: 0.417 },
  { from: "EPSG:4269", to: "EPSG:3005", bounds: [-140, 48, -113, 60], step: 0.417 },
];

for (const { from, to, bounds, step } of CASES) {
  test(`${from} to ${to} over ${bounds.join(" ")}`, async (t) => {
    const projection = planProjection(from, to);
    assert.equal(projection.kind, "albers");
    const most = farthest(nativeKernel(), projection.constants, proj(from, to), bounds, step);
    t.diagnostic(`farthest from PROJ: ${most.toExponential(2)} m`);
    assert.ok(most <= TOLERANCE_M, `${most} m`);
  });
}

test("another datum is not taken for WGS 84", () => {
  // NAD27, and NAD83(2011): PROJ decides by which way to go there.
  for (const to of ["EPSG:5069", "EPSG:6350"]) assert.equal(planProjection("EPSG:4269", to).kind, "proj", to);
  assert.equal(planProjection("EPSG:4267", "EPSG:5070").kind, "proj");
});

test("what the kernel does not project, PROJ does: x stays first whatever the authority's axes", () => {
  const cases = [
    // The origin of ETRS89-LAEA by its definition; its axes are northing, easting.
    { from: "EPSG:4326", to: "EPSG:3035", at: [10, 52], expected: [4321000, 3210000] },
    { from: "OGC:CRS84", to: "EPSG:3035", at: [10, 52], expected: [4321000, 3210000] },
    { from: "EPSG:3035", to: "EPSG:4326", at: [4321000, 3210000], expected: [10, 52] },
    { from: "EPSG:3035", to: "OGC:CRS84", at: [4321000, 3210000], expected: [10, 52] },
    // The origin of UTM zone 14 and a false easting; web Mercator's equator.
    { from: "EPSG:4269", to: "EPSG:26914", at: [-99, 0], expected: [500000, 0] },
    { from: "EPSG:4326", to: "EPSG:3857", at: [180, 0], expected: [Math.PI * 6378137, 0] },
  ];
  for (const { from, to, at, expected } of cases) {
    const projection = planProjection(from, to);
    assert.equal(projection.kind, "proj", `${from} to ${to}`);
    const column = wkbColumnOf([writeWkb([Array(4).fill(at)]), null], 3);
    const projected = projection.reproject(column);
    const view = new DataView(projected.values.buffer, projected.values.byteOffset + projected.offsets[0]);
    // The first vertex of a multipolygon.
    const [x, y] = [view.getFloat64(22, true), view.getFloat64(30, true)];
    assert.ok(Math.hypot(x - expected[0], y - expected[1]) < 1e-6, `${from} to ${to}: ${x} ${y}`);
    assert.equal(projected.offsets[2], projected.offsets[1]);
  }
});

test("PROJ leaves broken geometries to the kernel, and what it cannot project is not finite", async () => {
  const { reproject } = planProjection("EPSG:4326", "EPSG:3857");
  const square = [
    [-98, 38],
    [-97, 38],
    [-97, 39],
    [-98, 38],
  ];
  const beyond = square.map(([lng]) => [lng, 90.5]);
  const wkbs = [
    Buffer.from([1, 3, 0]),
    Buffer.alloc(0),
    writeWkb([square.slice(0, 3)]),
    writeWkb([beyond]),
    writeWkb([square]),
  ];
  const grid = { a: 1000, c: -12e6, e: -1000, f: 6e6, width: 3000, height: 3000 };
  const { status } = nativeKernel().burn(reproject(wkbColumnOf(wkbs)), grid, null, 0);
  assert.deepEqual(
    [...status].map((code) => FIELD_STATUS[code]),
    ["truncated WKB", "truncated WKB", "ring of fewer than four vertices", "coordinates not finite", "ok"],
  );
});

test("a cone of the south is the same formula", async (t) => {
  const australia = { lat0: 0, lon0: 132, lat1: -18, lat2: -36, x0: 0, y0: 0 };
  const constants = albersConstants({ ...australia, semiMajor: 6378137, inverseFlattening: 298.257222101 });
  const reference = proj("EPSG:4283", "EPSG:3577");
  const most = farthest(nativeKernel(), constants, reference, [112, -44, 154, -9], 0.417);
  t.diagnostic(`farthest from PROJ: ${most.toExponential(2)} m`);
  assert.ok(most <= TOLERANCE_M, `${most} m`);
});

test("a sphere, and one standard parallel", async (t) => {
  for (const [lat1, lat2] of [
    [29.5, 45.5],
    [40, 40],
  ]) {
    const to = `+proj=aea +lat_0=23 +lon_0=-96 +lat_1=${lat1} +lat_2=${lat2} +x_0=500 +y_0=-700 +R=6370997 +units=m`;
    const parameters = { lat0: 23, lon0: -96, lat1, lat2, x0: 500, y0: -700, semiMajor: 6370997, inverseFlattening: 0 };
    const reference = proj("+proj=longlat +R=6370997", to);
    const most = farthest(nativeKernel(), albersConstants(parameters), reference, CONUS, 0.517);
    t.diagnostic(`parallels ${lat1}, ${lat2}: farthest from PROJ: ${most.toExponential(2)} m`);
    assert.ok(most <= TOLERANCE_M, `${most} m`);
  }
});

test("outside of the globe is told, not projected", async () => {
  const { constants } = planProjection("EPSG:4326", "EPSG:5070");
  for (const [lng, lat] of [
    [-98, 90.001],
    [-98, -91],
    [541, 40],
    [-98000, 1.8e6],
  ]) {
    assert.ok(!Number.isFinite(project(nativeKernel(), constants, lng, lat).x), `${lng} ${lat}`);
  }
});
