import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { Archive } from "../../dist/archive/reader.js";
import { attributeStats, withAttributes } from "../../dist/archive/tilestats.js";
import { CROPS, fieldChunks } from "../support/geojson-fields.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

test("statistics have the shape that tippecanoe gives them, value for value", { skip: noTippecanoe }, (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const input = Buffer.concat([...fieldChunks(400)]);
  assert.equal(tippecanoe(["-q", "-P", "-Z9", "-z10", "-o", path], { input }).status, 0);
  const archive = new Archive(path);
  t.after(() => archive.close());
  const theirs = archive.metadata().tilestats;
  assert.deepEqual(
    theirs.layers.map(({ layer, count }) => [layer, count]),
    [
      ["centroids", 400],
      ["fields", 400],
    ],
  );
  const crops = attributeStats(
    "crop_code",
    // It lists numbers in the order of their digits.
    [...CROPS].sort((a, b) => (`${a}` < `${b}` ? -1 : 1)),
  );
  for (const { attributes } of theirs.layers) {
    assert.deepEqual(
      attributes.find(({ attribute }) => attribute === "crop_code"),
      crops,
    );
  }
  // The same crops again change nothing.
  assert.deepEqual(withAttributes(theirs, [crops]), theirs);
});

test("attributes are replaced, added in the order of their names, and removed", () => {
  const layer = (attributes) => ({
    layer: "fields",
    count: 3,
    geometry: "Polygon",
    attributeCount: attributes.length,
    attributes,
  });
  const old = { layerCount: 1, layers: [layer([attributeStats("area_ha", [1.5]), attributeStats("crop_code", [9])])] };
  const names = attributeStats("crop_name", ["Corn", "Rice"]);
  assert.deepEqual(withAttributes(old, [names, attributeStats("crop_code", [1, 3])], ["area_ha"]), {
    layerCount: 1,
    layers: [
      layer([
        { attribute: "crop_code", count: 2, type: "number", values: [1, 3], min: 1, max: 3 },
        { attribute: "crop_name", count: 2, type: "string", values: ["Corn", "Rice"] },
      ]),
    ],
  });
  assert.equal(old.layers[0].attributes.length, 2, "the old ones are as they were");
});

test("at most a thousand values are counted and a hundred listed", () => {
  const many = attributeStats(
    "n",
    Array.from({ length: 3000 }, (_, i) => i),
  );
  assert.deepEqual([many.count, many.values.length, many.min, many.max], [1000, 100, 0, 2999]);
});
