// Years as columns: what a browser makes of base and column is what the year's archive holds, tile by tile.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { VectorTile } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";
import { forEachCode } from "../../dist/columns/step.js";
import { ColumnTiles } from "../../dist/maplibre/column-tiles.js";
import { parseManifest } from "../../dist/publish/manifest.js";
import { readArchive } from "../support/archive-features.mjs";
import { startBucket } from "../support/bucket-server.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { openPmtiles } from "../support/pmtiles-file.mjs";
import { makeWorld, newRoot, runYear, snapshot } from "../support/sample-world.mjs";

const YEARS = [2019, 2020];
const BOTH = ["--publish-as", "both"];

describe("years as columns", () => {
  let world;
  let root;
  let web;

  before(async () => {
    world = await makeWorld({ fields: 700, years: YEARS, seed: 7, args: ["--shapes", "csb", "--dirty"] });
    root = newRoot(world, "columns");
    web = join(root, "outputs", "web");
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source, [...BOTH, "--max-dirty", "0.1"]);
      assert.equal(run.code, 0, run.stderr);
    }
  });
  after(() => world?.remove());

  const manifest = () => parseManifest(readFileSync(join(web, "us_full_years.json"), "utf8"), "us", {});
  const columnOf = (year) => join(web, `crops_us_${year}.column`);
  const blocksOf = () => join(web, Object.values(manifest().columns.bases)[0].blocks.key);

  test("the manifest lists column and base by year, and what older readers look at is as it was", () => {
    const { columns, years, archives } = manifest();
    assert.deepEqual(years, YEARS);
    assert.deepEqual(Object.keys(archives).map(Number), YEARS);
    assert.deepEqual(Object.keys(columns.years).map(Number), YEARS);
    const [[fingerprint, base], ...others] = Object.entries(columns.bases);
    assert.equal(others.length, 0);
    assert.match(fingerprint, /^[0-9a-f]{64}$/);
    for (const { key, bytes } of [base.archive, base.blocks, ...Object.values(columns.years)]) {
      assert.equal(statSync(join(web, key)).size, bytes);
    }
    for (const year of YEARS) assert.equal(columns.years[year].base, fingerprint);
  });

  test("a column has the code of every row of the zonal table", async () => {
    for (const year of YEARS) {
      const rows = await query(
        `select crop_code from read_parquet('${join(root, "outputs", "zonal", `zonal_us_${year}.parquet`)}', file_row_number = true) order by file_row_number`,
      );
      const codes = new Map();
      forEachCode(columnOf(year), blocksOf(), (id, code) => {
        assert.ok(!codes.has(id));
        codes.set(id, code);
      });
      assert.equal(codes.size, rows.length);
      for (const [row, { crop_code: code }] of rows.entries()) {
        assert.equal(codes.get(row), code === null ? undefined : Number(code));
      }
    }
  });

  test("features, geometries and attributes are the archive's, in every tile of every zoom", async (t) => {
    const bucket = await startBucket(web);
    t.after(bucket.close);
    const base = await openPmtiles(t, join(web, Object.values(manifest().columns.bases)[0].archive.key));
    const made = new ColumnTiles(`${bucket.url}${basename(blocksOf())}`);
    const zooms = new Set();
    for (const year of YEARS) {
      const archive = await readArchive(t, join(web, `fields_us_${year}_full.pmtiles`));
      assert.ok(archive.tiles.length > 100);
      for (const { z, x, y, layers } of archive.tiles) {
        zooms.add(z);
        const fetchBase = async () => new Uint8Array((await base.getZxy(z, x, y)).data);
        const tile = await made.tile({ z, x, y }, `${bucket.url}crops_us_${year}.column`, "crop_code", fetchBase);
        const received = new VectorTile(new PbfReader(tile)).layers;
        assert.deepEqual(Object.keys(received).sort(), Object.keys(layers).sort());
        for (const name of Object.keys(layers)) {
          assert.deepEqual(contentOf(received[name]), contentOf(layers[name]), `${year} ${z}/${x}/${y} ${name}`);
        }
      }
    }
    assert.deepEqual([...zooms], [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    // Each file's beginning once, then blocks.
    const asked = bucket.requests.filter(({ name }) => name.endsWith("2020.column"));
    assert.equal(new Set(asked.map(({ range }) => range)).size, asked.length, "no range is fetched twice");
  });

  test("a rerun does nothing; verify and show say what is there", async () => {
    const before = snapshot(root);
    const run = await runYear(root, 2020, world.source, [...BOTH, "--max-dirty", "0.1"]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(snapshot(root), before);
    const plan = await runYear(root, 2020, world.source, [...BOTH, "--max-dirty", "0.1", "--dry-run"]);
    assert.doesNotMatch(plan.stdout, /runs:/);
    const verified = await command("columns", ["verify", columnOf(2020), "--json"]);
    assert.equal(verified.code, 0, verified.stderr);
    const { rows } = JSON.parse(readFileSync(join(root, "outputs", "state", "us_2020_column.json"), "utf8")).facts;
    assert.deepEqual([verified.json.year, verified.json.fields, verified.json.valid], [2020, rows, true]);
    const shown = await command("columns", ["show", blocksOf(), "--json"]);
    assert.equal(shown.json.fields, rows);
  });

  test("--check reads columns and their base in full", async () => {
    const run = await command("year", ["2020", "--check", "--root", root, "--json"]);
    assert.equal(run.code, 0, run.stderr);
    const own = newRoot(world, "checked");
    const args = ["--publish-as", "columns", "--max-dirty", "0.1", "--base", baseOf(root)];
    assert.equal((await runYear(own, 2020, world.source, args)).code, 0);
    const folder = join(own, "outputs", "tiles");
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const bytes = readFileSync(path);
      const copy = Buffer.from(bytes);
      copy[copy.length >> 1] ^= 1;
      writeFileSync(path, copy);
      const found = await command("year", ["2020", "--check", "--root", own]);
      assert.equal(found.code, 4, `${name}: ${found.stderr}`);
      assert.ok(found.stderr.includes(name) || found.stdout.includes(name), name);
      writeFileSync(path, bytes);
    }
  });

  test("columns alone: no archive of the year is made, and the manifest's years are those with archives", async () => {
    const own = newRoot(world, "alone");
    const args = ["--publish-as", "columns", "--max-dirty", "0.1", "--base", baseOf(root)];
    const run = await runYear(own, 2020, world.source, args);
    assert.equal(run.code, 0, run.stderr);
    assert.ok(!existsSync(join(own, "outputs", "tiles", "fields_us_2020_full.pmtiles")));
    const text = readFileSync(join(own, "outputs", "web", "us_full_years.json"), "utf8");
    const { years, archives, columns } = parseManifest(text, "us", {});
    assert.deepEqual([years, archives, Object.keys(columns.years)], [[], {}, ["2020"]]);
    for (const name of ["crops_us_2020.column", basename(blocksOf())]) {
      assert.deepEqual(readFileSync(join(own, "outputs", "web", name)), readFileSync(join(web, name)), name);
    }
    const status = await command("status", ["--root", own, "--json"]);
    assert.equal(status.json.years.find(({ year }) => year === 2020).state, "done", status.stdout);
  });

  test("a column that was damaged, cut short or is another base's is refused by name", async () => {
    const path = join(world.folder, "crops_us_2020.column");
    const bytes = readFileSync(columnOf(2020));
    const refused = async (content, expected) => {
      writeFileSync(path, content);
      const run = await command("columns", ["verify", path, "--blocks", blocksOf()]);
      assert.equal(run.code, 4, run.stdout);
      assert.match(run.stderr, expected);
      assert.match(run.stderr, /crops_us_2020\.column/);
    };
    const changed = (at, change = 1) => {
      const copy = Buffer.from(bytes);
      copy[at] ^= change;
      return copy;
    };
    await refused(bytes.subarray(0, -3), /cut short/);
    await refused(Buffer.concat([bytes, Buffer.of(0)]), /behind its end/);
    await refused(changed(bytes.length - 1), /checksum of the block/);
    await refused(changed(70), /damaged/);
    await refused(changed(40), /another base/);
    await refused(changed(8), /version/);
    await refused(Buffer.alloc(0), /Neither/);
    await refused(changed(0), /Neither/);
  });

  test("every changed bit of a column or its blocks is found by the browser's reader", async (t) => {
    const folder = join(world.folder, "damaged");
    const bucket = await startBucket(folder);
    t.after(bucket.close);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    const base = await openPmtiles(t, join(web, Object.values(manifest().columns.bases)[0].archive.key));
    const { tiles: all } = await readArchive(t, join(web, "fields_us_2020_full.pmtiles"), [9, 9]);
    const { z, x, y } = all.toSorted((a, b) => b.bytes.length - a.bytes.length)[0];
    const fetchBase = async () => new Uint8Array((await base.getZxy(z, x, y)).data);
    const [column, blocks] = [readFileSync(columnOf(2020)), readFileSync(blocksOf())];
    const read = (fingerprint) =>
      new ColumnTiles(`${bucket.url}b.blocks`, fingerprint).tile(
        { z, x, y },
        `${bucket.url}c.column`,
        "crop_code",
        fetchBase,
      );
    const put = (c, b) => {
      writeFileSync(join(folder, "c.column"), c);
      writeFileSync(join(folder, "b.blocks"), b);
    };
    put(column, blocks);
    const right = await read();
    let found = 0;
    for (const [which, bytes] of [
      ["column", column],
      ["blocks", blocks],
    ]) {
      for (let at = 0; at < bytes.length; at += 7) {
        // Bytes 10 and 11 are reserved.
        if (at === 10 || at === 11) continue;
        const copy = Buffer.from(bytes);
        copy[at] ^= 1 << (at % 8);
        put(which === "column" ? copy : column, which === "blocks" ? copy : blocks);
        try {
          // Blocks that the tile does not need are not read.
          assert.deepEqual(await read(), right, `${which} byte ${at}`);
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          assert.match(error.message, /b\.blocks|c\.column/);
          found++;
        }
      }
    }
    assert.ok(found > 100, `${found} found`);
    put(column, blocks);
    await assert.rejects(read("0".repeat(64)), /another base/);
    put(column.subarray(0, 100), blocks);
    await assert.rejects(read(), /c\.column/);
  });

  test("servers that send the whole file instead of a range will do", async (t) => {
    const bucket = await startBucket(web, () => "whole");
    t.after(bucket.close);
    const base = await openPmtiles(t, join(web, Object.values(manifest().columns.bases)[0].archive.key));
    const { tiles: all } = await readArchive(t, join(web, "fields_us_2019_full.pmtiles"), [10, 10]);
    const made = new ColumnTiles(`${bucket.url}${basename(blocksOf())}`);
    const [{ z, x, y, layers }] = all;
    const fetchBase = async () => new Uint8Array((await base.getZxy(z, x, y)).data);
    const tile = await made.tile({ z, x, y }, `${bucket.url}crops_us_2019.column`, "crop_code", fetchBase);
    assert.deepEqual(contentOf(new VectorTile(new PbfReader(tile)).layers.fields), contentOf(layers.fields));
  });

  test("a base that is made anew makes the column anew; files that were changed are not published", async () => {
    const own = newRoot(world, "anew");
    const args = ["--publish-as", "columns", "--max-dirty", "0.1", "--base", baseOf(root)];
    assert.equal((await runYear(own, 2020, world.source, args)).code, 0);
    const folder = join(own, "outputs", "tiles");
    const [blocks] = readdirSync(folder).filter((name) => name.endsWith(".blocks"));
    const column = join(folder, "crops_us_2020.column");
    const before = readFileSync(column);
    writeFileSync(column, before.subarray(0, -1));
    const refused = await command("publish", ["2020", "--root", own, "--publish-as", "columns"]);
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /changed since/);
    rmSync(join(folder, blocks));
    const again = await runYear(own, 2020, world.source, args);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(readFileSync(column), before);
    assert.ok(existsSync(join(folder, blocks)));
  });

  test("a manifest whose column names a base that it does not list is refused, and left as it is", async () => {
    const own = newRoot(world, "foreign");
    const args = ["--publish-as", "columns", "--max-dirty", "0.1", "--base", baseOf(root)];
    assert.equal((await runYear(own, 2020, world.source, args)).code, 0);
    const path = join(own, "outputs", "web", "us_full_years.json");
    const changed = JSON.parse(readFileSync(path, "utf8"));
    changed.columns.years[2020].base = "f".repeat(64);
    writeFileSync(path, JSON.stringify(changed));
    const before = readFileSync(path);
    const run = await command("publish", ["2020", "--root", own, "--publish-as", "columns"]);
    assert.equal(run.code, 10, run.stderr);
    assert.match(run.stderr, /column of 2020 is of a base that the manifest does not list/);
    assert.deepEqual(readFileSync(path), before);
  });

  test("a list of years cannot name columns", async () => {
    const run = await command("publish", [
      "2020",
      "--root",
      root,
      "--publish-as",
      "columns",
      "--manifest-format",
      "list",
      "--force",
    ]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /cannot list columns/);
  });

  function baseOf(of) {
    const folder = join(of, "data", "base");
    const [name] = readdirSync(folder).filter((file) => file.endsWith(".precompressed"));
    return join(folder, name);
  }
});

/** A layer's features in order: id, attributes, geometry. */
function contentOf(layer) {
  return Array.from({ length: layer.length }, (_, i) => {
    const feature = layer.feature(i);
    const { id, type, properties } = feature;
    return { id, type, properties, geometry: feature.loadGeometry().map((ring) => ring.map(({ x, y }) => [x, y])) };
  });
}
