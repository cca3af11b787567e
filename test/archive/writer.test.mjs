import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { Archive } from "../../dist/archive/reader.js";
import { tileId, tileOf } from "../../dist/archive/tile-id.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";
import { BOUNDS, LAYERS, vectorTile, writeFields } from "../support/field-tiles.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { randomBytes } from "../support/random-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const FACTS = {
  metadata: { name: "n", vector_layers: [{ id: "fields", fields: {} }] },
  bounds: BOUNDS,
  center: { zoom: 5, lng: -97, lat: 39 },
};

test("an archive is read alike by npm's pmtiles: header, metadata, every tile, and none that is not there", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const contents = new Map();
  const rows = writeFields(path, {
    change(tile, layers) {
      contents.set(tileId(tile), vectorTile(layers));
      return layers;
    },
  });
  assert.ok(rows >= 12, `${rows}`);
  const other = await openPmtiles(t, path);
  const header = await other.getHeader();
  assert.equal(header.specVersion, 3);
  assert.equal(header.numAddressedTiles, contents.size);
  assert.equal(header.clustered, true);
  assert.deepEqual([header.minZoom, header.maxZoom], [6, 9]);
  assert.deepEqual([header.minLon, header.minLat, header.maxLon, header.maxLat], [-98, 38, -96, 39.5]);
  assert.deepEqual([header.centerZoom, header.centerLon, header.centerLat], [6, -97, 38.75]);
  assert.deepEqual(
    (await other.getMetadata()).vector_layers.map(({ id }) => id),
    LAYERS,
  );
  for (const [id, content] of contents) {
    const { z, x, y } = tileOf(id);
    const tile = await other.getZxy(z, x, y);
    assert.ok(Buffer.from(tile.data).equals(content), `${z}/${x}/${y}`);
  }
  assert.equal(await other.getZxy(9, 0, 0), undefined);
  const archive = new Archive(path);
  t.after(() => archive.close());
  assert.equal(archive.find({ z: 9, x: 0, y: 0 }), undefined);
  for (const [id, content] of contents) assert.ok(content.equals(archive.find(tileOf(id))));
});

test("identical tiles are stored once: runs where they follow each other, pointers back where not", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const [a, b, c] = ["aa", "bb", "cc"].map((text) => gzipSync(text));
  const order = [a, a, a, b, a, c, c, b, a, a];
  const writer = new ArchiveWriter(path);
  const first = tileId({ z: 5, x: 0, y: 0 });
  for (const [i, content] of order.entries()) writer.write(first + i, content);
  const header = writer.finish(FACTS);
  assert.equal(header.addressedTiles, 10);
  assert.equal(header.tileContents, 3);
  assert.equal(header.tileEntries, 6);
  assert.equal(header.tiles.length, a.length + b.length + c.length);
  const other = await openPmtiles(t, path);
  for (const [i, content] of order.entries()) {
    const { z, x, y } = tileOf(first + i);
    assert.deepEqual(Buffer.from((await other.getZxy(z, x, y)).data), gunzipSync(content));
  }
});

test("a repeated tile is found again on disk and over the edge of the buffer", (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const contents = Array.from({ length: 7 }, (_, i) => gzipSync(randomBytes(1_000_003, i + 1)));
  const writer = new ArchiveWriter(path);
  const first = tileId({ z: 6, x: 0, y: 0 });
  for (let i = 0; i < 14; i++) writer.write(first + i, contents[i % 7]);
  assert.equal(writer.finish(FACTS).tileContents, 7);
  const archive = new Archive(path);
  t.after(() => archive.close());
  for (let i = 0; i < 14; i++) assert.ok(contents[i % 7].equals(archive.storedTile(i)), `tile ${i}`);
});

test("contents of equal checksum and length that differ are both kept", (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const one = gzipSync("some tile");
  const two = Buffer.from(one);
  // Another operating system in gzip's header: other bytes, the same CRC-32 at the end.
  two[9] ^= 1;
  const writer = new ArchiveWriter(path);
  const first = tileId({ z: 5, x: 0, y: 0 });
  for (const [i, content] of [one, two, one, two].entries()) writer.write(first + i, content);
  writer.finish(FACTS);
  const archive = new Archive(path);
  t.after(() => archive.close());
  for (const [i, content] of [one, two, one, two].entries()) assert.ok(content.equals(archive.storedTile(i)));
});

test("60,000 tiles that do not follow each other need leaf directories, and are all found", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const writer = new ArchiveWriter(path);
  const first = tileId({ z: 12, x: 0, y: 0 });
  const idOf = (i) => first + i * 3 + (i % 2);
  const contentOf = (i) => gzipSync(`${i} ${"x".repeat(i % 50)}`, { level: 1 });
  for (let i = 0; i < 60_000; i++) writer.write(idOf(i), contentOf(i));
  const header = writer.finish(FACTS);
  assert.ok(header.leaves.length > 0);
  assert.ok(header.root.offset + header.root.length <= 16_384);
  const archive = new Archive(path);
  t.after(() => archive.close());
  assert.ok(archive.leafPointers.count > 1);
  assert.equal(archive.entries.count, 60_000);
  const other = await openPmtiles(t, path);
  for (let i = 0; i < 60_000; i += 997) {
    const { z, x, y } = tileOf(idOf(i));
    const expected = gunzipSync(contentOf(i)).toString();
    assert.equal(Buffer.from((await other.getZxy(z, x, y)).data).toString(), expected);
    assert.equal(Buffer.from(archive.find({ z, x, y })).toString(), expected);
    assert.equal(archive.find(tileOf(idOf(i) + 1)), undefined);
  }
});

test("the same tiles give the same bytes", (t) => {
  const folder = tempFolder(t);
  writeFields(join(folder, "a.pmtiles"));
  writeFields(join(folder, "b.pmtiles"));
  assert.ok(readFileSync(join(folder, "a.pmtiles")).equals(readFileSync(join(folder, "b.pmtiles"))));
});

test("tiles out of order, empty tiles and an archive without any are refused", (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const writer = new ArchiveWriter(path);
  assert.throws(() => writer.finish(FACTS), /without tiles/);
  const first = tileId({ z: 5, x: 0, y: 0 });
  writer.write(first, gzipSync("a"), 4);
  assert.throws(() => writer.write(first + 3, gzipSync("b")), /in ascending order/);
  assert.throws(() => writer.write(first + 9, new Uint8Array()), /in ascending order and not empty/);
  writer.close();
  assert.throws(() => new Archive(path), { kind: "input" });
});

test("what a write leaves that was cut off is no archive", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const writer = new ArchiveWriter(path);
  for (let i = 0; i < 9; i++) writer.write(i, gzipSync(randomBytes(2 ** 20, i + 1)));
  writer.close();
  assert.ok(statSync(path).size > 2 ** 20);
  await assert.rejects(verifyArchive(path), { kind: "input", sentence: "Not a PMTiles archive" });
});

test("a full disk is an error of kind space that names the file", (t) => {
  const folder = tinyDisk(t, "6m");
  if (folder === undefined) return t.skip("mount is not permitted here");
  const path = join(folder, "a.pmtiles");
  const writer = new ArchiveWriter(path);
  const fill = () => {
    for (let i = 0; i < 64; i++) writer.write(i, randomBytes(2 ** 20, i + 1));
    writer.finish(FACTS);
  };
  assert.throws(fill, (error) => error.kind === "space" && error.where.path === path);
  writer.close();
});
