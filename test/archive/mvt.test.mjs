import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { VectorTile } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";
import { featureView, readLayers } from "../../dist/archive/mvt.js";
import { Archive } from "../../dist/archive/reader.js";
import { POINT, SQUARE, vectorTile } from "../support/field-tiles.mjs";
import { fieldChunks } from "../support/geojson-fields.mjs";
import { Random } from "../support/random.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

/** A tile as plain objects, by the walk. */
function walked(tile) {
  const view = featureView();
  return readLayers(tile).map((layer) => ({
    name: layer.name,
    version: layer.version,
    extent: layer.extent,
    features: Array.from({ length: layer.featureCount }, (_, i) => {
      layer.readFeature(i, view);
      const properties = {};
      for (const [k, key] of layer.keys.entries()) {
        const value = layer.valueIndex(view, k);
        if (value >= 0) properties[key] = layer.value(value);
      }
      return { id: view.id, type: view.type, properties };
    }),
  }));
}

/** The same by @mapbox/vector-tile. */
function judged(tile) {
  return Object.values(new VectorTile(new PbfReader(tile)).layers).map((layer) => ({
    name: layer.name,
    version: layer.version,
    extent: layer.extent,
    features: Array.from({ length: layer.length }, (_, i) => {
      const { id, type, properties } = layer.feature(i);
      return { id, type, properties: { ...properties } };
    }),
  }));
}

test("a walk tells what @mapbox/vector-tile tells, of every kind of id and value", () => {
  const properties = { a: "text", b: 7, c: -3, d: 1.25, e: "åäö €", f: 2 ** 40 };
  const tile = vectorTile({
    fields: [0, 1, 127, 128, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1, undefined].map((id) => ({ id, ...SQUARE, properties })),
    centroids: [
      { id: 1, ...POINT, properties: { b: 7 } },
      { id: 2, ...POINT },
    ],
  });
  assert.deepEqual(walked(tile), judged(tile));
  assert.equal(walked(tile)[0].features[7].id, undefined);
});

test("floats, booleans, negative 64-bit and zigzag values", () => {
  // Values 2.5 (float), true, -5 (int, ten bytes), -300 (zigzag), in a layer x with one feature that has all.
  const values = [
    [0x15, 0x00, 0x00, 0x20, 0x40],
    [0x38, 0x01],
    [0x20, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x30, 0xd7, 0x04],
  ];
  const keys = ["k", "l", "m", "n"];
  const feature = [0x12, 8, 0, 0, 1, 1, 2, 2, 3, 3, 0x18, 1];
  const layer = [
    0x0a,
    1,
    0x78,
    0x12,
    feature.length,
    ...feature,
    ...keys.flatMap((key) => [0x1a, 1, key.charCodeAt(0)]),
    ...values.flatMap((value) => [0x22, value.length, ...value]),
  ];
  const tile = Buffer.from([0x1a, layer.length, ...layer]);
  assert.deepEqual(walked(tile)[0].features[0].properties, { k: 2.5, l: true, m: -5, n: -300 });
  assert.deepEqual(walked(tile), judged(tile));
});

test("tippecanoe's own tiles, all of an archive", { skip: noTippecanoe }, (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const input = Buffer.concat([...fieldChunks(400)]);
  assert.equal(tippecanoe(["-q", "-P", "-Z8", "-z13", "-o", path], { input }).status, 0);
  const archive = new Archive(path);
  t.after(() => archive.close());
  let features = 0;
  for (let i = 0; i < archive.entries.count; i++) {
    const tile = archive.tile(i);
    const layers = walked(tile);
    assert.deepEqual(layers, judged(tile));
    features += layers.reduce((sum, layer) => sum + layer.features.length, 0);
  }
  assert.ok(features > 3000, `${features}`);
});

test("damaged bytes end in a RangeError or in an answer, never in anything else", () => {
  const properties = { a: "text", b: 700, c: -3, d: 1.25 };
  const sound = vectorTile({ fields: [1, 2, 3].map((id) => ({ id, ...SQUARE, properties })) });
  const random = new Random(3);
  let refused = 0;
  for (let i = 0; i < 4000; i++) {
    const tile = Buffer.from(sound.subarray(0, random.chance(0.3) ? random.integer(1, sound.length) : sound.length));
    for (let n = random.integer(0, 4); n > 0; n--) tile[random.integer(0, tile.length)] = random.integer(0, 256);
    try {
      walked(tile);
    } catch (error) {
      assert.ok(error instanceof RangeError, error.stack);
      refused++;
    }
  }
  assert.ok(refused > 1000, `${refused}`);
});
