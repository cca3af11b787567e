// A year whose crops are put into the base's tiles, against the same year tiled in full: decoded by
// @mapbox/vector-tile, tile by tile. Then years in one pass, all years in one archive, and what goes wrong.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { Archive } from "../../dist/archive/reader.js";
import { tileId } from "../../dist/archive/tile-id.js";
import { verifyArchive } from "../../dist/archive/verify.js";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { openPool } from "../../dist/parallel/pool.js";
import { fileDigest } from "../../dist/pipeline/fingerprint.js";
import { runStep } from "../../dist/pipeline/step.js";
import { cropKeys } from "../../dist/tiles/archive-metadata.js";
import { ensureBase, exportBase } from "../../dist/tiles/base.js";
import { indexCrops } from "../../dist/tiles/crop-index.js";
import { rewriteAttributes } from "../../dist/tiles/rewrite-attributes.js";
import { checkSample } from "../../dist/tiles/rewrite-check.js";
import { tilesStep } from "../../dist/tiles/step.js";
import { tileYears, tileYearsTogether } from "../../dist/tiles/tile-years.js";
import { decodeArchive, featuresOf, readArchive } from "../support/archive-features.mjs";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { leftovers, makeWorld, newRoot, runYear, sha256 } from "../support/sample-world.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEARS = [2018, 2019, 2020];
const FIELDS = 1500;

let world;
let pool;
/** Zonal tables of all years, and a base. */
let root;
/** By year: crop code by row, null where there is none; read by DuckDB. */
const crops = {};

describe("crops into the base's tiles", { skip: noTippecanoe }, () => {
  before(async () => {
    world = await makeWorld({ fields: FIELDS, years: YEARS, seed: 5, args: ["--dirty"] });
    root = newRoot(world, "rewrite");
    pool = openPool(2);
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source, ["--until", "zonal", "--threads", "2"]);
      assert.equal(run.code, 0, run.stderr);
      const rows = await query(`select crop_code as crop from read_parquet('${layout({}, year).zonal}')`);
      crops[year] = rows.map(({ crop }) => crop);
    }
    assert.ok(
      YEARS.every((year) => crops[year].includes(null)),
      "some fields have no crop",
    );
    await tile(2020);
  });
  after(async () => {
    await pool?.close();
    world?.remove();
  });

  // Both engines' features are compared, so tippecanoe makes the base too.
  const options = (more = {}) => resolveOptions({ root, threads: 2, tiler: "tippecanoe", ...more });
  const layout = (more, year) => layoutOf(options(more), year);
  const runOf = (more, year, ctx = testContext()) => ({
    options: options(more),
    layout: layout(more, year),
    pool: () => pool,
    ctx,
  });

  async function tile(year, more = {}, ctx = testContext()) {
    const { zonal } = layout(more, year);
    const table = { year, path: zonal, digest: fileDigest(zonal) };
    return runStep(tilesStep(table, runOf(more, year, ctx)), ctx, { force: true });
  }

  /** Another root with the same fields and zonal tables, whose base is that of `root` when `base` is true. */
  function rootLike(name, { base = true } = {}) {
    const other = newRoot(world, name);
    const copy = (path) => {
      mkdirSync(dirname(join(other, path)), { recursive: true });
      copyFileSync(join(root, path), join(other, path));
    };
    for (const year of YEARS) copy(`outputs/zonal/zonal_us_${year}.parquet`);
    if (base) {
      copy(`data/base/${baseName()}`);
      copy(`outputs/state/base_${baseName().replace(".precompressed", ".json")}`);
    }
    return other;
  }
  const baseName = () => readdirSync(join(root, "data/base")).find((name) => name.endsWith(".precompressed"));
  const basePath = (of = root) => join(of, "data/base", baseName());

  /** {"layer/id": [{geometry, properties}]} of one decoded tile: a layer may hold an id more than once. */
  function contents({ layers }) {
    const found = {};
    for (const [name, layer] of Object.entries(layers)) {
      for (let i = 0; i < layer.length; i++) {
        const feature = layer.feature(i);
        const { id, type, properties } = feature;
        found[`${name}/${id}`] ??= [];
        const sorted = Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
        found[`${name}/${id}`].push({
          type,
          extent: layer.extent,
          geometry: feature.loadGeometry(),
          properties: sorted,
        });
      }
    }
    return found;
  }

  for (const cropNames of [false, true]) {
    test(`${cropNames ? "with crop names" : "codes alone"}: equal to tiling the year in full, tile by tile`, async (t) => {
      const other = rootLike(`full-${cropNames}`, { base: false });
      const [rewritten, full] = [
        await tile(2020, { cropNames }),
        await tile(2020, { cropNames, tiles: "full", root: other }),
      ];
      assert.deepEqual(rewritten, full);
      const [a, b] = [layout({}, 2020).archive, layout({ root: other }, 2020).archive];
      const [ours, theirs] = [await readArchive(t, a), await readArchive(t, b)];
      assert.deepEqual(
        ours.tiles.map(({ z, x, y }) => `${z}/${x}/${y}`),
        theirs.tiles.map(({ z, x, y }) => `${z}/${x}/${y}`),
      );
      let [features, onlyOne] = [0, 0];
      for (const [i, one] of ours.tiles.entries()) {
        const [left, right] = [contents(one), contents(theirs.tiles[i])];
        for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
          // A tile that is too large is thinned further, by its bytes: attributes count there.
          if (left[key] === undefined || right[key] === undefined) onlyOne++;
          else assert.deepEqual(left[key], right[key], `${one.z}/${one.x}/${one.y} ${key}`);
          features++;
        }
      }
      assert.equal(onlyOne, 0, "no tile is large enough here to be thinned as needed");
      assert.ok(features > 20 * FIELDS, `${features} features`);
      assert.equal(ours.header.maxZoom, 14);
      const { inputs: _ours, ...ourMetadata } = ours.metadata;
      const { inputs: _theirs, ...theirMetadata } = theirs.metadata;
      assert.deepEqual(ourMetadata, theirMetadata);
      assert.deepEqual(Object.keys(ourMetadata.vector_layers[0].fields), [
        "field_id",
        "area_ha",
        "crop_code",
        ...(cropNames ? ["crop_name"] : []),
      ]);
      for (const section of ["minLon", "minLat", "maxLon", "maxLat", "centerLon", "centerLat", "centerZoom"])
        assert.equal(ours.header[section], theirs.header[section], section);
    });
  }

  test("every field has its row's crop, read by tippecanoe-decode; without one, no attribute", async () => {
    await tile(2019);
    const decoded = await decodeArchive(layout({}, 2019).archive, 14);
    for (const name of ["fields", "centroids"]) {
      assert.ok(decoded[name].size >= FIELDS, `${name}: ${decoded[name].size}`);
      for (const [id, { properties }] of decoded[name]) {
        assert.equal(properties.crop_code ?? null, crops[2019][id], `${name} ${id}`);
        assert.equal("crop_code" in properties, crops[2019][id] !== null);
        assert.ok(!("crop_name" in properties));
      }
    }
    const { metadata } = readMetadata(layout({}, 2019).archive);
    const codes = [...new Set(crops[2019].filter((crop) => crop !== null))].sort((a, b) => a - b);
    assert.deepEqual(
      JSON.parse(metadata.legend).map(({ code }) => code),
      codes,
    );
    const facts = JSON.parse(readFileSync(join(root, "outputs/state/us_2019_tiles.json"), "utf8")).facts;
    assert.equal(facts.withoutCrop, crops[2019].filter((crop) => crop === null).length);
  });

  function readMetadata(path) {
    const archive = new Archive(path);
    try {
      return { metadata: archive.metadata(), header: archive.header };
    } finally {
      archive.close();
    }
  }

  test("the same bytes with one thread and several", async () => {
    const one = openPool(1);
    const [kept, before] = [pool, sha256(readFileSync(layout({}, 2020).archive))];
    try {
      await tile(2020);
      const two = sha256(readFileSync(layout({}, 2020).archive));
      pool = one;
      await tile(2020);
      assert.equal(sha256(readFileSync(layout({}, 2020).archive)), two);
      assert.ok(before.length > 0);
    } finally {
      pool = kept;
      await one.close();
    }
  });

  for (const year of YEARS) {
    test(`${year}: filled records hold what rewriting every tile makes`, async (t) => {
      await tile(year);
      const native = (await readArchive(t, layout({}, year).archive)).tiles;
      const archive = new Archive(layout({}, year).archive);
      const filledBytes = native.map(({ z, x, y }) => {
        const entry = archive.entries.findAtOrBefore(tileId({ z, x, y }));
        return archive.entries.length(entry);
      });
      archive.close();
      const base = await ensureBase(year, runOf({}, year));
      const index = indexCrops(Float64Array.from(crops[year], (crop) => crop ?? Number.NaN));
      const out = join(world.folder, `rewritten-${year}.pmtiles`);
      const output = { path: out, years: [{ keys: cropKeys(false), crops: index }], metadata: {} };
      // Its tiles are gzip, and so rewritten.
      const path = join(world.folder, "base.pmtiles");
      if (!existsSync(path)) await exportBase(base, path, runOf({}, year));
      const { tiles, rewritten: count } = await rewriteAttributes({ ...base, path }, [output], pool, testContext());
      assert.equal(count, tiles);
      const rewritten = (await readArchive(t, out)).tiles;
      assert.equal(native.length, rewritten.length);
      let [stored, gzip6] = [0, 0];
      for (const [i, one] of native.entries()) {
        assert.deepEqual(contents(one), contents(rewritten[i]), `${one.z}/${one.x}/${one.y}`);
        stored += filledBytes[i];
        gzip6 += gzipSync(rewritten[i].bytes, { level: 6 }).length;
      }
      assert.ok(stored < 1.02 * gzip6, `${stored} bytes, a plain rewrite at gzip 6 has ${gzip6}`);
    });
  }

  test("several years in one pass are each what they are alone; what is valid is left alone", async () => {
    const alone = {};
    for (const year of YEARS) {
      await tile(year);
      alone[year] = sha256(readFileSync(layout({}, year).archive));
    }
    const other = rootLike("years");
    const run = await command("tiles", [
      "--years",
      "2018-2020",
      "--root",
      other,
      "--tiler",
      "tippecanoe",
      "--threads",
      "2",
      "--json",
    ]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.stderr.match(/writing crops into tiles/g).length, 1, run.stderr);
    assert.doesNotMatch(run.stderr, /\[\d+ base\]/);
    for (const year of YEARS) {
      assert.equal(sha256(readFileSync(layout({ root: other }, year).archive)), alone[year], `${year}`);
      assert.equal(run.json[year].rows, crops[year].length);
    }
    rmSync(layout({ root: other }, 2019).archive);
    const again = await command("tiles", ["2018-2020", "--root", other, "--tiler", "tippecanoe", "--threads", "2"]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.stderr.match(/valid, skipped/g).length, 2, again.stderr);
    assert.equal(sha256(readFileSync(layout({ root: other }, 2019).archive)), alone[2019]);
    // The year's own command takes it as it is.
    for (const year of YEARS) assert.deepEqual(leftovers(other, year), []);
  });

  test("one archive for all years: attributes crop_2018 ... of every field, less than two archives large", async () => {
    const { archive, ...facts } = await tileYearsTogether(YEARS, options(), false, testContext());
    assert.equal(basename(archive), "fields_us_2018-2020_full.pmtiles");
    assert.deepEqual(
      facts.withoutCrop,
      YEARS.map((year) => crops[year].filter((crop) => crop === null).length),
    );
    const { metadata } = readMetadata(archive);
    assert.deepEqual(JSON.parse(metadata.years), YEARS);
    assert.deepEqual(Object.keys(metadata.vector_layers[1].fields), [
      "field_id",
      "area_ha",
      "crop_2018",
      "crop_2019",
      "crop_2020",
    ]);
    const decoded = await decodeArchive(archive, 14);
    for (const name of ["fields", "centroids"]) {
      for (const [id, { properties }] of decoded[name]) {
        for (const year of YEARS)
          assert.equal(properties[`crop_${year}`] ?? null, crops[year][id], `${name} ${id} ${year}`);
      }
    }
    const size = (path) => readFileSync(path).length;
    assert.ok(size(archive) < 1.4 * size(layout({}, 2020).archive), `${size(archive)} bytes`);
    await verifyArchive(archive, { minZoom: 4, maxZoom: 14 });
  });

  test("verify opens every tile of it: as many as the base has", async (t) => {
    await tile(2020);
    const [archive, base] = [layout({}, 2020).archive, basePath()];
    const { entries } = await verifyArchive(archive, { minZoom: 4, maxZoom: 14, layers: ["fields", "centroids"] });
    const counts = (path) => {
      const { header } = readMetadata(path);
      return [header.addressedTiles, header.tileEntries, header.tileContents, header.clustered];
    };
    assert.deepEqual(counts(archive), counts(base));
    assert.equal(entries, counts(base)[1]);
    const points = featuresOf(await readArchive(t, archive, [14, 14]), "centroids", 14);
    assert.equal(points.size, crops[2020].length - 6);
  });

  test("a base cut short, of other fields, or no base at all: an error that names it; nothing is left behind", async () => {
    const other = rootLike("bad-base");
    const path = basePath(other);
    const bytes = readFileSync(path);
    const refused = async (words, more = {}) => {
      await assert.rejects(tile(2020, { root: other, base: path, ...more }), (error) => {
        assert.equal(error.kind, "input");
        assert.match(error.message, words);
        assert.ok(error.message.includes("year=2020"), error.message);
        return true;
      });
      assert.deepEqual(leftovers(other, 2020), []);
      assert.ok(!existsSync(layout({ root: other }, 2020).archive));
    };
    truncateSync(path, bytes.length - 1000);
    await refused(/Archive is cut short.*us_\w+\.precompressed/);
    writeFileSync(path, bytes);
    await refused(/Base was made from other fields.*expected=\w{12}, received=\w{12}/, { maxZoom: 13 });
    await refused(/Base not found/, { base: join(other, "no.pmtiles") });
    const year = layout({}, 2020).archive;
    await refused(/Not a base archive.*fields_us_2020_full/, { base: year });
    // A tile in the middle: its address is named.
    const archive = new Archive(path);
    const entry = archive.entries.count >> 1;
    const at = archive.header.tiles.offset + archive.entries.offset(entry) + (archive.entries.length(entry) >> 1);
    archive.close();
    writeFileSync(path, Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 0xff : byte))));
    await refused(/Base is damaged \(.*tile=\d+\/\d+\/\d+, reason=record's checksum is wrong/);
    writeFileSync(path, bytes);
    await tile(2020, { root: other, base: path });
    assert.deepEqual(readFileSync(layout({ root: other }, 2020).archive), readFileSync(year));
  });

  test("a base that was changed is made again where it is the root's own", async () => {
    const other = rootLike("changed-base");
    truncateSync(basePath(other), 20_000);
    const ctx = testContext();
    await tile(2020, { root: other }, ctx);
    assert.ok(ctx.lines.some(({ step, message }) => step === "base" && message.includes("output was changed")));
    assert.deepEqual(readFileSync(basePath(other)), readFileSync(basePath()));
  });

  test("fewer features in the base's tiles than its audit lists: the lost fields are named", async () => {
    const base = await ensureBase(2020, runOf({}, 2020));
    const index = indexCrops(Float64Array.from({ length: base.facts.rows }, () => 1));
    const seen = { ...base.facts.seen, centroids: withRow(base, "centroids", base.facts.rows - 4) };
    const out = join(world.folder, "lost.pmtiles");
    const output = { path: out, years: [{ keys: cropKeys(false), crops: index }], metadata: {} };
    await assert.rejects(
      rewriteAttributes({ ...base, facts: { ...base.facts, seen } }, [output], pool, testContext()),
      (error) =>
        error.kind === "input" &&
        /does not have the features that its audit lists.*layer=centroids.*lost=1, firstLost=\d+/.test(error.message),
    );
    const fewer = indexCrops(Float64Array.of(1, 2, 3));
    await assert.rejects(
      rewriteAttributes(base, [{ ...output, years: [{ keys: cropKeys(false), crops: fewer }] }], pool, testContext()),
      /Base has another number of fields.*expected=3/,
    );
  });

  /** The base's bits of a layer, with a row's bit set that was not. */
  function withRow(base, layer, row) {
    const bits = gunzipSync(Buffer.from(base.facts.seen[layer], "base64"));
    assert.equal((bits[row >> 3] >> (row & 7)) & 1, 0, "a dirty row, which is in no tile");
    bits[row >> 3] |= 1 << (row & 7);
    return gzipSync(bits).toString("base64");
  }

  test("the sample that is compared sees another crop, a lost attribute and another geometry", async () => {
    await tile(2020);
    const { archive } = layout({}, 2020);
    const baseOf = () => ({ path: basePath(), rows: crops[2020].length });
    const yearOf = (codes) => [
      { keys: cropKeys(false), crops: indexCrops(Float64Array.from(codes, (c) => c ?? Number.NaN)) },
    ];
    assert.ok((await checkSample(archive, baseOf(), yearOf(crops[2020]), testContext())) >= 100);
    const wrong = crops[2020].with(700, crops[2020][700] === 1 ? 5 : 1);
    await assert.rejects(
      checkSample(archive, baseOf(), yearOf(wrong), testContext()),
      /Tile differs from its base beyond the crop attributes.*attributes/,
    );
    await assert.rejects(
      checkSample(archive, baseOf(), yearOf(crops[2020].with(700, null)), testContext()),
      /Tile differs from its base beyond the crop attributes.*attributes/,
    );
    await assert.rejects(
      checkSample(join(world.folder, "base.pmtiles"), baseOf(), yearOf(crops[2020]), testContext()),
      /attributes/,
    );
  });

  test("a full disk: exit kind space, the old archive stands, nothing is left", async (t) => {
    const disk = tinyDisk(t, "64m");
    if (disk === undefined) return t.skip("nothing may be mounted here");
    const other = join(disk, "root");
    const from = rootLike("to-tiny");
    for (const path of ["data", "outputs"]) copyTree(join(from, path), join(other, path));
    await tile(2019, { root: other });
    const [old] = [readFileSync(layout({ root: other }, 2019).archive)];
    leaveFree(disk, old.length / 2);
    const ctx = testContext();
    await assert.rejects(tile(2019, { root: other }, ctx), (error) => error.kind === "space");
    assert.deepEqual(readFileSync(layout({ root: other }, 2019).archive), old);
    assert.deepEqual(leftovers(other, 2019), []);
    leaveFree(disk, 2 * old.length);
    await tile(2019, { root: other });
    assert.deepEqual(readFileSync(layout({ root: other }, 2019).archive), old);
  });

  function copyTree(from, to) {
    for (const name of readdirSync(from, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue;
      const path = join(name.parentPath ?? name.path, name.name);
      const target = join(to, path.slice(from.length + 1));
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(path, target);
    }
  }

  test("a year without a zonal table is an error that names it; one that fails does not end the others", async () => {
    const other = rootLike("missing-table");
    await assert.rejects(
      tileYears([2017, 2018], options({ root: other }), false, testContext()),
      (error) =>
        error.kind === "input" && /zonal table.*not there.*zonal_us_2017\.parquet.*year=2017/.test(error.message),
    );
    writeFileSync(layout({ root: other }, 2019).zonal, "PAR1 of something else PAR1");
    const ctx = testContext();
    await assert.rejects(
      tileYears(YEARS, options({ root: other }), false, ctx),
      (error) => error.kind === "partial" && /failed=2019, done=2018 2020/.test(error.message),
    );
    assert.ok(ctx.lines.some(({ level, message }) => level === "error" && message.includes("zonal_us_2019.parquet")));
    assert.deepEqual(readFileSync(layout({ root: other }, 2018).archive), readFileSync(layout({}, 2018).archive));
  });

  test("usage: what cannot be meant is refused", async () => {
    const refused = async (args, words) => {
      const run = await command("tiles", ["--root", root, ...args]);
      assert.equal(run.code, 2, run.stderr);
      assert.match(run.stderr, words);
    };
    await refused([], /Missing YEAR/);
    await refused(["2018-2020", "--single-archive", "--tiles=full"], /--single-archive cannot be used with/);
    await refused(["2018", "--tiles", "quick"], /--tiles must be one of rewrite, full/);
  });

  test("prepare --base makes the same base, once", async () => {
    const other = newRoot(world, "prepared");
    const run = await command("prepare", [
      "--base",
      "--root",
      other,
      "--tiler",
      "tippecanoe",
      "--threads",
      "2",
      "--json",
    ]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.json.rows, crops[2020].length);
    assert.equal(run.json.out, basePath(other));
    assert.deepEqual(readFileSync(basePath(other)), readFileSync(basePath()));
    const again = await command("prepare", ["--base", "--root", other, "--tiler", "tippecanoe", "--threads", "2"]);
    assert.equal(again.code, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /started/);
    assert.deepEqual(leftovers(other, 2020), []);
  });
});
