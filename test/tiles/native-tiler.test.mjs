// The native tiler on traced fields and on odd shapes. Judges are other programs: @mapbox/vector-tile and npm's pmtiles
// read the tiles, GEOS tells which polygons are valid and where they overlap what was to be drawn.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { VectorTile } from "@mapbox/vector-tile";
import gdal from "gdal-async";
import { PbfReader } from "pbf";
import { Archive } from "../../dist/archive/reader.js";
import { tileOf } from "../../dist/archive/tile-id.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { openPool } from "../../dist/parallel/pool.js";
import { tileNatively } from "../../dist/tiles/native-tiler.js";
import { checkBaseTiles } from "../../dist/tiles/rewrite-check.js";
import { featuresOf } from "../support/archive-features.mjs";
import { testContext } from "../support/context.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { makeWorld } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

const EXTENT = 4096;
let world;
const pools = new Map();
const pool = (threads) => {
  if (!pools.has(threads)) pools.set(threads, openPool(threads));
  return pools.get(threads);
};
before(async () => {
  world = await makeWorld({ fields: 600, years: [2020], args: ["--shapes", "csb"] });
});
after(async () => {
  world?.remove();
  for (const one of pools.values()) await one.close();
});

/** Tile a file of fields; areas are the rows' numbers. */
async function tile(
  t,
  path,
  { threads = 2, minZoom = 9, maxZoom = 14, batch = 65_536, fieldId = false, limitBytes, records } = {},
) {
  const fields = await openFields(path, { fieldsCrs: "OGC:CRS84" });
  const area = new SharedArrayBuffer(fields.rows * 4);
  new Float32Array(area).set(Array.from({ length: fields.rows }, (_, row) => row));
  const folder = tempFolder(t);
  const context = testContext();
  const options = { batch, minZoom, maxZoom, ...(limitBytes && { limitBytes }), ...(records && { records }) };
  const tiled = await tileNatively(fields, { area, fieldId }, join(folder, "out"), options, pool(threads), context);
  assert.deepEqual(readdirSync(folder), ["tiled.pmtiles"], "scratch is left");
  return { ...tiled, rows: fields.rows, context };
}

async function tileShapes(t, shapes, options) {
  const path = join(tempFolder(t), "fields.parquet");
  await writeFields(
    path,
    shapes.map((shape, id) => ({ id, wkb: Buffer.isBuffer(shape) || shape === null ? shape : writeWkb(shape) })),
  );
  const tiled = await tile(t, path, options);
  return { ...tiled, archive: readTiles(tiled.path) };
}

/** All tiles of an archive, by a decoder that the project did not write. */
function readTiles(path) {
  const archive = new Archive(path);
  const { entries, header } = archive;
  const tiles = [];
  for (let i = 0; i < entries.count; i++) {
    for (let id = entries.tileId(i); id < entries.tileId(i) + entries.runLength(i); id++) {
      const bytes = gunzipSync(archive.storedTile(i));
      tiles.push({ ...tileOf(id), layers: new VectorTile(new PbfReader(bytes)).layers });
    }
  }
  archive.close();
  return { header, tiles };
}

const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const worldX = (lng, z) => ((lng + 180) / 360) * 2 ** z;
const worldY = (lat, z) => ((1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2) * 2 ** z;

/** A vector tile's polygon as a GDAL geometry, in units of the tile; fails on rings that are wound wrongly. */
function geometryOf({ feature }) {
  const polygons = [];
  for (const ring of feature.loadGeometry()) {
    const points = ring.map(({ x, y }) => [x, y]);
    let area = 0;
    for (let i = 0; i + 1 < points.length; i++)
      area += points[i][0] * points[i + 1][1] - points[i + 1][0] * points[i][1];
    assert.notEqual(area, 0, "a ring without area");
    assert.deepEqual(points[0], points.at(-1), "an open ring");
    if (area > 0) polygons.push([points]);
    else {
      assert.ok(polygons.length > 0, "a hole before its exterior");
      polygons.at(-1).push(points);
    }
  }
  return gdal.Geometry.fromGeoJson({ type: "MultiPolygon", coordinates: polygons });
}

/** Every polygon of an archive, looked at; returns how many. */
function checkPolygons({ tiles }) {
  let count = 0;
  for (const { z, x, y, layers } of tiles) {
    const layer = layers.fields;
    for (let i = 0; i < (layer?.length ?? 0); i++) {
      const feature = layer.feature(i);
      const geometry = geometryOf({ feature });
      assert.ok(geometry.isValid(), `${z}/${x}/${y}, field ${feature.id}: ${geometry.toWKT()}`);
      const { minX, minY, maxX, maxY } = geometry.getEnvelope();
      assert.ok(
        minX >= -80 && minY >= -80 && maxX <= EXTENT + 80 && maxY <= EXTENT + 80,
        `field ${feature.id} leaves its tile`,
      );
      count++;
    }
  }
  return count;
}

/** Tiles in which the vertices of fields lie, by row; those on a tile's very side are left out. */
function tilesOfVertices(geometry, z) {
  const tiles = new Set();
  const visit = (coordinates) => {
    if (typeof coordinates[0] === "number") {
      const [x, y] = [worldX(coordinates[0], z), worldY(coordinates[1], z)];
      if ([x, y].every((at) => Math.abs(at - Math.round(at)) > 1e-6)) tiles.add(`${Math.floor(x)}/${Math.floor(y)}`);
    } else coordinates.forEach(visit);
  };
  visit(geometry.toObject().coordinates);
  return tiles;
}

async function geometriesOf(path) {
  const rows = await query(
    `set enable_geoparquet_conversion = false; select geometry from read_parquet('${path}', file_row_number = true) order by file_row_number`,
  );
  return rows.map(({ geometry }) => gdal.Geometry.fromWKB(Buffer.from(geometry)));
}

test("traced fields: each in every tile that it meets, valid, drawn where it is", async (t) => {
  const { path, rows, status, drawn } = await tile(t, world.files.raw, { fieldId: true });
  assert.equal(drawn, rows);
  assert.ok(status.every((code) => code === 0));
  const archive = readTiles(path);
  const geometries = await geometriesOf(world.files.raw);
  assert.ok(checkPolygons(archive) > 6 * rows);
  const byZoom = {};
  for (let z = 9; z <= 14; z++) {
    const fields = featuresOf(archive, "fields", z);
    byZoom[z] = fields;
    const centroids = featuresOf(archive, "centroids", z);
    assert.deepEqual([fields.size, centroids.size], [rows, rows], `zoom ${z}`);
    for (const [row, { properties, pieces }] of fields) {
      assert.equal(properties.area_ha, row);
      assert.equal(typeof properties.field_id, "number");
      const drawnIn = new Set(pieces.map(({ tile: { x, y } }) => `${x}/${y}`));
      assert.equal(drawnIn.size, pieces.length, `field ${row} is twice in a tile`);
      for (const wanted of tilesOfVertices(geometries[row], z)) {
        assert.ok(drawnIn.has(wanted), `field ${row} is not in ${z}/${wanted}`);
      }
    }
    for (const [row, { pieces }] of centroids) {
      assert.equal(pieces.length, 1, `field ${row} has points in several tiles`);
      const [[point]] = pieces[0].feature.loadGeometry();
      assert.ok(
        [point.x, point.y].every((at) => at >= 0 && at < EXTENT),
        "a point outside its tile",
      );
    }
  }
  // What is drawn, against the field itself in the tile's units: simplification may move a border by a unit and
  // rounding by half a diagonal, so the difference lies within 2 units of the border.
  const random = new Random(11);
  for (let k = 0; k < 150; k++) {
    const z = random.integer(9, 15);
    const row = random.integer(0, rows);
    const piece = byZoom[z].get(row).pieces[0];
    const own = inTile(geometries[row], z, piece.tile);
    const shape = geometryOf(piece);
    const { x, y } = { x: 0, y: 0 };
    const box = gdal.Geometry.fromGeoJson({
      type: "Polygon",
      coordinates: [
        [
          [x, y],
          [EXTENT, y],
          [EXTENT, EXTENT],
          [x, EXTENT],
          [x, y],
        ],
      ],
    });
    const difference = shape.symDifference(own).intersection(box);
    const border = own.boundary().buffer(2, 4);
    assert.ok(difference.difference(border).getArea() < 1e-6, `field ${row} at zoom ${z}`);
  }
});

/** A geometry in longitude and latitude, in units of a tile. */
function inTile(geometry, z, { x, y }) {
  const move = (coordinates) =>
    typeof coordinates[0] === "number"
      ? [(worldX(coordinates[0], z) - x) * EXTENT, (worldY(coordinates[1], z) - y) * EXTENT]
      : coordinates.map(move);
  const { type, coordinates } = geometry.toObject();
  return gdal.Geometry.fromGeoJson({ type, coordinates: move(coordinates) });
}

test("the same bytes with any number of threads, slices and memory", async (t) => {
  const first = await tile(t, world.files.raw);
  const others = [
    { threads: 1 },
    { batch: 100 },
    { limitBytes: 20_000 },
    { limitBytes: 300_000, threads: 1, batch: 500 },
  ];
  for (const other of others) {
    const { path } = await tile(t, world.files.raw, other);
    assert.equal(digest(path), digest(first.path), JSON.stringify(other));
  }
});

const box = (west, south, east, north) => [
  [west, south],
  [east, south],
  [east, north],
  [west, north],
  [west, south],
];

test("odd shapes are drawn, each in every tile that it meets", async (t) => {
  const random = new Random(5);
  const circle = (lng, lat, radius, n) =>
    Array.from({ length: n + 1 }, (_, i) => {
      const angle = ((i % n) / n) * 2 * Math.PI;
      return [lng + radius * Math.cos(angle), lat + radius * Math.sin(angle)];
    });
  const shapes = [
    [box(-100, 40, -99.2, 40.6)], // hundreds of tiles at zoom 14
    [circle(-98, 40, 0.3, 2000), circle(-98, 40, 0.2, 500).reverse(), circle(-98, 39.75, 0.02, 60)],
    [[box(-97, 40, -96.9, 40.1)], [box(-96.8, 40, -96.7, 40.1), box(-96.78, 40.02, -96.72, 40.08)]],
    [box(179.9, 10, -179.9, 10.1)], // over the antimeridian
    [box(-95, 85.04, -94, 86)], // half of it beyond the map
    [box(-95, 88, -94, 89)], // all of it
    [box(10, -85.0512, 10.1, -85.0)],
    [
      [
        [-95, 40],
        [-94.9, 40.1],
        [-94.9, 40],
        [-95, 40.1],
        [-95, 40],
      ],
    ], // a bow tie
    [box(-93, 40, -92.99, 40.0000001)], // a sliver
    [
      [
        [-92, 40],
        [-91.9, 40.05],
        [-92, 40],
        [-92, 40],
      ],
    ], // no area at all
    [[box(-91, 40, -90.9, 40.1)], [box(-90.95, 40.05, -90.85, 40.15)]], // parts that overlap
    [
      box(-90, 40, -89.9, 40.1),
      [
        [-90, 40.05],
        [-89.95, 40],
        [-89.9, 40.05],
        [-89.95, 40.1],
        [-90, 40.05],
      ],
    ], // a hole that touches in four points
    [circle(-88, 40, 0.1, 5).map((_, i) => circle(-88, 40, 0.1, 5)[(i * 2) % 5])], // a pentagram
    ...Array.from({ length: 400 }, () => {
      // Tiny fields on one another.
      const [lng, lat] = [-87 + random.next() * 1e-4, 40 + random.next() * 1e-4];
      return [box(lng, lat, lng + 1e-6, lat + 1e-6)];
    }),
  ];
  const { archive, drawn, status } = await tileShapes(t, shapes, { maxZoom: 12 });
  assert.equal(drawn, shapes.length);
  assert.ok(status.every((code) => code === 0));
  checkPolygons(archive);
  for (let z = 9; z <= 12; z++) {
    const fields = featuresOf(archive, "fields", z);
    assert.deepEqual(
      shapes.flatMap((_, row) => (fields.has(row) ? [] : [row])),
      [],
      `missing at zoom ${z}`,
    );
    assert.equal(featuresOf(archive, "centroids", z).size, shapes.length);
    const wide = (row) => new Set(fields.get(row).pieces.map(({ tile: { x } }) => x));
    assert.ok(wide(3).has(0) && wide(3).has(2 ** z - 1), "on either side of the antimeridian");
  }
  const z = 12;
  const areaOf = (row) =>
    featuresOf(archive, "fields", z)
      .get(row)
      .pieces.reduce((sum, piece) => sum + geometryOf(piece).intersection(tileBox()).getArea(), 0);
  const truth = (row) => {
    const geometry = gdal.Geometry.fromWKB(writeWkb(shapes[row]));
    return inTile(geometry, z, { x: 0, y: 0 });
  };
  for (const row of [0, 1, 2]) assert.ok(Math.abs(areaOf(row) / truth(row).getArea() - 1) < 2e-3, `area of ${row}`);
  // Half of the bow tie's box; both parts of the others, once.
  assert.ok(
    Math.abs(
      areaOf(7) /
        (inTile(gdal.Geometry.fromWKB(writeWkb([box(-95, 40, -94.9, 40.1)])), z, { x: 0, y: 0 }).getArea() / 2) -
        1,
    ) < 5e-3,
  );
  const union = inTile(gdal.Geometry.fromWKB(writeWkb([box(-91, 40, -90.9, 40.1)])), z, { x: 0, y: 0 }).union(
    inTile(gdal.Geometry.fromWKB(writeWkb([box(-90.95, 40.05, -90.85, 40.15)])), z, { x: 0, y: 0 }),
  );
  assert.ok(Math.abs(areaOf(10) / union.getArea() - 1) < 2e-3);
});

function tileBox() {
  return gdal.Geometry.fromGeoJson({ type: "Polygon", coordinates: [box(0, 0, EXTENT, EXTENT)] });
}

test("dirty rows are told by their status and not drawn; the others keep their numbers", async (t) => {
  const good = writeWkb([box(-100, 40, -99.99, 40.01)]);
  const shapes = [
    good,
    null,
    good.subarray(0, 20),
    writeWkb([box(-100, 40, Number.NaN, 41)]),
    Buffer.from("0101000000000000000000f03f000000000000f03f", "hex"), // a point
    writeWkb([
      [
        [1, 1],
        [2, 2],
        [1, 1],
      ],
    ]),
    writeWkb([box(-100, 91, -99, 92)]), // no latitude
    good,
  ];
  const { archive, status, drawn } = await tileShapes(t, shapes, { maxZoom: 10 });
  assert.deepEqual([...status], [0, 1, 3, 5, 4, 6, 5, 0]);
  assert.equal(drawn, 2);
  assert.deepEqual([...featuresOf(archive, "fields", 10).keys()], [0, 7]);
});

for (const [minZoom, maxZoom] of [
  [9, 9],
  [12, 13],
  [16, 16],
  [8, 8],
  [3, 3],
  [0, 0],
]) {
  test(`zooms ${minZoom} to ${maxZoom}`, async (t) => {
    const shapes = [[box(-100, 40, -99.9, 40.1)], [box(20, -30, 20.5, -29.9)]];
    const { archive } = await tileShapes(t, shapes, { minZoom, maxZoom });
    assert.deepEqual([archive.header.minZoom, archive.header.maxZoom], [minZoom, maxZoom]);
    for (let z = minZoom; z <= maxZoom; z++) assert.equal(featuresOf(archive, "fields", z).size, 2);
    checkPolygons(archive);
  });
}

test("scratch takes at most half of the archive beyond what the archive takes", async (t) => {
  const fields = await openFields(world.files.raw, { fieldsCrs: "OGC:CRS84" });
  const area = new SharedArrayBuffer(fields.rows * 4);
  const folder = tempFolder(t);
  const context = testContext();
  let most = 0;
  const look = () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).size);
    most = Math.max(
      most,
      bytes.reduce((sum, size) => sum + size, 0),
    );
  };
  // At every step forward, and where one phase follows another.
  const start = context.progress.start.bind(context.progress);
  context.progress.start = (label, total) => {
    look();
    const task = start(label, total);
    const after = (act) => (done) => {
      look();
      act(done);
    };
    return { update: after((done) => task.update(done)), end: after((done) => task.end(done)) };
  };
  const options = { batch: 65_536, minZoom: 4, maxZoom: 14, records: true };
  const { path } = await tileNatively(fields, { area, fieldId: true }, join(folder, "out"), options, pool(1), context);
  const ratio = most / statSync(path).size - 1;
  assert.ok(ratio > 0 && ratio <= 0.5, `scratch takes ${ratio} of the archive`);
});

test("ids: integers with and without sign, texts, none", async (t) => {
  const folder = tempFolder(t);
  for (const [idType, ids] of [
    ["BIGINT", [-5, 0, 9_007_199_254_740_991]],
    ["UINTEGER", [0, 7, 4_294_967_295]],
    ["VARCHAR", ["a", "", "Ä".repeat(100)]],
  ]) {
    const path = join(folder, `${idType}.parquet`);
    mkdirSync(folder, { recursive: true });
    await writeFields(
      path,
      ids.map((id, i) => ({ id, wkb: writeWkb([box(i, 40, i + 0.01, 40.01)]) })),
      { idType },
    );
    const { path: archive } = await tile(t, path, { maxZoom: 10, fieldId: true });
    const features = featuresOf(readTiles(archive), "fields", 10);
    assert.deepEqual(
      ids.map((_, row) => features.get(row).properties.field_id),
      ids,
    );
  }
});

test("precompressed in the same pass: the same base tiles, cells too, and no tile kept as gzip", async (t) => {
  const options = { minZoom: 5, fieldId: true };
  const plain = await tile(t, world.files.raw, options);
  const made = await tile(t, world.files.raw, { ...options, records: true });
  assert.ok((await checkBaseTiles(plain.path, made.path, made.rows, testContext())) >= 100);
  const [a, b] = [plain.path, made.path].map((path) => new Archive(path));
  assert.deepEqual(
    [...b.entries.tileIds.subarray(0, b.entries.count)],
    [...a.entries.tileIds.subarray(0, a.entries.count)],
  );
  for (let i = 0; i < b.entries.count; i++) assert.equal(b.storedTile(i)[0], 1, "a record");
  assert.equal(b.header.tileType, 0);
  a.close();
  b.close();
});
