import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { deflateSync, gzipSync } from "node:zlib";
import sqlite from "node-sqlite3-wasm";
import { Archive } from "../../dist/archive/reader.js";
import { tileOf } from "../../dist/archive/tile-id.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { command } from "../support/command.mjs";
import { BOUNDS, POINT, SQUARE, tilesOver, vectorTile } from "../support/field-tiles.mjs";
import { fieldChunks } from "../support/geojson-fields.mjs";
import { writeMbtiles } from "../support/mbtiles-file.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { randomBytes } from "../support/random-bytes.mjs";
import { inScratch } from "../support/scratch.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";
import { decodeZoom, noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

const ARCHIVE = fileURLToPath(new URL("../../dist/archive.js", import.meta.url));
const tileOfField = (id) =>
  vectorTile({ fields: [{ id, ...SQUARE, properties: { field_id: id } }], centroids: [{ id, ...POINT }] });

test("tippecanoe's MBTiles become the archive that it writes itself", { skip: noTippecanoe }, async (t) => {
  const folder = tempFolder(t);
  const [source, target, direct] = ["a.mbtiles", "a.pmtiles", "direct.pmtiles"].map((name) => join(folder, name));
  const input = Buffer.concat([...fieldChunks(1500)]);
  for (const output of [source, direct]) {
    assert.equal(tippecanoe(["-q", "-P", "-Z4", "-z14", "-o", output], { input }).status, 0);
  }
  const before = readFileSync(source);
  const { code, stderr, json } = await command("archive", ["convert", source, "--threads", "2", "--json"]);
  assert.equal(code, 0, stderr);
  await verifyArchive(target, { minZoom: 4, maxZoom: 14, layers: ["fields", "centroids"] });
  const [ours, theirs] = [await openPmtiles(t, target), await openPmtiles(t, direct)];
  const [a, b] = [await ours.getHeader(), await theirs.getHeader()];
  for (const key of ["minZoom", "maxZoom", "numAddressedTiles", "tileType", "tileCompression", "clustered"]) {
    assert.equal(a[key], b[key], key);
  }
  for (const key of ["minLon", "minLat", "maxLon", "maxLat", "centerLon", "centerLat"]) {
    assert.ok(Math.abs(a[key] - b[key]) < 1e-5, key);
  }
  assert.equal(json.tiles, b.numAddressedTiles);
  const archive = new Archive(direct);
  t.after(() => archive.close());
  for (let i = 0; i < archive.entries.count; i++) {
    const { z, x, y } = tileOf(archive.entries.tileId(i));
    const tile = await ours.getZxy(z, x, y);
    assert.ok(Buffer.from(tile.data).equals(archive.tile(i)), `${z}/${x}/${y}`);
  }
  const [carried, original] = [await ours.getMetadata(), await theirs.getMetadata()];
  for (const key of ["vector_layers", "tilestats", "generator", "type"]) {
    assert.deepEqual(carried[key], original[key], key);
  }
  assert.equal(carried.minzoom ?? carried.bounds ?? carried.json, undefined);
  assert.equal(decodeZoom(target, 14).fields.size, 1500);
  assert.ok(readFileSync(source).equals(before));
  assert.deepEqual(readdirSync(folder).sort(), ["a.mbtiles", "a.pmtiles", "direct.pmtiles"]);
});

test("a plain table: rows from the south, every compression, identical tiles once, empty ones counted", async (t) => {
  const folder = tempFolder(t);
  const [source, target] = [join(folder, "a.mbtiles"), join(folder, "b.pmtiles")];
  const same = gzipSync(tileOfField(7));
  const written = tilesOver(BOUNDS, 6, 10).map((tile, i) => ({ ...tile, plain: tileOfField(i), i }));
  for (const tile of written) {
    tile.data = [tile.plain, gzipSync(tile.plain), deflateSync(tile.plain), same][tile.i % 4];
    if (tile.i % 4 === 3) tile.plain = tileOfField(7);
  }
  const empty = written.splice(40, 2);
  [empty[0].data, empty[1].data] = [null, Buffer.alloc(0)];
  // Not in any order.
  const rows = [...written, ...empty].sort((a, b) => ((a.i * 7919) % 101) - ((b.i * 7919) % 101));
  const metadata = {
    bounds: "-98,38,-96,39.5",
    center: "-97,39,7",
    attribution: "someone",
    minzoom: "6",
    maxzoom: "10",
  };
  writeMbtiles(source, rows, { metadata });
  writeFileSync(target, "what was there before");
  const { code, stderr, json } = await command("archive", [
    "convert",
    source,
    target,
    "--force",
    "--threads",
    "2",
    "--json",
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /2 tiles are empty and left out/);
  assert.deepEqual([json.tiles, json.emptyTiles], [rows.length, 2]);
  const archive = await openPmtiles(t, target);
  const header = await archive.getHeader();
  assert.equal(header.numAddressedTiles, written.length);
  assert.deepEqual([header.minLon, header.minLat, header.maxLon, header.maxLat], [-98, 38, -96, 39.5]);
  assert.deepEqual([header.centerLon, header.centerLat, header.centerZoom], [-97, 39, 7]);
  const sames = written.filter(({ i }) => i % 4 === 3).length;
  assert.equal(header.numTileContents, written.length - sames + 1);
  for (const { z, x, y, plain } of written) {
    const tile = await archive.getZxy(z, x, y);
    assert.ok(Buffer.from(tile.data).equals(plain), `${z}/${x}/${y}`);
  }
  assert.equal((await archive.getMetadata()).attribution, "someone");
  await verifyArchive(target);
});

test("bounds that the file does not tell are those of its tiles", async (t) => {
  const source = join(tempFolder(t), "a.mbtiles");
  writeMbtiles(source, [
    { z: 1, x: 0, y: 0, data: gzipSync(tileOfField(1)) },
    { z: 2, x: 1, y: 1, data: gzipSync(tileOfField(2)) },
  ]);
  assert.equal((await command("archive", ["convert", source])).code, 0);
  const header = await (await openPmtiles(t, source.replace("mbtiles", "pmtiles"))).getHeader();
  assert.deepEqual([header.minLon, header.minLat, header.maxLon].map(Math.round), [-90, 0, 0]);
  assert.ok(Math.abs(header.maxLat - 66.51326) < 1e-4);
});

for (const [what, json, drop] of [
  ["no json", undefined],
  ["json without layers", '{"strategies":[]}'],
  ["an empty list of layers", '{"vector_layers":[]}'],
  ["no metadata table", undefined, "DROP TABLE metadata"],
]) {
  test(`layers that the file does not describe are those of its tiles: ${what}`, async (t) => {
    const [source, target] = ["a.mbtiles", "a.pmtiles"].map((name) => join(tempFolder(t), name));
    const square = (id, properties) => ({ id, ...SQUARE, properties });
    const low = vectorTile({ fields: [square(1, { name: "a", mixed: 1 }), square(2, { mixed: "x" })] });
    const high = vectorTile({
      fields: [square(1, { far: -5 })],
      centroids: [{ id: 1, ...POINT, properties: { on: 1 } }],
    });
    writeMbtiles(
      source,
      [
        { z: 3, x: 1, y: 1, data: gzipSync(low) },
        { z: 4, x: 2, y: 2, data: high },
      ],
      { metadata: { json } },
    );
    if (drop !== undefined) {
      const db = new sqlite.Database(source);
      db.exec(drop);
      db.close();
    }
    const { code, stderr } = await command("archive", ["convert", source, target]);
    assert.equal(code, 0, stderr);
    assert.deepEqual((await (await openPmtiles(t, target)).getMetadata()).vector_layers, [
      { id: "centroids", minzoom: 4, maxzoom: 4, fields: { on: "Number" } },
      { id: "fields", minzoom: 3, maxzoom: 4, fields: { name: "String", mixed: "Mixed", far: "Number" } },
    ]);
    const verified = await command("archive", ["verify", target]);
    assert.equal(verified.code, 0, verified.stderr);
  });
}

const one = { z: 3, x: 1, y: 1, data: gzipSync(tileOfField(1)) };
const BROKEN = [
  ["a missing file", () => {}, /File not found/],
  ["another kind of file", (path) => writeFileSync(path, "x".repeat(9000)), /MBTiles cannot be/],
  ["an empty file", (path) => writeFileSync(path, ""), /Not an MBTiles file|cannot be/],
  [
    "a file cut short",
    (path) => {
      const tiles = tilesOver(BOUNDS, 9, 11).map((tile, i) => ({ ...tile, data: Buffer.from(randomBytes(5000, i)) }));
      writeMbtiles(path, tiles);
      truncateSync(path, 300_000);
    },
    /MBTiles cannot be (opened|read).*malformed/,
  ],
  ["no tiles", (path) => writeMbtiles(path, []), /has no tiles/],
  ["pictures", (path) => writeMbtiles(path, [one], { metadata: { format: "png" } }), /no vector tiles .*received=png/],
  [
    "json that is none",
    (path) => writeMbtiles(path, [one], { metadata: { json: "{" } }),
    /row `json` is not a valid JSON object/,
  ],
  ["a tile twice", (path) => writeMbtiles(path, [one, one], { index: false }), /tile twice .*tile=3\/1\/1/],
  ["a tile outside the world", (path) => writeMbtiles(path, [{ ...one, x: 8 }]), /not in the world.*column 8/],
  ["a tile that is text", (path) => writeMbtiles(path, [{ ...one, data: "text" }]), /not a blob .*tile=3\/1\/1/],
  [
    "a file that is still being written",
    (path) => {
      writeMbtiles(path, [one]);
      writeFileSync(`${path}-wal`, "pages");
    },
    /was not closed/,
  ],
];

for (const [what, make, message] of BROKEN) {
  test(`refused and named: ${what}`, async (t) => {
    const folder = tempFolder(t);
    const source = join(folder, "a.mbtiles");
    make(source);
    const { code, stderr } = await command("archive", ["convert", source, "--threads", "1"]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, message);
    assert.match(stderr, /path=[^,]*a\.mbtiles/);
    assert.deepEqual(
      readdirSync(folder).filter((name) => !name.startsWith("a.mbtiles")),
      [],
    );
  });
}

/** Many tiles of random bytes, which convert as they are. */
function writeLarge(path, count, bytes) {
  const tiles = tilesOver({ west: -110, south: 30, east: -80, north: 48 }, 11, 11).slice(0, count);
  assert.equal(tiles.length, count);
  const head = Buffer.from([0x1f, 0x8b]);
  writeMbtiles(
    path,
    tiles.map((tile, i) => ({ ...tile, data: Buffer.concat([head, randomBytes(bytes, i)]) })),
  );
  return count * bytes;
}

test("a full disk is an error of kind space and leaves nothing", async (t) => {
  const disk = tinyDisk(t, "2m");
  if (disk === undefined) return t.skip("mount is not permitted here");
  const source = join(tempFolder(t), "a.mbtiles");
  writeLarge(source, 1000, 8000);
  const { code, stderr } = await command("archive", ["convert", source, join(disk, "a.pmtiles")]);
  assert.equal(code, 7, stderr);
  assert.match(stderr, /No space left/);
  assert.deepEqual(readdirSync(disk), []);
});

test("killed part of the way: no archive, nothing beside the source, and a second run is whole", async (t) => {
  const folder = tempFolder(t);
  const [sources, out] = [tempFolder(t), join(folder, "a.pmtiles")];
  const source = join(sources, "a.mbtiles");
  writeLarge(source, 4000, 8000);
  const child = spawn(process.execPath, [ARCHIVE, "convert", source, out, "--threads", "1"], { stdio: "ignore" });
  const exit = new Promise((resolve) => child.once("exit", resolve));
  for (let i = 0; i < 2000 && !existsSync(inScratch(out, "a.pmtiles")) && child.exitCode === null; i++) await sleep(5);
  child.kill("SIGKILL");
  await exit;
  assert.deepEqual(readdirSync(sources), ["a.mbtiles"]);
  assert.equal(existsSync(out), false);
  const { code, stderr } = await command("archive", ["convert", source, out]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(folder), ["a.pmtiles"]);
  assert.equal((await (await openPmtiles(t, out)).getHeader()).numAddressedTiles, 4000);
});

test("memory does not grow with the file", async (t) => {
  // 10 and 200 MB, in memory where that is to be had: the disk is not what is tried.
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "fields-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const peaks = [];
  const script = `
    const [source] = process.argv.slice(1);
    const { convertMbtiles } = await import(${JSON.stringify(new URL("../../dist/archive/convert.js", import.meta.url).href)});
    const { openPool } = await import(${JSON.stringify(new URL("../../dist/parallel/pool.js", import.meta.url).href)});
    const pool = openPool(1);
    const progress = { start: () => ({ update() {}, end() {} }) };
    await convertMbtiles(source, source + ".pmtiles", pool, { signal: new AbortController().signal, progress });
    console.log(process.resourceUsage().maxRSS / 1024);
    await pool.close();`;
  for (const count of [400, 8000]) {
    const source = join(folder, `${count}.mbtiles`);
    writeLarge(source, count, 25_000);
    const child = spawn(process.execPath, ["--input-type=module", "-e", script, source], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
    });
    await new Promise((resolve) => child.once("close", resolve));
    peaks.push(Number(said));
  }
  // Buffers are garbage until V8 minds, which it does at some 64 MB a thread.
  assert.ok(peaks[1] - peaks[0] < 150, `${peaks} MiB`);
});
