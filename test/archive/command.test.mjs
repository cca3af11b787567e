import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { rewriteMetadata } from "../../dist/archive/rewrite.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { command } from "../support/command.mjs";
import { tilesOver, writeFields } from "../support/field-tiles.mjs";
import { fieldChunks } from "../support/geojson-fields.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { decodeTile, noTippecanoe, tippecanoe } from "../support/tippecanoe.mjs";

test("show is a page for a person, and JSON for a program", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  const page = await command("archive", ["show", path]);
  assert.equal(page.code, 0, page.stderr);
  assert.match(page.stdout, /zooms +6 to 9/);
  assert.match(page.stdout, /fields +.*crop_code \(Number\)/);
  const { json } = await command("archive", ["show", path, "--json"]);
  assert.deepEqual(
    json.zooms.map(({ zoom, tiles }) => [zoom, tiles]),
    [6, 7, 8, 9].map((z) => [z, tilesOver({ west: -98, south: 38, east: -96, north: 39.5 }, z, z).length]),
  );
  for (const { zoom, tiles } of json.zooms) assert.match(page.stdout, new RegExp(`^ *${zoom} +${tiles} `, "m"));
});

test("verify says valid, or what is not and exit code 4", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  const sound = await command("archive", ["verify", path]);
  assert.deepEqual([sound.code, /a\.pmtiles: valid/.test(sound.stdout)], [0, true]);
  const sampled = await command("archive", ["verify", path, "--sample", "10", "--json"]);
  assert.deepEqual(sampled.json, { path, valid: true, opened: 10 });
  truncateSync(path, 17_000);
  const broken = await command("archive", ["verify", path]);
  assert.equal(broken.code, 4);
  assert.match(broken.stderr, /cut short \(path=.*a\.pmtiles/);
});

test("decode gives the features that tippecanoe-decode gives", { skip: noTippecanoe }, async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const input = Buffer.concat([...fieldChunks(60)]);
  assert.equal(tippecanoe(["-q", "-P", "-Z12", "-z13", "-o", path], { input }).status, 0);
  const { json } = await command("archive", ["show", path, "--json"]);
  const [z, x, y] = json.zooms[1].largest.split("/");
  const { code, stdout } = await command("archive", ["decode", path, z, x, y]);
  assert.equal(code, 0);
  const { features } = JSON.parse(stdout);
  const expected = decodeTile(path, z, x, y);
  assert.ok(features.length > 10);
  for (const layer of ["fields", "centroids"]) {
    const ours = features.filter(({ tippecanoe: { layer: name } }) => name === layer);
    assert.deepEqual(
      ours.map(({ id, properties }) => ({ id, properties })),
      expected[layer].map(({ id, properties }) => ({ id, properties })),
    );
    ours.forEach(({ geometry }, i) => {
      const theirs = expected[layer][i].geometry;
      assert.equal(geometry.type, theirs.type);
      const [a, b] = [geometry, theirs].map(({ coordinates }) => coordinates.flat(9));
      assert.equal(a.length, b.length);
      for (const [k, value] of a.entries()) assert.ok(Math.abs(value - b[k]) < 1e-5, `${value} ${b[k]}`);
    });
  }
});

test("what is asked wrongly is told: exit code 2", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  for (const args of [
    [],
    ["look", path],
    ["show"],
    ["show", path, "more"],
    ["decode", path, "6", "1"],
    ["decode", path, "6", "99", "1"],
    ["decode", path, "6", "x", "1"],
    ["verify", path, "--sample", "some"],
  ]) {
    const { code, stderr } = await command("archive", args);
    assert.equal(code, 2, `${args.join(" ")}: ${stderr}`);
  }
  const absent = await command("archive", ["decode", path, "9", "0", "0"]);
  assert.deepEqual([absent.code, /no such tile.*9\/0\/0/.test(absent.stderr)], [4, true]);
});

test("show: header, metadata and TileJSON as other programs take them", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path);
  const archive = await openPmtiles(t, path);
  const shown = async (...args) => {
    const { code, stdout, stderr } = await command("archive", ["show", path, ...args]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const header = await archive.getHeader();
  const bounds = [header.minLon, header.minLat, header.maxLon, header.maxLat];
  const center = [header.centerLon, header.centerLat, header.centerZoom];
  assert.deepEqual(await shown("--header-json"), {
    tile_compression: "gzip",
    tile_type: "mvt",
    minzoom: 6,
    maxzoom: 9,
    bounds,
    center,
  });
  const metadata = await archive.getMetadata();
  assert.deepEqual(await shown("--metadata"), metadata);
  // npm's pmtiles makes TileJSON too, of another file name and another version.
  const theirs = await archive.getTileJson("https://tiles.example.org/a");
  const tileJson = await shown("--tilejson", "--public-url", "https://tiles.example.org/");
  assert.equal(tileJson.tilejson, "3.0.0");
  for (const key of ["tiles", "vector_layers", "name", "bounds", "center", "minzoom", "maxzoom"]) {
    assert.deepEqual(tileJson[key], theirs[key], key);
  }
  assert.deepEqual((await shown("--tilejson")).tiles, ["a/{z}/{x}/{y}.mvt"]);
  const both = await command("archive", ["show", path, "--metadata", "--tilejson"]);
  assert.equal(both.code, 2);
});

test("an archive cut short anywhere is refused by every action, and named", async (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  writeFields(path, { maxZoom: 10 });
  const bytes = readFileSync(path);
  for (const length of [0, 127, 16_384, (16_384 + bytes.length) >> 1, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    for (const args of [
      ["verify", path],
      ["show", path],
      ["decode", path, "6", "14", "24"],
    ]) {
      const { code, stderr } = await command("archive", args);
      assert.equal(code, 4, `${args.join(" ")}, ${length} bytes: ${stderr}`);
      assert.match(stderr, /^ERROR .*a\.pmtiles/m);
      assert.doesNotMatch(stderr, /Unexpected error/);
    }
  }
});

test("a rewritten archive has every tile of tippecanoe's, and only its metadata is new", {
  skip: noTippecanoe,
}, async (t) => {
  const folder = tempFolder(t);
  const [source, target] = [join(folder, "source.pmtiles"), join(folder, "target.pmtiles")];
  const input = Buffer.concat([...fieldChunks(2500)]);
  assert.equal(tippecanoe(["-q", "-P", "-Z4", "-z14", "-o", source], { input }).status, 0);
  let done;
  await rewriteMetadata(source, target, ({ vector_layers }) => ({ name: "new", vector_layers }), {
    onProgress: (count, total) => {
      done = [count, total];
    },
  });
  await verifyArchive(target, { minZoom: 4, maxZoom: 14, layers: ["fields", "centroids"] });
  const [before, after] = [await openPmtiles(t, source), await openPmtiles(t, target)];
  const { name, generator_options: options, vector_layers: layers } = await after.getMetadata();
  assert.deepEqual([name, options, layers], ["new", undefined, (await before.getMetadata()).vector_layers]);
  const [old, fresh] = [await before.getHeader(), await after.getHeader()];
  for (const key of ["minZoom", "maxZoom", "minLon", "minLat", "maxLon", "maxLat", "numAddressedTiles", "tileType"]) {
    assert.equal(fresh[key], old[key], key);
  }
  assert.equal(done[1], old.numTileEntries);
  const { bounds } = { bounds: { west: old.minLon, south: old.minLat, east: old.maxLon, north: old.maxLat } };
  let tiles = 0;
  for (const { z, x, y } of tilesOver(bounds, 4, 14)) {
    const [a, b] = [await before.getZxy(z, x, y), await after.getZxy(z, x, y)];
    assert.equal(b === undefined, a === undefined, `${z}/${x}/${y}`);
    if (a === undefined) continue;
    assert.ok(Buffer.from(a.data).equals(Buffer.from(b.data)), `${z}/${x}/${y}`);
    tiles++;
  }
  assert.ok(tiles > 200, `${tiles}`);
});
