// The sample's own projection against PROJ (through GDAL), over the whole CDL.
import assert from "node:assert/strict";
import { test } from "node:test";
import gdal from "gdal-async";
import { albersToLngLat } from "../../dist/sample/albers-inverse.js";

const WEST = -2_356_095;
const EAST = 2_258_235;
const SOUTH = 276_915;
const NORTH = 3_172_605;

test("inverse Albers equals PROJ to a tenth of a micrometer everywhere in the CDL's rectangle", () => {
  // NAD83 on both sides: no datum shift may creep in. GDAL 3 gives latitude first.
  const transform = new gdal.CoordinateTransformation(
    gdal.SpatialReference.fromEPSG(5070),
    gdal.SpatialReference.fromEPSG(4269),
  );
  const out = new Float64Array(2);
  let worst = 0;
  for (let i = 0; i <= 60; i++) {
    for (let j = 0; j <= 40; j++) {
      const [x, y] = [WEST + ((EAST - WEST) * i) / 60, SOUTH + ((NORTH - SOUTH) * j) / 40];
      const expected = transform.transformPoint(x, y);
      const [lat, lng] = expected.x > 0 ? [expected.x, expected.y] : [expected.y, expected.x];
      albersToLngLat(x, y, out, 0);
      worst = Math.max(worst, Math.abs(out[0] - lng), Math.abs(out[1] - lat));
    }
  }
  // 1e-12 degrees are 0.1 micrometers.
  assert.ok(worst < 1e-12, `off by ${worst} degrees`);
});

test("the false origin is 96 degrees west, 23 degrees north", () => {
  const out = new Float64Array(4);
  albersToLngLat(0, 0, out, 2);
  assert.deepEqual([...out.subarray(0, 2)], [0, 0]);
  assert.equal(out[2], -96);
  assert.ok(Math.abs(out[3] - 23) < 1e-13);
});
