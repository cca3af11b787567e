import assert from "node:assert/strict";
import { test } from "node:test";
import gdal from "gdal-async";
import { CropPalette } from "../../dist/view/picture/crop-palette.js";
import { fitFrame, frameBounds, metersPerPixel, shapeOf, tileBox, zoomFor } from "../../dist/view/picture/frame.js";
import { legendRows } from "../../dist/view/picture/legend-list.js";
import { latitudeAt, longitudeAt, worldX, worldY } from "../../dist/view/picture/mercator.js";
import { scaleLength } from "../../dist/view/picture/scale-bar.js";
import { Random } from "../support/random.mjs";

const KANSAS = { west: -98.6, south: 38.2, east: -97.9, north: 38.7 };
const near = (a, b, tolerance, message) => assert.ok(Math.abs(a - b) <= tolerance, `${message ?? ""} ${a} ${b}`);

test("web mercator is PROJ's", () => {
  const toMercator = new gdal.CoordinateTransformation(
    gdal.SpatialReference.fromProj4("+proj=longlat +datum=WGS84"),
    gdal.SpatialReference.fromProj4("+proj=merc +a=6378137 +b=6378137 +units=m"),
  );
  const equator = 2 * Math.PI * 6378137;
  const random = new Random(3);
  for (let n = 0; n < 500; n++) {
    const [lng, lat] = [random.between(-180, 180), random.between(-85, 85)];
    const { x, y } = toMercator.transformPoint(lng, lat);
    near((worldX(lng) - 0.5) * equator, x, 1e-6);
    near((0.5 - worldY(lat)) * equator, y, 1e-6);
    near(longitudeAt(worldX(lng)), lng, 1e-9);
    near(latitudeAt(worldY(lat)), lat, 1e-9);
  }
});

test("a frame holds all of its bounds, in the middle, within the margin", () => {
  for (const [width, height] of [
    [900, 600],
    [300, 900],
    [800, Math.round(800 * shapeOf(KANSAS))],
  ]) {
    const frame = fitFrame(KANSAS, width, height, 0.02);
    const shown = frameBounds(frame);
    assert.ok(shown.west < KANSAS.west && shown.east > KANSAS.east);
    assert.ok(shown.south < KANSAS.south && shown.north > KANSAS.north);
    near(shown.west + shown.east, KANSAS.west + KANSAS.east, 1e-9);
    // The side that decides is 96 % full.
    const share = (KANSAS.east - KANSAS.west) / (shown.east - shown.west);
    const down = (worldY(KANSAS.south) - worldY(KANSAS.north)) / (worldY(shown.south) - worldY(shown.north));
    near(Math.max(share, down), 0.96, 1e-9);
  }
  const point = { west: -98, east: -98, south: 38, north: 38 };
  near(metersPerPixel(fitFrame(point, 100, 100, 0), 50) * 100, 158, 1, "a point's frame in meters");
});

test("neighboring tiles share their sides to the last bit, and the zoom fits the pixels", () => {
  const frame = fitFrame(KANSAS, 900, 700, 0);
  for (let z = 4; z <= 14; z++) {
    const [x, y] = [Math.floor(worldX(-98.3) * 2 ** z), Math.floor(worldY(38.5) * 2 ** z)];
    assert.equal(tileBox(frame, { z, x, y }).right, tileBox(frame, { z, x: x + 1, y }).left);
    assert.equal(tileBox(frame, { z, x, y }).bottom, tileBox(frame, { z, x, y: y + 1 }).top);
  }
  const z = zoomFor(frame);
  const { left, right } = tileBox(frame, { z, x: 0, y: 0 });
  assert.ok(right - left > 256 && right - left <= 512, String(right - left));
});

test("a scale bar's length is the longest round one that fits", () => {
  const cases = [
    [1, "1 m"],
    [4.9, "2 m"],
    [730, "500 m"],
    [1000, "1 km"],
    [19_999, "10 km"],
    [5e5, "500 km"],
  ];
  for (const [meters, label] of cases) {
    const length = scaleLength(meters);
    assert.equal(length.label, label);
    assert.ok(length.meters <= meters && length.meters > meters / 2.6);
  }
});

test("the legend lists crops by area and sums up what it has no room for", () => {
  const palette = new CropPalette();
  palette.addLegend({ legend: [{ code: 1, name: "Corn", color: "#ffd400" }] }, "a.pmtiles");
  palette.addLegend({ legend: [{ code: 1, name: "Maize", color: "#000000" }] }, "b.pmtiles");
  const areas = new Float64Array(256);
  for (const [code, area] of [
    [5, 10],
    [1, 60],
    [24, 25],
    [36, 5],
    [61, 0],
  ])
    areas[palette.classOf(code)] = area;
  assert.deepEqual(legendRows(palette, areas, 10), [
    { name: "Corn", color: "#ffd400", share: 0.6 },
    { name: "Winter Wheat", color: "#9e9e9e", share: 0.25 },
    { name: "Soybeans", color: "#9e9e9e", share: 0.1 },
    { name: "Alfalfa", color: "#9e9e9e", share: 0.05 },
  ]);
  assert.deepEqual(legendRows(palette, areas, 3).slice(1), [
    { name: "Winter Wheat", color: "#9e9e9e", share: 0.25 },
    { name: "2 more", share: 0.15 },
  ]);
  assert.equal(legendRows(palette, new Float64Array(256), 3).length, 0);
  // One of several maps: its own shares of the crops of all, in the order of all.
  const own = new Float64Array(256);
  own[palette.classOf(5)] = 30;
  own[palette.classOf(1)] = 10;
  const rows = legendRows(palette, own, 10, areas);
  assert.deepEqual(
    rows.map(({ name }) => name),
    legendRows(palette, areas, 10).map(({ name }) => name),
  );
  assert.deepEqual(Object.fromEntries(rows.map(({ name, share }) => [name, share]).filter(([, share]) => share > 0)), {
    Soybeans: 0.75,
    Corn: 0.25,
  });
});
