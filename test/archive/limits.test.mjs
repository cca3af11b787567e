// Archives whose few bytes stand for very many: refused by name, in little time and memory.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { encodeDirectory } from "../../dist/archive/directory.js";
import { Entries } from "../../dist/archive/entries.js";
import { gunzip, inflate } from "../../dist/archive/gunzip.js";
import { HEADER_BYTES, serializeHeader } from "../../dist/archive/header.js";
import { Archive } from "../../dist/archive/reader.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const MIB = 2 ** 20;

function directory(...list) {
  const entries = new Entries();
  for (const entry of list) entries.push(...entry);
  return encodeDirectory(entries);
}

/** An archive of these parts, as they are. */
function write(
  t,
  { root, metadata = gzipSync("{}"), leaves = Buffer.alloc(0), tiles = Buffer.alloc(1), maxZoom = 26 },
) {
  const path = join(tempFolder(t), "a.pmtiles");
  let at = HEADER_BYTES;
  const section = ({ length }) => {
    const offset = at;
    at += length;
    return { offset, length };
  };
  const header = {
    root: section(root),
    metadata: section(metadata),
    leaves: section(leaves),
    tiles: section(tiles),
    addressedTiles: 0,
    tileEntries: 0,
    tileContents: 0,
    clustered: true,
    internalCompression: 2,
    tileCompression: 2,
    tileType: 1,
    minZoom: 0,
    maxZoom,
    bounds: { west: -100, south: 30, east: -90, north: 40 },
    center: { zoom: 0, lng: -95, lat: 35 },
  };
  writeFileSync(path, Buffer.concat([serializeHeader(header), root, metadata, leaves, tiles]));
  return path;
}

/** Gzip of that many zeros, made without holding them. */
function bomb(bytes) {
  return gzipSync(Buffer.alloc(bytes), { level: 9 });
}

test("no more is unpacked than was asked for", () => {
  assert.equal(gunzip(gzipSync("corn"), 4).toString(), "corn");
  assert.throws(() => gunzip(bomb(MIB), MIB - 1), /decompresses to more than 1048575 bytes/);
  assert.throws(() => gunzip(Buffer.from("no gzip"), 10), /incorrect header/);
  assert.throws(() => inflate(gzipSync("corn"), 10), /incorrect header/);
});

test("a tile of gigabytes", (t) => {
  const tiles = bomb(257 * MIB);
  assert.ok(tiles.length < MIB);
  const archive = new Archive(write(t, { root: directory([0, 0, tiles.length, 1]), tiles }));
  t.after(() => archive.close());
  assert.throws(() => archive.tile(0), {
    kind: "input",
    message: /Tile cannot be decompressed .*tile=0\/0\/0.*decompresses to more than 268435456 bytes/,
  });
});

test("metadata of gigabytes", (t) => {
  const archive = new Archive(write(t, { root: directory([0, 0, 1, 1]), metadata: bomb(65 * MIB) }));
  t.after(() => archive.close());
  assert.throws(() => archive.metadata(), {
    kind: "input",
    message: /Metadata cannot be read .*decompresses to more than/,
  });
});

test("a root larger than the format has, and directories that unpack to more than they can hold", (t) => {
  const large = write(t, { root: bomb(20 * MIB) });
  assert.throws(() => new Archive(large), {
    kind: "input",
    message: /Root directory is larger than the format allows/,
  });
  const leaf = bomb(120 * MIB);
  const path = write(t, { root: directory([0, 0, leaf.length, 0]), leaves: leaf });
  assert.throws(() => new Archive(path), {
    kind: "input",
    message: /Directory cannot be read .*leaf 0.*decompresses to more/,
  });
});

test("ids past the last zoom are refused where they are read", async (t) => {
  for (const id of [2 ** 53 - 1, (4 ** 27 - 1) / 3]) {
    const path = write(t, { root: directory([id, 0, 1, 1]) });
    assert.throws(() => new Archive(path), { kind: "input", message: /invalid tile id/ });
    const run = await command("archive", ["show", path]);
    assert.equal(run.code, 4, run.stderr);
    assert.doesNotMatch(run.stderr, /^\s+at /m);
  }
});

test("a run of 2^32 tiles is no loop of as many", async (t) => {
  const tiles = gzipSync(Buffer.alloc(0));
  const path = write(t, { root: directory([(4 ** 16 - 1) / 3, 0, tiles.length, 2 ** 32 - 1]), tiles, maxZoom: 16 });
  const out = join(tempFolder(t), "a.png");
  for (const args of [
    ["archive", ["show", path]],
    ["archive", ["verify", path]],
    ["preview", ["--archive", path, "--out", out]],
  ]) {
    const run = await command(...args, { timeout: 60_000 });
    assert.ok(run.code === 0 || run.code === 4, `${args[0]}: ${run.code} ${run.stderr}`);
    assert.doesNotMatch(run.stderr, /^\s+at /m);
  }
});
