// Years filled into precompressed tiles, against the same years by rewriting every tile: tiles of all kinds, crops of
// all kinds, read by npm's pmtiles and @mapbox/vector-tile over zlib; base tiles; and records that are damaged.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { VectorTile } from "@mapbox/vector-tile";
import gdal from "gdal-async";
import { PbfReader } from "pbf";
import { Archive } from "../../dist/archive/reader.js";
import { tileId } from "../../dist/archive/tile-id.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";
import { openPool } from "../../dist/parallel/pool.js";
import { cropKeys } from "../../dist/tiles/archive-metadata.js";
import { BaseTiles } from "../../dist/tiles/base-tiles.js";
import { BatchOffsets } from "../../dist/tiles/batch-offsets.js";
import { indexCrops } from "../../dist/tiles/crop-index.js";
import { exportBaseTiles } from "../../dist/tiles/export-base-tiles.js";
import { precompressArchive } from "../../dist/tiles/precompress.js";
import { rewriteAttributes } from "../../dist/tiles/rewrite-attributes.js";
import { checkBaseTiles, checkSample } from "../../dist/tiles/rewrite-check.js";
import { testContext } from "../support/context.mjs";
import { vectorTile } from "../support/field-tiles.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { Random } from "../support/random.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";

const ROWS = 20_000;
const MAX_ZOOM = 6;
/** Of each base: 5 x 3 at each of the zooms 3 to 6. */
const TILES = 60;
const BOUNDS = { west: -180, south: -80, east: 180, north: 80 };

let pool;
before(() => {
  pool = openPool(2);
});
after(() => pool.close());

/** Features of one tile, by layer: polygons of many sizes, their points, some attributes. */
function features(random, count, { attributes = true } = {}) {
  const rows = Array.from({ length: count }, () => random.integer(0, ROWS));
  const properties = (row) => {
    if (!attributes || random.chance(0.05)) return {};
    return {
      field_id: row * 7,
      area_ha: row % 3 === 0 ? 1.5 : row / 100,
      ...(row % 11 === 0 && { note: `n${row % 50}` }),
    };
  };
  const fields = rows.map((id) => {
    const ring = Array.from({ length: random.chance(0.02) ? 2 * random.integer(3, 900) : 6 }, () =>
      random.integer(1, 300),
    );
    const geometry = [9, random.integer(0, 8000), random.integer(0, 8000), ((ring.length / 2) << 3) | 2, ...ring, 15];
    return { id, type: 3, geometry, properties: properties(id) };
  });
  const centroids = rows.map((id) => ({
    id,
    type: 1,
    geometry: [9, random.integer(0, 8000), random.integer(0, 8000)],
    properties: properties(id),
  }));
  return { fields, centroids };
}

/** A base of tiles of all kinds, without the steps that make one; two tiles have the same content. */
function makeBase(folder, seed, sizes) {
  const random = new Random(seed);
  const path = join(folder, `base-${seed}.pmtiles`);
  const writer = new ArchiveWriter(path);
  const seen = { fields: new Uint8Array(Math.ceil(ROWS / 8)), centroids: new Uint8Array(Math.ceil(ROWS / 8)) };
  const addresses = [];
  for (let z = 3; z <= MAX_ZOOM; z++) {
    for (let x = 0; x < 5; x++) for (let y = 1; y < 4; y++) addresses.push({ z, x, y });
  }
  addresses.sort((a, b) => tileId(a) - tileId(b));
  let same;
  for (const [i, address] of addresses.entries()) {
    const layers = features(random, sizes[i % sizes.length], { attributes: i % 9 !== 4 });
    if (i % 7 === 3) delete layers.fields;
    if (i % 7 === 5) delete layers.centroids;
    if (i % 10 === 6) layers.centroids = [];
    const content = i === 40 ? same.content : gzipSync(vectorTile(layers));
    if (i === 37) same = { content, layers };
    for (const [name, list] of Object.entries(i === 40 ? same.layers : layers)) {
      if (address.z === MAX_ZOOM) for (const { id } of list) seen[name][id >> 3] |= 1 << (id & 7);
    }
    writer.write(tileId(address), content);
  }
  writer.finish({ metadata: { vector_layers: [] }, bounds: BOUNDS, center: { zoom: 3, lng: 0, lat: 0 } });
  const encoded = Object.entries(seen).map(([name, bits]) => [name, gzipSync(bits).toString("base64")]);
  return { path, engine: "test", facts: { rows: ROWS, seen: Object.fromEntries(encoded) }, tilestats: undefined };
}

/** The base with its tiles precompressed. */
async function precompressed(base, folder, ctx = testContext()) {
  const path = join(folder, "base.precompressed");
  const report = await precompressArchive(base.path, path, base.facts.rows, { vector_layers: [] }, pool, ctx);
  return { ...base, path, report };
}

const yearOf = (crops) => ({ keys: cropKeys(false), crops: indexCrops(Float64Array.from(crops)) });

/** From gzip tiles each is rewritten; records are filled. */
async function write(base, crops, paths, threads = pool) {
  const outputs = paths.map((path, i) => ({ path, years: [yearOf(crops[i])], metadata: { vector_layers: [] } }));
  const report = await rewriteAttributes(base, outputs, threads, testContext());
  for (const [i, path] of paths.entries()) {
    await checkSample(path, { path: base.path, rows: base.facts.rows }, [yearOf(crops[i])], testContext());
  }
  return report;
}

/** Tiles of an archive by another reader: {tile: {layer/number: [id, type, properties, geometry]}}. */
async function read(t, path, base, { geometry = true } = {}) {
  const archive = await openPmtiles(t, path);
  const ids = new Archive(base.path);
  const tiles = {};
  try {
    const own = new Archive(path);
    for (let e = 0; e < ids.entries.count; e++) {
      // zlib holds length and checksum against the content.
      gunzipSync(own.storedTile(e));
    }
    own.close();
    for (let z = 3; z <= MAX_ZOOM; z++) {
      for (let x = 0; x < 5; x++) {
        for (let y = 1; y < 4; y++) {
          const { data } = await archive.getZxy(z, x, y);
          const { layers } = new VectorTile(new PbfReader(new Uint8Array(data)));
          tiles[`${z}/${x}/${y}`] = Object.fromEntries(
            Object.entries(layers).map(([name, layer]) => [
              name,
              Array.from({ length: layer.length }, (_, i) => {
                const { id, type, properties } = layer.feature(i);
                return [id, type, { ...properties }, geometry && JSON.stringify(layer.feature(i).loadGeometry())];
              }),
            ]),
          );
        }
      }
    }
  } finally {
    ids.close();
  }
  return tiles;
}

const all = (of) => Array.from({ length: ROWS }, (_, row) => of(row));

/** Years: their crops, and whether some tiles have more crops than a record takes, or others. */
const YEARS = {
  "one crop": [() => all(() => 1), false],
  "no crop at all": [() => all(() => Number.NaN), false],
  "a few crops, some rows without": [(r) => all(() => (r.chance(0.1) ? Number.NaN : r.pick([1, 5, 24, 61]))), false],
  "half without": [(r) => all(() => (r.chance(0.5) ? Number.NaN : r.pick([1, 5]))), false],
  "codes at the ends of bytes": [(r) => all(() => r.pick([0, 127, 128, 254, 255])), false],
  "16-bit classes that fit": [(r) => all(() => r.pick([256, 300, 16_383, 4000])), false],
  "200 crops, one of them common": [(r) => all(() => (r.chance(0.9) ? 1 : r.integer(0, 200))), true],
  "200 crops, all alike": [(r) => all(() => r.integer(0, 200)), true],
  "classes that do not fit": [(r) => all(() => (r.chance(0.01) ? 16_384 : 3)), true],
  "numbers that are no classes": [
    (r) => all(() => (r.chance(0.99) ? 7 : r.pick([-2, 2.5, 2 ** 32 + 7, 2 ** 40]))),
    true,
  ],
};

for (const seed of [1, 2]) {
  test(`years of all kinds are what they are by rewriting, seed ${seed}`, async (t) => {
    const folder = tempFolder(t);
    // Large enough, at 3000, for slots farther apart than a match reaches.
    const base = makeBase(
      folder,
      seed,
      seed === 1 ? [1, 60, 0, 7, 300, 25] : [40, 9, 130, 12, 2, 30, 70, 5, 3000, 16, 33, 21, 8, 3],
    );
    const made = await precompressed(base, folder);
    assert.equal(made.report.gzipTiles, 0);
    for (const [name, [crops, misfits]] of Object.entries(YEARS)) {
      const year = crops(new Random(seed));
      const [ours, plain] = [join(folder, "ours.pmtiles"), join(folder, "plain.pmtiles")];
      const { rewritten } = await write(made, [year], [ours]);
      assert.equal(rewritten > 0, misfits, `${name}: ${rewritten} tiles did not fit`);
      assert.equal((await write(base, [year], [plain])).rewritten, made.report.tiles, "all different contents");
      // Geometry does not depend on the year.
      const options = { geometry: name === "half without" };
      const [a, b] = [await read(t, ours, base, options), await read(t, plain, base, options)];
      for (const key of Object.keys(b)) assert.deepEqual(a[key], b[key], `${name}, ${key}`);
      const [x, y] = [ours, plain].map((path) => new Archive(path));
      for (const key of ["addressedTiles", "tileEntries", "tileContents", "clustered", "maxZoom"])
        assert.equal(x.header[key], y.header[key], key);
      x.close();
      y.close();
    }
  });
}

test("the crops of some tile by hand: commonest first or not, every feature has its row's", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 3, [30]);
  const made = await precompressed(base, folder);
  const random = new Random(9);
  const year = all(() => (random.chance(0.2) ? Number.NaN : random.pick([1, 1, 1, 5, 176])));
  const path = join(folder, "a.pmtiles");
  await write(made, [year], [path]);
  let compared = 0;
  for (const layers of Object.values(await read(t, path, base))) {
    for (const [id, , properties] of Object.values(layers).flat()) {
      assert.equal(properties.crop_code ?? Number.NaN, year[id]);
      assert.equal("crop_code" in properties, !Number.isNaN(year[id]));
      compared++;
    }
  }
  assert.ok(compared > 2000);
});

test("GDAL reads the filled tiles: every feature, with its row's crop or none", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 10, [30, 200]);
  const random = new Random(4);
  const year = all(() => (random.chance(0.2) ? Number.NaN : random.pick([1, 5, 61, 176, 254])));
  const path = join(folder, "a.pmtiles");
  await write(await precompressed(base, folder), [year], [path]);
  const archive = new Archive(path);
  let [compared, none] = [0, 0];
  for (let e = 0; e < archive.entries.count; e += 7) {
    const tile = Buffer.from(archive.tile(e));
    const file = join(folder, `${e}.mvt`);
    writeFileSync(file, tile);
    const truth = new VectorTile(new PbfReader(tile)).layers;
    const dataset = gdal.open(`MVT:${file}`);
    for (const layer of dataset.layers) {
      let count = 0;
      const hasCrops = layer.fields.getNames().includes("crop_code");
      for (const feature of layer.features) {
        const crop = hasCrops ? feature.fields.get("crop_code") : null;
        assert.equal(crop ?? Number.NaN, year[feature.fields.get("mvt_id")]);
        if (crop === null) none++;
        count++;
      }
      assert.equal(count, truth[layer.name]?.length ?? 0);
      compared += count;
    }
    dataset.close();
  }
  archive.close();
  assert.ok(compared > 1000 && none > 100, `${compared} features, ${none} without a crop`);
});

test("base tiles are what the records were made from, one by one and as an archive", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 12, [1, 60, 0, 7, 300, 25]);
  const made = await precompressed(base, folder);
  assert.ok((await checkBaseTiles(base.path, made.path, ROWS, testContext())) >= TILES - 1);
  const out = join(folder, "out.pmtiles");
  await exportBaseTiles(made.path, ROWS, out, { vector_layers: [] }, pool, testContext());
  const [a, b] = [await read(t, out, base), await read(t, base.path, base)];
  assert.deepEqual(a, b);
  const keys = Object.values(a).flatMap((layers) =>
    Object.values(layers)
      .flat()
      .flatMap(([, , p]) => Object.keys(p)),
  );
  assert.ok(keys.includes("area_ha") && !keys.includes("crop_code"));
  // A tile of another place is seen.
  const other = await precompressed(makeBase(folder, 13, [30]), tempFolder(t));
  await assert.rejects(checkBaseTiles(base.path, other.path, ROWS, testContext()), /Tile differs from its base/);
});

test("a full disk while tiles are precompressed: kind space", async (t) => {
  const disk = tinyDisk(t, "16m");
  if (disk === undefined) return t.skip("nothing may be mounted here");
  const base = makeBase(tempFolder(t), 11, [300]);
  leaveFree(disk, 2 ** 16);
  await assert.rejects(precompressed(base, disk), (error) => error.kind === "space");
});

test("the same bytes with 1, 2 and 4 threads, alone and in one pass with others", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 4, [60, 90, 300, 45]);
  const made = await precompressed(base, folder);
  const random = new Random(1);
  const years = [0, 1, 2].map(() =>
    all(() => (random.chance(0.01) ? Number.NaN : random.pick([1, 1, 5, 5, 24, 61, 176]))),
  );
  // One year has tiles that do not fit.
  years[1] = years[1].map((crop, row) => (row % 200 === 0 ? 20_000 : crop));
  const paths = years.map((_, i) => join(folder, `alone-${i}.pmtiles`));
  for (const [i, path] of paths.entries()) await write(made, [years[i]], [path]);
  for (const threads of [1, 4]) {
    const other = openPool(threads);
    try {
      const together = years.map((_, i) => join(folder, `together-${threads}-${i}.pmtiles`));
      const { rewritten } = await write(made, years, together, other);
      assert.ok(rewritten > 0);
      for (const [i, path] of together.entries()) assert.ok(readFileSync(path).equals(readFileSync(paths[i])), `${i}`);
    } finally {
      await other.close();
    }
  }
});

test("tiles that no record can hold are kept as gzip, and rewritten", async (t) => {
  const folder = tempFolder(t);
  const path = join(folder, "odd.pmtiles");
  const writer = new ArchiveWriter(path);
  const ordinary = vectorTile({ fields: [{ id: 1, type: 1, geometry: [9, 2, 2], properties: { a: 1 } }] });
  // A field that nobody knows behind the layer; tags beyond 127 bytes; the same layer twice.
  const many = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`k${i}`, 1000 + i]));
  const odd = [
    Buffer.concat([ordinary, Buffer.from([0x78, 1])]),
    vectorTile({ fields: [{ id: 2, type: 1, geometry: [9, 2, 2], properties: many }] }),
    Buffer.concat([ordinary, vectorTile({ fields: [{ id: 3, type: 1, geometry: [9, 4, 4] }] })]),
    ordinary,
  ];
  for (const [i, tile] of odd.entries()) writer.write(tileId({ z: 3, x: 0, y: 0 }) + i, gzipSync(tile));
  writer.finish({ metadata: { vector_layers: [] }, bounds: BOUNDS, center: { zoom: 3, lng: 0, lat: 0 } });
  const bits = (rows) => gzipSync(Uint8Array.of(rows.reduce((sum, row) => sum | (1 << row), 0))).toString("base64");
  const base = { path, engine: "test", facts: { rows: 8, seen: { fields: bits([1, 2, 3]), centroids: bits([]) } } };
  const made = await precompressed(base, folder);
  assert.deepEqual([made.report.tiles, made.report.gzipTiles], [4, 3]);
  const crops = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const [ours, plain] = [join(folder, "ours.pmtiles"), join(folder, "plain.pmtiles")];
  const { rewritten } = await write(made, [crops], [ours]);
  assert.equal(rewritten, 3);
  await write(base, [crops], [plain]);
  const [a, b] = [ours, plain].map((one) => new Archive(one));
  for (let e = 0; e < 3; e++) assert.ok(Buffer.from(a.tile(e)).equals(Buffer.from(b.tile(e))));
  a.close();
  b.close();
  const reader = new BaseTiles(made.path, 8);
  assert.ok(Buffer.from(reader.readTile(0)).equals(odd[0]));
  reader.close();
});

test("a tile with 70,000 rows, and one with 40 KB of values and long polygons, is a record", async (t) => {
  const folder = tempFolder(t);
  const [path, rows] = [join(folder, "large.pmtiles"), 70_000];
  const random = new Random(8);
  const cells = Array.from({ length: rows }, (_, id) => ({
    id,
    type: 3,
    geometry: [9, 2 * (id % 4000), 40, 26, 20, 0, 0, 20, 19, 0, 15],
  }));
  const long = Array.from({ length: 4000 }, (_, id) => ({
    id,
    type: 3,
    geometry: [
      9,
      2,
      2,
      (5000 << 3) | 2,
      ...Array.from({ length: id % 999 === 5 ? 10_000 : 0 }, () => random.integer(1, 9000)),
      15,
    ],
    properties: { area_ha: 1.25 + id },
  }));
  for (const { geometry } of long) if (geometry.length < 10) geometry.splice(3, 1, 26, 20, 0, 0, 20, 19, 0);
  const writer = new ArchiveWriter(path);
  writer.write(tileId({ z: 3, x: 1, y: 1 }), gzipSync(vectorTile({ fields: cells })));
  writer.write(tileId({ z: 4, x: 1, y: 1 }), gzipSync(vectorTile({ fields: long, centroids: cells.slice(0, 9) })));
  writer.finish({ metadata: { vector_layers: [] }, bounds: BOUNDS, center: { zoom: 3, lng: 0, lat: 0 } });
  const bits = (count) =>
    gzipSync(
      Buffer.alloc(Math.ceil(rows / 8))
        .fill(0xff, 0, count >> 3)
        .fill((1 << (count & 7)) - 1, count >> 3, (count >> 3) + (count & 7 ? 1 : 0)),
    ).toString("base64");
  const base = { path, engine: "test", facts: { rows, seen: { fields: bits(4000), centroids: bits(9) } } };
  const made = await precompressed(base, folder);
  assert.equal(made.report.gzipTiles, 0);
  const crops = Float64Array.from({ length: rows }, () => (random.chance(0.1) ? Number.NaN : random.pick([1, 5, 176])));
  const out = join(folder, "a.pmtiles");
  assert.equal((await write(made, [crops], [out])).rewritten, 0);
  const archive = new Archive(out);
  const { layers } = new VectorTile(new PbfReader(new Uint8Array(archive.tile(0))));
  archive.close();
  assert.equal(layers.fields.length, rows);
  for (let i = 0; i < rows; i += 7) {
    const { id, properties } = layers.fields.feature(i);
    assert.equal(id, i);
    assert.equal(properties.crop_code ?? Number.NaN, crops[i]);
  }
});

test("a record that is damaged where a year reads it: the tile is named, and the base is forgotten", async (t) => {
  const folder = tempFolder(t);
  const made = await precompressed(makeBase(folder, 5, [40]), folder);
  const whole = readFileSync(made.path);
  const year = all(() => 5);
  const path = join(folder, "a.pmtiles");
  const random = new Random(3);
  const archive = new Archive(made.path);
  const { offset, length } = archive.header.tiles;
  archive.close();
  let forgotten = 0;
  const forget = () => forgotten++;
  for (let round = 0; round < 12; round++) {
    const bytes = Buffer.from(whole);
    bytes[offset + random.integer(0, length - 1)] ^= 1 << random.integer(0, 7);
    writeFileSync(made.path, bytes);
    await assert.rejects(write({ ...made, forget }, [year], [path]), (error) => {
      assert.equal(error.kind, "input");
      assert.match(error.message, /Base is damaged, the next run makes it again.*path=.*, tile=\d\/\d\/\d, reason=/);
      return true;
    });
  }
  assert.equal(forgotten, 12);
  writeFileSync(made.path, whole.subarray(0, -1000));
  await assert.rejects(write(made, [year], [path]), /Archive is cut short/);
  writeFileSync(made.path, whole);
  await write(made, [year], [path]);
});

test("a tile that cannot be read is not precompressed, and named", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 7, [40]);
  const archive = new Archive(base.path);
  const at = archive.header.tiles.offset + archive.entries.offset(20) + 30;
  archive.close();
  writeFileSync(base.path, Buffer.from(readFileSync(base.path).map((byte, i) => (i === at ? byte ^ 0xff : byte))));
  await assert.rejects(
    precompressed(base, folder),
    (error) =>
      error.kind === "input" &&
      /Archive cannot be read.*Tile cannot be read \(tile=\d\/\d\/\d, reason=content cannot be decompressed\)/.test(
        error.message,
      ),
  );
});

test("offsets of batches: in any order, twice, and by whoever waits too long", () => {
  const offsets = BatchOffsets.create(3, 2);
  const other = BatchOffsets.from({ shared: offsets.shared, batches: 3, outputs: 2 });
  assert.equal(other.take(1, [5, 5], 5), undefined);
  assert.deepEqual([...offsets.take(0, [10, 20])], [0, 0]);
  assert.deepEqual([...other.take(1, [5, 6])], [10, 20]);
  assert.deepEqual([...offsets.take(1, [5, 6])], [10, 20]);
  assert.deepEqual([...other.take(2, [1, 1])], [15, 26]);
  assert.deepEqual([...offsets.ends()], [16, 27]);
});
