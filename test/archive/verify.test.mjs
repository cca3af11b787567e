import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { encodeDirectories, encodeDirectory } from "../../dist/archive/directory.js";
import { Entries } from "../../dist/archive/entries.js";
import { parseHeader, serializeHeader } from "../../dist/archive/header.js";
import { encodeMetadata } from "../../dist/archive/metadata.js";
import { Archive } from "../../dist/archive/reader.js";
import { tileId } from "../../dist/archive/tile-id.js";
import { attributeStats } from "../../dist/archive/tilestats.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";
import { BOUNDS, cropOf, FIELDS, LAYERS, SQUARE, vectorTile, writeFields } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const EXPECTED = { minZoom: 6, maxZoom: 9, layers: LAYERS, bounds: BOUNDS };
const INDEX_OF_TILE = 5;

/** What an archive of `rows` fields must hold, crops included. */
function audit(rows) {
  const values = Int16Array.from({ length: rows }, (_, row) => cropOf(row));
  const layers = [
    { name: "fields", geometryType: 3 },
    { name: "centroids", geometryType: 1 },
  ];
  return { rows, layers, attribute: { key: "crop_code", values } };
}

test("a sound archive passes, and every row is counted", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path);
  const counted = await verifyArchive(path, { ...EXPECTED, audit: audit(rows) });
  const archive = new Archive(path);
  t.after(() => archive.close());
  assert.equal(counted.entries, archive.entries.count);
  // One feature of each layer in every tile.
  assert.deepEqual(
    counted.layers.map(({ features }) => features),
    [counted.entries, counted.entries],
  );
});

test("a sample opens as many tiles as it says, the same every time", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path, { maxZoom: 11 });
  assert.ok(rows > 100);
  const counts = [];
  for (const sample of [0, 20, 20, 1e9]) {
    counts.push((await verifyArchive(path, { audit: { rows, layers: audit(rows).layers } }, { sample })).entries);
  }
  const archive = new Archive(path);
  t.after(() => archive.close());
  // The first and last of zooms 7 to 11, and the one or two of zoom 6.
  assert.ok(counts[0] >= 11 && counts[0] <= 12, `${counts[0]}`);
  assert.deepEqual(counts.slice(1), [20, 20, archive.entries.count]);
});

test("the error's kind is the caller's where a tool made the archive", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  await assert.rejects(verifyArchive(path, { minZoom: 4 }, { kind: "tool" }), { kind: "tool" });
  await assert.rejects(verifyArchive(path, { minZoom: 4 }), { kind: "input" });
});

test("verifying ends at once when it is aborted", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  const reason = new Error("enough");
  await assert.rejects(verifyArchive(path, {}, { signal: AbortSignal.abort(reason) }), reason);
});

// Damage to a file on disk -----------------------------------------------------------------------------------------

const flip = (path, at) => {
  const bytes = readFileSync(path);
  bytes[at] ^= 0x10;
  writeFileSync(path, bytes);
};
const patchHeader = (path, change) => {
  const bytes = readFileSync(path);
  const header = parseHeader(bytes);
  bytes.set(serializeHeader({ ...header, ...change(header) }));
  writeFileSync(path, bytes);
};
/** Put another root directory into the file; `change` gets the entries as columns. */
const patchEntries = (path, change) => {
  const archive = new Archive(path);
  const { entries, header } = archive;
  archive.close();
  change(entries);
  const root = encodeDirectory(entries);
  const bytes = readFileSync(path);
  bytes.fill(0, 127, 16_384);
  bytes.set(root, 127);
  bytes.set(serializeHeader({ ...header, root: { offset: 127, length: root.length } }));
  writeFileSync(path, bytes);
};
const patchTile = (change) => ({
  change: (tile, layers) => (tile.z === 9 && layers.fields[0].id === INDEX_OF_TILE ? change(tile, layers) : layers),
});
const bounds = (changed) => (path) => patchHeader(path, (h) => ({ bounds: { ...h.bounds, ...changed } }));

// [what, options of the archive, damage to the file, sentence, keys that `where` must name besides the path]
const DAMAGES = [
  ["an empty file", {}, (path) => truncateSync(path, 0), /Not a PMTiles archive/, ["expected", "received"]],
  ["another kind of file", {}, (path) => writeFileSync(path, "x".repeat(500)), /Not a PMTiles archive/, ["received"]],
  ["an unknown version", {}, (path) => flip(path, 7), /Unknown PMTiles version/, ["expected", "received"]],
  [
    "a file cut short by one byte",
    {},
    (path) => truncateSync(path, readFileSync(path).length - 1),
    /cut short/,
    ["section"],
  ],
  ["a file cut in half", {}, (path) => truncateSync(path, 17_000), /cut short/, ["section", "expected", "received"]],
  [
    "bytes after the end",
    {},
    (path) => writeFileSync(path, "more", { flag: "a" }),
    /does not end/,
    ["expected", "received"],
  ],
  [
    "a flipped bit in the root directory",
    {},
    (path) => flip(path, 127 + 40),
    /Directory cannot be read/,
    ["directory"],
  ],
  [
    "a flipped bit in the metadata",
    {},
    (path) => flip(path, parseHeader(readFileSync(path)).metadata.offset + 20),
    /Metadata cannot be read/,
    [],
  ],
  [
    "a flipped bit in a tile",
    {},
    (path) => flip(path, 16_384 + 30),
    /Tile cannot be decompressed|Tile cannot be read/,
    ["tile", "entry"],
  ],
  [
    "a run that reaches into the next entry",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        entries.runLengths[3] = 1e6;
      }),
    /Entries overlap or are out of order/,
    ["entry", "tile", "expected", "received"],
  ],
  [
    "the same tile twice",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        entries.tileIds[4] = entries.tileIds[3];
      }),
    /tile id twice/,
    ["entry"],
  ],
  [
    "an entry past the tile data",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        entries.offsets[entries.count - 1] += 1;
      }),
    /past the tile data/,
    ["entry", "tile", "expected", "received"],
  ],
  [
    "contents that overlap",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        entries.offsets[6] -= 5;
      }),
    /Contents overlap/,
    ["entry", "tile"],
  ],
  [
    "contents out of the order that the header claims",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        const [i, j] = [entries.count - 2, entries.count - 1];
        for (const column of [entries.offsets, entries.lengths]) [column[i], column[j]] = [column[j], column[i]];
      }),
    /not in the order/,
    ["entry", "tile"],
  ],
  [
    "tile data that nothing points to",
    {},
    (path) =>
      patchEntries(path, (entries) => {
        entries.count -= 1;
      }),
    /longer than the contents/,
    ["expected", "received"],
  ],
  [
    "a wrong count of tiles",
    {},
    (path) => patchHeader(path, () => ({ addressedTiles: 7 })),
    /addressed tiles/,
    ["expected"],
  ],
  [
    "a wrong count of entries",
    {},
    (path) => patchHeader(path, () => ({ tileEntries: 7 })),
    /tile entries/,
    ["expected"],
  ],
  [
    "a wrong count of contents",
    {},
    (path) => patchHeader(path, () => ({ tileContents: 7 })),
    /tile contents/,
    ["expected"],
  ],
  ["a lowest zoom without tiles", {}, (path) => patchHeader(path, () => ({ minZoom: 5 })), /owest zoom/, ["expected"]],
  [
    "a highest zoom without tiles",
    {},
    (path) => patchHeader(path, () => ({ maxZoom: 10 })),
    /ighest zoom/,
    ["expected"],
  ],
  [
    "a zoom that is missing",
    { change: (tile, layers) => (tile.z === 8 ? null : layers) },
    undefined,
    /zoom has no tiles/,
    ["zoom"],
  ],
  ["a highest zoom that is missing", { maxZoom: 8 }, undefined, /Highest zoom/, ["expected", "received"]],
  [
    "bounds that are too wide",
    {},
    bounds({ west: -101 }),
    /Bounds differ from the expected|differ in extent/,
    ["received"],
  ],
  ["bounds of nothing", {}, bounds({ south: 60 }), /Bounds are invalid/, ["received"]],
  ["bounds outside the world", {}, bounds({ east: 181 }), /Bounds are invalid/, ["received"]],
  [
    "a center outside the bounds",
    {},
    (path) => patchHeader(path, () => ({ center: { zoom: 6, lng: 10, lat: 50 } })),
    /Center lies outside/,
    ["expected", "received"],
  ],
  [
    "sections that overlap",
    {},
    (path) => patchHeader(path, (h) => ({ metadata: { ...h.metadata, offset: h.metadata.offset - 10 } })),
    /Sections overlap/,
    ["section", "expected", "received"],
  ],
  [
    "a compression that is not gzip",
    {},
    (path) => patchHeader(path, () => ({ tileCompression: 3 })),
    /Unsupported tileCompression/,
    ["expected", "received"],
  ],
  [
    "tiles of another type",
    {},
    (path) => patchHeader(path, () => ({ tileType: 2 })),
    /not vector tiles/,
    ["expected", "received"],
  ],
  ["no vector_layers", { metadata: { name: "x" } }, undefined, /no vector_layers/, []],
  [
    "another layer in the metadata",
    { metadata: { vector_layers: [...LAYERS, "roads"].map((id) => ({ id, fields: {} })) } },
    undefined,
    /Layers differ from the expected/,
    ["expected", "received"],
  ],
  [
    "a layer in a tile that was not announced",
    patchTile((_, layers) => ({ ...layers, roads: layers.fields })),
    undefined,
    /vector_layers does not list/,
    ["tile", "layer", "expected"],
  ],
  [
    "a tile that is no vector tile",
    patchTile(() => gzipSync("not protobuf at all")),
    undefined,
    /Tile cannot be read/,
    ["tile", "entry"],
  ],
  [
    "a tile cut off before it was compressed",
    patchTile((_, layers) => gzipSync(vectorTile(layers).subarray(0, -7))),
    undefined,
    /Tile cannot be read/,
    ["tile", "entry"],
  ],
  [
    "a tile that is not compressed",
    patchTile((_, layers) => vectorTile(layers)),
    undefined,
    /Tile cannot be decompressed/,
    ["tile"],
  ],
  ["a tile without layers", patchTile(() => gzipSync("")), undefined, /Tile cannot be read/, ["tile"]],
  [
    "a field that is lost",
    patchTile((_, { centroids }) => ({ centroids })),
    undefined,
    /Features are missing/,
    ["layer", "zoom", "expected", "received", "missing"],
  ],
  [
    "a feature without an id",
    patchTile((_, { fields, centroids }) => ({ fields: [{ ...fields[0], id: undefined }], centroids })),
    undefined,
    /not a row number/,
    ["tile", "layer", "expected", "received"],
  ],
  [
    "a feature with an id beyond the rows",
    patchTile((_, { fields, centroids }) => ({ fields: [...fields, { ...fields[0], id: 4_000_000_000 }], centroids })),
    undefined,
    /not a row number/,
    ["tile", "layer", "expected", "received"],
  ],
  [
    "a polygon among the centroids",
    patchTile((_, { fields, centroids }) => ({ fields, centroids: [{ ...centroids[0], ...SQUARE }] })),
    undefined,
    /wrong geometry type/,
    ["tile", "layer", "id"],
  ],
  [
    "a field with another field's crop",
    patchTile((_, { fields, centroids }) => ({
      fields: [{ ...fields[0], properties: { ...fields[0].properties, crop_code: 251 } }],
      centroids,
    })),
    undefined,
    /attribute differs/,
    ["tile", "layer", "id", "expected", "received"],
  ],
  [
    "a field that lost its crop",
    patchTile((_, { fields, centroids }) => ({ fields: [{ ...fields[0], properties: {} }], centroids })),
    undefined,
    /attribute differs/,
    ["tile", "layer", "id", "expected", "received"],
  ],
];

const withField = (change) => patchTile((_, { fields, centroids }) => ({ fields: [change(fields[0])], centroids }));
const geometry = (commands, more = {}) => withField((field) => ({ ...field, geometry: commands, ...more }));
const PLACE = ["tile", "layer", "id", "feature"];
const ANNOUNCED = LAYERS.map((id) => ({ id, fields: FIELDS }));
const statsOf = (layer, attribute) => ({
  layer,
  count: 1,
  geometry: "Polygon",
  attributeCount: 1,
  attributes: [attributeStats(attribute, [1, 2])],
});
// 9: move once. 26: three lines. 15: close. Steps are zigzag numbers.
DAMAGES.push(
  ["a polygon without geometry", geometry([]), undefined, /Geometry is empty/, PLACE],
  [
    "a geometry of no type",
    geometry([9, 2, 2], { type: 0 }),
    undefined,
    /wrong geometry type/,
    ["tile", "layer", "id"],
  ],
  ["an unknown command", geometry([9, 2, 2, 27, 2, 2]), undefined, /unknown command/, PLACE],
  ["lines before a move", geometry([26, 200, 0, 0, 200, 199, 0, 15]), undefined, /out of order/, PLACE],
  ["a geometry that ends inside a command", geometry([9, 2, 2, 26, 100, 0, 0]), undefined, /ends inside/, PLACE],
  ["a command without a count", geometry([9, 2, 2, 2, 15]), undefined, /without a count/, PLACE],
  ["a number beyond 32 bits", geometry([9, 2, 2, 26, 2 ** 40, 0, 0, 2, 2, 0, 15]), undefined, /invalid/, PLACE],
  ["a ring that is not closed", geometry([9, 200, 200, 26, 100, 0, 0, 100, 99, 0]), undefined, /not closed/, PLACE],
  ["a ring of two vertices", geometry([9, 200, 200, 10, 100, 0, 15]), undefined, /too few vertices/, PLACE],
  ["a ring without area", geometry([9, 2, 2, 18, 20, 0, 20, 0, 15]), undefined, /no exterior/, PLACE],
  ["a hole without a polygon", geometry([9, 200, 200, 26, 0, 100, 100, 0, 0, 99, 15]), undefined, /no exterior/, PLACE],
  [
    "a ring that begins twice",
    geometry([17, 2, 2, 2, 2, 26, 2, 0, 0, 2, 1, 0, 15]),
    undefined,
    /several points/,
    PLACE,
  ],
  [
    "a vertex far outside the tile",
    geometry([9, 200, 200, 26, 16000, 0, 0, 100, 99, 0, 15]),
    undefined,
    /leaves its tile/,
    PLACE,
  ],
  ["a vertex beyond the buffer", geometry([9, 601, 2, 18, 700, 0, 0, 700, 15]), undefined, /leaves its tile/, PLACE],
  [
    "a point with something after it",
    patchTile((_, { fields, centroids }) => ({
      fields,
      centroids: [{ ...centroids[0], geometry: [9, 2, 2, 10, 2, 2] }],
    })),
    undefined,
    /goes on after its points/,
    PLACE,
  ],
  [
    "an attribute that vector_layers does not",
    withField((field) => ({ ...field, properties: { ...field.properties, owner: 7 } })),
    undefined,
    /Attribute owner was not announced/,
    PLACE,
  ],
  [
    "an attribute of another type",
    withField((field) => ({ ...field, properties: { ...field.properties, area_ha: "many" } })),
    undefined,
    /area_ha was announced as Number and is a string/,
    PLACE,
  ],
  [
    "a tag that points past the keys",
    patchTile((_, layers) => {
      const tile = vectorTile(layers);
      // Tag 2, packed, of six numbers: the first key's index.
      const at = tile.indexOf(Buffer.from([0x12, 6]));
      tile[at + 2] = 100;
      return gzipSync(tile);
    }),
    undefined,
    /Tile cannot be read/,
    ["tile", "entry"],
  ],
  [
    "a layer that is in its tile twice",
    patchTile((_, layers) => gzipSync(Buffer.concat([vectorTile(layers), vectorTile({ fields: layers.fields })]))),
    undefined,
    /Tile cannot be read/,
    ["tile", "entry"],
  ],
  [
    "statistics of an attribute that is not there",
    { metadata: { vector_layers: ANNOUNCED, tilestats: { layerCount: 1, layers: [statsOf("fields", "owner")] } } },
    undefined,
    /tilestats list an attribute/,
    ["layer", "attribute", "expected"],
  ],
  [
    "statistics of a layer that is not there",
    { metadata: { vector_layers: ANNOUNCED, tilestats: { layerCount: 1, layers: [statsOf("roads", "crop_code")] } } },
    undefined,
    /tilestats list a layer/,
    ["layer", "expected"],
  ],
  [
    "a layer at a zoom that it was not announced for",
    { metadata: { vector_layers: LAYERS.map((id) => ({ id, fields: FIELDS, minzoom: 6, maxzoom: 8 })) } },
    undefined,
    /outside the zooms that vector_layers lists/,
    ["tile", "layer", "expected"],
  ],
);

for (const [what, options, damage, sentence, keys] of DAMAGES) {
  test(`found and named: ${what}`, async (t) => {
    const path = join(tempFolder(t), "a.pmtiles");
    const rows = writeFields(path, options);
    damage?.(path);
    await assert.rejects(verifyArchive(path, { ...EXPECTED, audit: audit(rows) }), (error) => {
      assert.equal(error.kind, "input", error.stack);
      assert.match(error.sentence, sentence);
      assert.equal(error.where.path, path);
      for (const key of keys) assert.notEqual(error.where[key], undefined, `${key} in ${error.message}`);
      return true;
    });
  });
}

test("bounds that are wrong are found by the tiles alone", async (t) => {
  const folder = tempFolder(t);
  for (const changed of [{ west: -101 }, { west: -97 }, { east: -90 }, { south: 37 }, { north: 45 }]) {
    const path = join(folder, "a.pmtiles");
    writeFields(path);
    bounds(changed)(path);
    patchHeader(path, (h) => ({ center: { ...h.center, lng: -96.5, lat: 39 } }));
    await assert.rejects(verifyArchive(path), /differ in extent/);
  }
});

/** An archive whose directory needs leaves. */
function writeLeaves(path) {
  const writer = new ArchiveWriter(path);
  const first = tileId({ z: 12, x: 0, y: 0 });
  const bytes = vectorTile({ fields: [{ id: 1, ...SQUARE }] });
  for (let i = 0; i < 30_000; i++)
    writer.write(first + i * 2, gzipSync(Buffer.concat([bytes, extraField(i)]), { level: 1 }));
  writer.finish({
    metadata: { vector_layers: [{ id: "fields", fields: {} }] },
    bounds: { west: -180, south: 40, east: -150, north: 85 },
    center: { zoom: 12, lng: -170, lat: 70 },
  });
}

/** An unknown field, which makes each tile's bytes its own. */
function extraField(i) {
  const text = Buffer.from(String(i));
  return Buffer.concat([Buffer.from([(15 << 3) | 2, text.length]), text]);
}

test("found and named: damage to leaf directories", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeLeaves(path);
  const sound = readFileSync(path);
  const header = parseHeader(sound);
  assert.ok(header.leaves.length > 0);
  const damage = async (change, sentence, keys) => {
    const bytes = Buffer.from(sound);
    change(bytes);
    writeFileSync(path, bytes);
    await assert.rejects(verifyArchive(path, {}, { sample: 0 }), (error) => {
      assert.match(error.message, sentence);
      for (const key of ["path", ...keys]) assert.notEqual(error.where[key], undefined, `${key} in ${error.message}`);
      return true;
    });
  };
  const putRoot = (bytes, change) => {
    const archive = new Archive(path);
    const pointers = archive.leafPointers;
    archive.close();
    change(pointers);
    const root = encodeDirectory(pointers);
    bytes.set(root, 127);
    bytes.set(serializeHeader({ ...header, root: { offset: 127, length: root.length } }));
  };
  const restore = () => writeFileSync(path, sound);
  await damage(
    (bytes) => {
      bytes[header.leaves.offset + 100] ^= 1;
    },
    /cannot be read/,
    ["directory"],
  );
  restore();
  await damage(
    (bytes) => putRoot(bytes, (p) => p.tileIds[1]--),
    /does not start at the tile id in the root directory/,
    ["directory", "expected", "received"],
  );
  restore();
  await damage((bytes) => putRoot(bytes, (p) => p.offsets[p.count - 1]++), /outside its section/, ["directory"]);
  restore();
  await damage((bytes) => putRoot(bytes, (p) => p.count--), /do not fill their section/, ["expected", "received"]);
});

test("found and named: a root directory that does not fit in the first 16 KiB", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  const bytes = readFileSync(path);
  const header = parseHeader(bytes);
  const root = bytes.subarray(127, 127 + header.root.length);
  const moved = { ...header, root: { offset: bytes.length, length: root.length } };
  const all = Buffer.concat([bytes, root]);
  all.set(serializeHeader(moved));
  writeFileSync(path, all);
  await assert.rejects(verifyArchive(path), /first 16 KiB/);
});

test("an archive that is not clustered and says so is sound", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const contents = [1, 2, 3].map((id) => gzipSync(vectorTile({ fields: [{ id, ...SQUARE }] })));
  const entries = new Entries();
  const first = tileId({ z: 1, x: 0, y: 0 });
  const offsets = [contents[1].length + contents[2].length, 0, contents[1].length];
  contents.forEach((content, i) => {
    entries.push(first + i, offsets[i], content.length, 1);
  });
  const { root, leaves } = encodeDirectories(entries);
  assert.equal(leaves.length, 0);
  const metadata = encodeMetadata({ vector_layers: [{ id: "fields", fields: {} }] });
  const tiles = Buffer.concat([contents[1], contents[2], contents[0]]);
  const header = serializeHeader({
    root: { offset: 127, length: root.length },
    metadata: { offset: 127 + root.length, length: metadata.length },
    leaves: { offset: 0, length: 0 },
    tiles: { offset: 127 + root.length + metadata.length, length: tiles.length },
    addressedTiles: 3,
    tileEntries: 3,
    tileContents: 3,
    clustered: false,
    internalCompression: 2,
    tileCompression: 2,
    tileType: 1,
    minZoom: 1,
    maxZoom: 1,
    bounds: { west: -170, south: -80, east: 170, north: 80 },
    center: { zoom: 1, lng: 0, lat: 0 },
  });
  writeFileSync(path, Buffer.concat([header, root, metadata, tiles]));
  assert.equal((await verifyArchive(path)).entries, 3);
});
