// Years filled into a swap template, against the same years made without one: tiles of all kinds, crops of all kinds,
// read by npm's pmtiles and @mapbox/vector-tile over zlib; and templates that are damaged.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
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
import { indexCrops } from "../../dist/tiles/crop-index.js";
import { Places } from "../../dist/tiles/places.js";
import { swapAttributes } from "../../dist/tiles/swap.js";
import { checkSample } from "../../dist/tiles/swap-check.js";
import { ensureTemplate, suitsTemplate } from "../../dist/tiles/swap-template.js";
import { openTemplate } from "../../dist/tiles/template-file.js";
import { testContext } from "../support/context.mjs";
import { vectorTile } from "../support/field-tiles.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { Random } from "../support/random.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";

const ROWS = 20_000;
const MAX_ZOOM = 6;
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

function layoutIn(folder) {
  return { root: folder, state: join(folder, "outputs/state") };
}

function template(base, folder, ctx = testContext()) {
  return ensureTemplate(undefined, base, { layout: layoutIn(folder), pool: () => pool, ctx });
}

const yearOf = (crops) => ({ keys: cropKeys(false), crops: indexCrops(Float64Array.from(crops)) });

async function swap(base, crops, paths, threads = pool) {
  const outputs = paths.map((path, i) => ({ path, years: [yearOf(crops[i])], metadata: { vector_layers: [] } }));
  const report = await swapAttributes(base, outputs, threads, testContext());
  for (const [i, path] of paths.entries()) await checkSample(path, base.path, [yearOf(crops[i])], testContext());
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

/** Years: their crops, and whether some tiles have more crops than a template takes, or others. */
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
  test(`years of all kinds are what they are without a template, seed ${seed}`, async (t) => {
    const folder = tempFolder(t);
    // Large enough, at 3000, for slots farther apart than a match reaches.
    const base = makeBase(
      folder,
      seed,
      seed === 1 ? [1, 60, 0, 7, 300, 25] : [40, 9, 130, 12, 2, 30, 70, 5, 3000, 16, 33, 21, 8, 3],
    );
    const made = await template(base, folder);
    const withTemplate = { ...base, template: made };
    for (const [name, [crops, misfits]] of Object.entries(YEARS)) {
      const year = crops(new Random(seed));
      const [ours, plain] = [join(folder, "ours.pmtiles"), join(folder, "plain.pmtiles")];
      const report = await swap(withTemplate, [year], [ours]);
      assert.equal(report.misfits > 0, misfits, `${name}: ${report.misfits} tiles did not fit`);
      await swap(base, [year], [plain]);
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
  const withTemplate = { ...base, template: await template(base, folder) };
  const random = new Random(9);
  const year = all(() => (random.chance(0.2) ? Number.NaN : random.pick([1, 1, 1, 5, 176])));
  const path = join(folder, "a.pmtiles");
  await swap(withTemplate, [year], [path]);
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
  await swap({ ...base, template: await template(base, folder) }, [year], [path]);
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

test("a full disk while the template is made: exit kind space, nothing is left, and there is one once there is room", async (t) => {
  const disk = tinyDisk(t, "16m");
  if (disk === undefined) return t.skip("nothing may be mounted here");
  const base = makeBase(tempFolder(t), 11, [300]);
  leaveFree(disk, 2 ** 16);
  await assert.rejects(template(base, disk), (error) => error.kind === "space" && /step=template/.test(error.message));
  assert.deepEqual(readdirSync(join(disk, "data/base")), []);
  leaveFree(disk, 8 * 2 ** 20);
  assert.ok((await template(base, disk)).starts.length > 50);
});

test("the same bytes with 1, 2 and 4 threads, alone and in one pass with others", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 4, [60, 90, 300, 45]);
  const withTemplate = { ...base, template: await template(base, folder) };
  const random = new Random(1);
  const years = [0, 1, 2].map(() =>
    all(() => (random.chance(0.01) ? Number.NaN : random.pick([1, 1, 5, 5, 24, 61, 176]))),
  );
  // One year has tiles that do not fit.
  years[1] = years[1].map((crop, row) => (row % 200 === 0 ? 20_000 : crop));
  const paths = years.map((_, i) => join(folder, `alone-${i}.pmtiles`));
  for (const [i, path] of paths.entries()) await swap(withTemplate, [years[i]], [path]);
  for (const threads of [1, 4]) {
    const other = openPool(threads);
    try {
      const together = years.map((_, i) => join(folder, `together-${threads}-${i}.pmtiles`));
      const { misfits } = await swap(withTemplate, years, together, other);
      assert.ok(misfits > 0);
      for (const [i, path] of together.entries()) assert.ok(readFileSync(path).equals(readFileSync(paths[i])), `${i}`);
    } finally {
      await other.close();
    }
  }
});

test("tiles that no template can take go without, and are the same", async (t) => {
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
  const made = await template(base, folder);
  assert.deepEqual(
    [...made.starts.keys()].slice(1).map((i) => made.starts[i] > made.starts[i - 1]),
    [false, false, false, true],
  );
  const crops = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const [ours, plain] = [join(folder, "ours.pmtiles"), join(folder, "plain.pmtiles")];
  const { misfits } = await swap({ ...base, template: made }, [crops], [ours]);
  assert.equal(misfits, 3);
  await swap(base, [crops], [plain]);
  const [a, b] = [ours, plain].map((one) => new Archive(one));
  for (let e = 0; e < 3; e++) assert.ok(Buffer.from(a.tile(e)).equals(Buffer.from(b.tile(e))));
  a.close();
  b.close();
});

test("a template that is damaged where a year reads it: the tile is named, and the next run makes it again", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 5, [40]);
  const made = await template(base, folder);
  const whole = readFileSync(made.path);
  const year = all(() => 5);
  const path = join(folder, "a.pmtiles");
  const random = new Random(3);
  for (let round = 0; round < 12; round++) {
    const bytes = Buffer.from(whole);
    const record = random.integer(0, made.starts.length - 1);
    bytes[random.integer(made.starts[record], made.starts[record + 1])] ^= 1 << random.integer(0, 8);
    writeFileSync(made.path, bytes);
    await assert.rejects(swap({ ...base, template: made }, [year], [path]), (error) => {
      assert.equal(error.kind, "input");
      assert.match(error.message, /Swap template is damaged.*path=.*\.template, tile=\d\/\d\/\d/);
      return true;
    });
  }
  const ctx = testContext();
  const again = await template(base, folder, ctx);
  assert.ok(ctx.lines.some(({ step, message }) => step === "template" && message.includes("begins")));
  assert.ok(readFileSync(again.path).equals(whole));
  await swap({ ...base, template: again }, [year], [path]);
});

test("a template cut short, of another version, of another base, or something else: said, or made again", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 6, [10]);
  const made = await template(base, folder);
  const whole = readFileSync(made.path);
  const refused = (bytes, words) => {
    writeFileSync(made.path, bytes);
    assert.throws(
      () => openTemplate(made.path),
      (error) => error.kind === "input" && words.test(error.message) && error.message.includes(made.path),
    );
  };
  const changed = (at) => Buffer.from(whole.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  refused(whole.subarray(0, 20), /damaged.*what=magic/);
  refused(whole.subarray(0, -5), /damaged.*what=bytes/);
  refused(
    Buffer.from("nothing of the kind, though it is long enough to be a header ..........."),
    /damaged.*what=magic/,
  );
  refused(changed(8), /another version.*expected=1, received=0/);
  refused(changed(whole.length - 3), /damaged.*checksum of the index/);
  refused(changed(13), /damaged.*what=bytes/);
  // The root's own is made again.
  const ctx = testContext();
  const again = await template(base, folder, ctx);
  assert.ok(ctx.lines.some(({ message }) => message.includes("output was changed")));
  assert.ok(readFileSync(again.path).equals(whole));
  // And so is that of a base that has taken the name of another.
  const other = { ...makeBase(tempFolder(t), 6, [11]) };
  const changedBase = testContext();
  await template(other, folder, changedBase);
  assert.ok(
    changedBase.lines.some(({ message }) => /base changed/.test(message)),
    JSON.stringify(changedBase.lines),
  );
});

test("a base that is damaged: the template is not made, and the tile is named", async (t) => {
  const folder = tempFolder(t);
  const base = makeBase(folder, 7, [40]);
  const archive = new Archive(base.path);
  const at = archive.header.tiles.offset + archive.entries.offset(20) + 30;
  archive.close();
  writeFileSync(base.path, Buffer.from(readFileSync(base.path).map((byte, i) => (i === at ? byte ^ 0xff : byte))));
  await assert.rejects(
    template(base, folder),
    (error) =>
      error.kind === "input" &&
      /Base archive cannot be read.*Tile cannot be read \(tile=\d\/\d\/\d\)/.test(error.message),
  );
});

test("places of stretches: in any order, twice, and by whoever waits too long", () => {
  const places = Places.create(3, 2);
  const other = Places.from({ shared: places.shared, stretches: 3, outputs: 2 });
  assert.equal(other.take(1, [5, 5], 5), undefined);
  assert.deepEqual([...places.take(0, [10, 20])], [0, 0]);
  assert.deepEqual([...other.take(1, [5, 6])], [10, 20]);
  assert.deepEqual([...places.take(1, [5, 6])], [10, 20]);
  assert.deepEqual([...other.take(2, [1, 1])], [15, 26]);
  assert.deepEqual([...places.ends()], [16, 27]);
});

test("which years a template is for", () => {
  assert.ok(suitsTemplate(cropKeys(false)));
  assert.ok(!suitsTemplate(cropKeys(true)));
  assert.ok(!suitsTemplate(cropKeys(false, 2019)));
});
