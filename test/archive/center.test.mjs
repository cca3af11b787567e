import assert from "node:assert/strict";
import { test } from "node:test";
import { centerOf } from "../../dist/archive/center.js";

test("the center's zoom shows all of the bounds, within the archive's zooms", () => {
  const place = { lng: -98, lat: 38 };
  const zoomOf = (bounds, min = 4, max = 14) => centerOf(place, bounds, min, max).zoom;
  assert.equal(zoomOf({ west: -125, south: 24, east: -66, north: 50 }), 4);
  // At zoom 8 a degree is 364 pixels wide.
  assert.equal(zoomOf({ west: -99, south: 37.5, east: -97, north: 38.5 }), 8);
  assert.equal(zoomOf({ west: -98, south: 38, east: -98, north: 38 }), 14);
  assert.equal(zoomOf({ west: -180, south: -85, east: 180, north: 85 }, 0), 0);
  assert.deepEqual(centerOf(place, { west: -99, south: 37.5, east: -97, north: 38.5 }, 0, 14), { ...place, zoom: 8 });
});
