// Two years of a small world through every stage, looked at with other people's readers; then everything
// that a rerun must not do.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import gdal from "gdal-async";
import { resolveOptions } from "../../dist/config/config.js";
import { planYear } from "../../dist/year/run-year.js";
import { decodeArchive, featuresOf, readArchive } from "../support/archive-features.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { startFolderServer } from "../support/folder-server.mjs";
import {
  leftovers,
  logLines,
  makeWorld,
  newRoot,
  outputsOf,
  runYear,
  sha256,
  snapshot,
  stagesOf,
} from "../support/sample-world.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEARS = [2019, 2020];
const FIELDS = 800;
/** Zoom 14 in degrees: a tile unit is 360 / 2^26. */
const TILE_UNIT = 360 / 2 ** 26;
const LAYERS = ["fields", "centroids"];

let world;
let root;
let server;
const runs = {};
/** By year: one object per row of fields_raw, joined with nothing of the project's but the zonal table. */
const rows = {};
const readText = (path) => readFileSync(path, "utf8");
const archivePath = (year) => join(root, "outputs", "tiles", `fields_us_${year}_full.pmtiles`);

describe("two years of a small world", { skip: noTippecanoe }, () => {
  before(async () => {
    world = await makeWorld({ fields: FIELDS, years: YEARS, seed: 7, args: ["--dirty"] });
    server = await startFolderServer(world.source);
    root = newRoot(world, "root");
    for (const year of YEARS) {
      runs[year] = await runYear(root, year, server.template, ["--json"]);
      assert.equal(runs[year].code, 0, runs[year].stderr);
      rows[year] = await readRows(year);
    }
  });
  after(async () => {
    await server?.close();
    world?.remove();
  });

  /** Row number, id, area by id (first of a repeated id), crop, and what the world knows of it. */
  function readRows(year) {
    const parquet = (path) => `read_parquet('${path}', file_row_number = true)`;
    return query(`
    with raw as (select file_row_number as n, field_id from ${parquet(world.files.raw)}),
      clean as (select field_id, arg_min(area_ha, file_row_number) as area from ${parquet(world.files.clean)} group by all),
      truth as (select * from ${parquet(world.files.truth)} where fault is distinct from 'only in fields_clean'),
      zonal as (select * from ${parquet(join(root, `outputs/zonal/zonal_us_${year}.parquet`))})
    select raw.n::int as n, raw.field_id as id, zonal.field_id as zonal_id, area, crop_code as crop, null_reason,
      valid_pixels::int as valid, crop_share::double as share, sure, fault, place, centres::int as centres,
      crop_${year}::int as grown
    from raw join zonal on zonal.file_row_number = n left join clean on clean.field_id = raw.field_id
      left join truth on truth.field_id = raw.field_id
        and (fault is not distinct from 'duplicate id') = (n = (select max(n) from raw))
    order by n`);
  }

  const UNDRAWABLE = ["null geometry", "empty geometry", "truncated WKB", "not a polygon", "coordinates not finite"];
  const isDrawn = ({ null_reason }) => !UNDRAWABLE.includes(null_reason);

  test("zonal table, read by DuckDB: a row for every field in input order, and the crop that grew there", () => {
    for (const year of YEARS) {
      assert.equal(rows[year].length, FIELDS + 9);
      let sure = 0;
      for (const row of rows[year]) {
        assert.equal(row.zonal_id, row.id);
        if (row.crop === null) assert.ok(row.null_reason, `row ${row.n} has neither crop nor reason`);
        else assert.ok(row.valid > 0 && row.share > 0 && row.share <= 1 && row.null_reason === null);
        if (!row.sure) continue;
        sure++;
        assert.equal(row.crop, row.grown, `field ${row.id} in ${year}`);
      }
      assert.ok(sure > FIELDS * 0.8, `only ${sure} fields are sure`);
      const reasonOf = (fault) => rows[year].filter((row) => row.fault === fault).map(({ null_reason }) => null_reason);
      assert.deepEqual(reasonOf("null geometry"), ["null geometry"]);
      assert.deepEqual(reasonOf("empty polygon"), ["empty geometry"]);
      assert.deepEqual(reasonOf("truncated WKB"), ["truncated WKB"]);
      assert.deepEqual(reasonOf("not a polygon"), ["not a polygon"]);
      assert.deepEqual(reasonOf("NaN coordinate"), ["coordinates not finite"]);
      assert.deepEqual(reasonOf("infinite coordinate"), ["coordinates not finite"]);
      assert.deepEqual(reasonOf("self-intersecting"), [null]);
      assert.deepEqual(reasonOf("duplicate id"), [null]);
    }
    const changed = rows[2019].filter((row, i) => row.crop !== rows[2020][i].crop);
    assert.ok(changed.length > FIELDS / 4, "crops rotate between the years");
  });

  test("tiles, read by @mapbox/vector-tile: every field at zoom 14 in both layers, with its id, area and crop", async (t) => {
    for (const year of YEARS) {
      const archive = await readArchive(t, archivePath(year), [14, 14]);
      for (const name of LAYERS) checkFeatures(featuresOf(archive, name, 14), rows[year], `${name} ${year}`);
      for (const [id, { pieces }] of featuresOf(archive, "centroids", 14)) {
        assert.ok(pieces.some(isOwn), `centroid ${id} lies in a buffer only`);
      }
    }
  });

  /** A point within its tile's own square, not its buffer. */
  function isOwn({ feature }) {
    const [[{ x, y }]] = feature.loadGeometry();
    return x >= 0 && x <= 4096 && y >= 0 && y <= 4096;
  }

  function checkFeatures(features, expected, what) {
    const drawn = expected.filter(isDrawn);
    assert.deepEqual(
      [...features.keys()].sort((a, b) => a - b),
      drawn.map(({ n }) => n),
      `${what}: ids`,
    );
    for (const { n, id, area, crop } of drawn) {
      const { area_ha: drawnArea, ...properties } = features.get(n).properties;
      const known = { field_id: Number(id) };
      if (area === null) assert.equal(drawnArea, undefined);
      else {
        assert.ok(Math.abs(drawnArea - area) < 0.00501, `${what}: row ${n} has ${drawnArea} ha, not ${area}`);
        assert.equal(drawnArea, Number(drawnArea.toFixed(2)));
      }
      if (crop !== null) known.crop_code = crop;
      // Names are in the metadata's legend.
      assert.deepEqual(properties, known, `${what}: row ${n}`);
    }
  }

  test("tiles, read by tippecanoe-decode: the same features with the same attributes", async (t) => {
    for (const year of YEARS) {
      const archive = await readArchive(t, archivePath(year), [14, 14]);
      const decoded = await decodeArchive(archivePath(year), 14);
      for (const name of LAYERS) {
        checkFeatures(decoded[name], rows[year], `${name} ${year}`);
        const other = featuresOf(archive, name, 14);
        for (const [id, { properties, pieces }] of decoded[name]) {
          assert.deepEqual(properties, other.get(id).properties);
          assert.equal(pieces.length, other.get(id).pieces.length);
        }
      }
    }
  });

  test("every field at each zoom from 9 on, cells below, and no feature another crop than at zoom 14", async (t) => {
    for (const year of YEARS) {
      const archive = await readArchive(t, archivePath(year));
      assert.equal(archive.header.minZoom, 4);
      assert.equal(archive.header.maxZoom, 14);
      const drawn = rows[year].filter(isDrawn).length;
      for (let zoom = 4; zoom <= 14; zoom++) {
        for (const name of LAYERS) {
          const features = featuresOf(archive, name, zoom);
          if (zoom >= 9) assert.equal(features.size, drawn, `${name} at zoom ${zoom}`);
          else assert.equal(features.size > 0, name === "fields", `${name} at zoom ${zoom}`);
          for (const [id, { properties }] of features) {
            assert.equal(properties.crop_code ?? null, rows[year][id].crop, `row ${id} at zoom ${zoom}`);
          }
        }
      }
    }
  });

  test("geometry: polygons are where the fields are, and each centroid lies in its field", async (t) => {
    const archive = await readArchive(t, archivePath(2019), [14, 14]);
    const shapes = await query(`
    set enable_geoparquet_conversion = false;
    select file_row_number::int as n, geometry as wkb from read_parquet('${world.files.raw}', file_row_number = true)`);
    const [polygons, points] = LAYERS.map((name) => featuresOf(archive, name, 14));
    let compared = 0;
    for (const { n, wkb } of shapes) {
      if (!isDrawn(rows[2019][n])) continue;
      const field = gdal.Geometry.fromWKB(Buffer.from(wkb));
      const { tile, feature } = points.get(n).pieces.find(isOwn);
      const [lng, lat] = feature.toGeoJSON(tile.x, tile.y, tile.z).geometry.coordinates;
      assert.ok(field.distance(new gdal.Point(lng, lat)) <= TILE_UNIT, `centroid of row ${n}`);
      const { pieces } = polygons.get(n);
      if (pieces.length > 1) continue;
      const drawn = gdal.Geometry.fromGeoJson(
        pieces[0].feature.toGeoJSON(pieces[0].tile.x, pieces[0].tile.y, 14).geometry,
      );
      const [a, b] = [field.getEnvelope(), drawn.getEnvelope()];
      for (const side of ["minX", "maxX", "minY", "maxY"]) {
        assert.ok(Math.abs(a[side] - b[side]) < 4 * TILE_UNIT, `row ${n}: ${side} ${a[side]} is drawn at ${b[side]}`);
      }
      compared++;
    }
    assert.ok(compared > 100, `only ${compared} fields lie in one tile`);
  });

  test("a tile opens in GDAL, with both layers and their attributes", async (t) => {
    const { tiles } = await readArchive(t, archivePath(2020), [14, 14]);
    const fullest = tiles.toSorted((a, b) => b.bytes.length - a.bytes.length)[0];
    const folder = join(world.folder, "tile", "14", String(fullest.x));
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${fullest.y}.pbf`);
    writeFileSync(path, fullest.bytes);
    const dataset = gdal.open(path, "r", "MVT");
    t.after(() => dataset.close());
    assert.deepEqual(dataset.layers.map(({ name }) => name).sort(), [...LAYERS].sort());
    for (const layer of dataset.layers) {
      const expected = fullest.layers[layer.name];
      assert.equal(layer.features.count(), expected.length);
      const byId = new Map(
        Array.from({ length: expected.length }, (_, i) => [expected.feature(i).id, expected.feature(i)]),
      );
      layer.features.forEach((feature) => {
        const { mvt_id: id, ...values } = feature.fields.toObject();
        const seen = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
        assert.deepEqual(seen, { ...byId.get(id).properties });
      });
    }
  });

  test("metadata: layers, the legend of the crops that occur; manifest: both years", async (t) => {
    for (const year of YEARS) {
      const { metadata } = await readArchive(t, archivePath(year), [4, 4]);
      assert.deepEqual(
        metadata.vector_layers.map(({ id, minzoom, maxzoom }) => [id, minzoom, maxzoom]),
        [
          ["fields", 4, 14],
          ["centroids", 9, 14],
        ],
      );
      const codes = [...new Set(rows[year].map(({ crop }) => crop))]
        .filter((crop) => crop !== null)
        .sort((a, b) => a - b);
      assert.deepEqual(
        JSON.parse(metadata.legend).map(({ code }) => code),
        codes,
      );
      assert.ok(JSON.parse(metadata.legend).every(({ name, color }) => name !== "" && /^#[0-9a-f]{6}$/i.test(color)));
      assert.deepEqual(
        JSON.parse(metadata.legend).find(({ code }) => code === 1),
        { code: 1, name: "Corn", color: "#ffd400" },
      );
      const statistics = metadata.tilestats.layers;
      assert.deepEqual(statistics.map(({ layer }) => layer).sort(), ["centroids", "fields"]);
      for (const { count, attributes } of statistics) {
        assert.equal(count, rows[year].filter(isDrawn).length);
        const { type, values, min, max } = attributes.find(({ attribute }) => attribute === "crop_code");
        assert.deepEqual(
          [type, [...values].sort((a, b) => a - b), min, max],
          ["number", codes, codes[0], codes.at(-1)],
        );
      }
    }
    const manifest = JSON.parse(readText(join(root, "outputs/web/us_full_years.json")));
    assert.deepEqual(manifest.years, YEARS);
    for (const year of YEARS) {
      const { url, bytes, checksum, featureCounts } = manifest.archives[year];
      const published = readFileSync(join(root, "outputs/web", url));
      assert.equal(published.length, bytes);
      assert.equal(checksum, `sha256:${sha256(published)}`);
      const drawn = rows[year].filter(isDrawn).length;
      assert.deepEqual(featureCounts, { fields: drawn, centroids: drawn });
    }
  });

  test("dirty rows are listed by id beside the table", () => {
    const dirty = rows[2019]
      .filter((row) => !isDrawn(row))
      .map(({ n, id, null_reason }) => `${n},${id},${null_reason}`);
    const repeated = rows[2019].at(-1);
    const list = readText(join(root, "outputs/zonal/zonal_us_2019.dirty.csv"));
    assert.equal(list, ["row,field_id,problem", ...dirty, `${repeated.n},${repeated.id},duplicate id`, ""].join("\n"));
  });

  test("--json: stdout is one JSON object and nothing else; the log file is JSON lines", () => {
    for (const year of YEARS) {
      const result = JSON.parse(runs[year].stdout);
      assert.equal(result.year, year);
      assert.equal(result.zonal.rows, FIELDS + 9);
      assert.equal(result.tiles.notDrawn, 6);
      assert.deepEqual(result.tiles.unmatched, { noArea: 1, areaOnly: 1, noZonal: 0, zonalOnly: 0 });
      const lines = logLines(root, year);
      assert.ok(lines.length > 8);
      assert.ok(lines.every(({ level, time, msg }) => level >= 20 && !Number.isNaN(Date.parse(time)) && msg !== ""));
      for (const step of ["download", "zonal", "tiles", "publish"]) {
        assert.ok(
          lines.some((line) => line.step === step && line.msg.startsWith("done in")),
          `no end of ${step}`,
        );
      }
      assert.deepEqual(leftovers(root, year), []);
    }
  });

  test("a rerun does nothing: no file changes, no request is made, though the raster is gone", async () => {
    assert.ok(
      !Object.keys(snapshot(root)).some((path) => /\.(tif|zip)$/.test(path)),
      "the raster is removed after use",
    );
    const before = snapshot(root);
    const asked = server.requests.length;
    const run = await runYear(root, 2020, server.template, ["--json"]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(stagesOf(run), { done: [], skipped: ["download", "zonal", "tiles", "publish"] });
    assert.deepEqual(JSON.parse(run.stdout).tiles, JSON.parse(runs[2020].stdout).tiles);
    assert.deepEqual(snapshot(root), before);
    assert.equal(server.requests.length, asked);
  });

  test("a rerun says nothing on stdout without --json, and nothing at all with --quiet", async () => {
    const run = await runYear(root, 2020, server.template, ["--quiet"]);
    assert.deepEqual({ code: run.code, stdout: run.stdout, stderr: run.stderr }, { code: 0, stdout: "", stderr: "" });
  });

  /** The stages that a dry run would do with other options, in this process; it changes nothing, which is checked. */
  async function planned(options, selection = {}) {
    const before = snapshot(root);
    const resolved = resolveOptions({ root, cdlSource: server.template, ...options });
    const force = new Set(selection.force ?? []);
    const plan = await planYear(2020, resolved, { ...selection, force }, testContext());
    assert.deepEqual(snapshot(root), before);
    assert.deepEqual(
      plan.map(({ stage }) => stage),
      ["download", "zonal", "tiles", "publish"],
    );
    for (const { reason } of plan) assert.ok(reason.length > 0);
    return { stages: plan.filter(({ runs }) => runs).map(({ stage }) => stage), plan };
  }

  test("--dry-run: what would run after an option changed, and why", async () => {
    const all = ["download", "zonal", "tiles", "publish"];
    const cases = [
      [{}, {}, []],
      [{ threads: 1, batch: 100, keepCdl: true, retries: 1, maxDirty: 0.5 }, {}, []],
      [{ nodata: [0, 1] }, {}, all],
      [{ idColumn: "field_id" }, {}, all],
      [{ maxDirty: 0.001 }, {}, all],
      [{ maxZoom: 13 }, {}, ["tiles", "publish"]],
      [{ areaColumn: "field_id" }, {}, ["tiles", "publish"]],
      [{ publicUrl: "https://tiles.example.org" }, {}, ["publish"]],
      [{ target: `file:${join(root, "elsewhere")}` }, {}, ["publish"]],
      [{ region: "other" }, {}, all],
      [{ cdlSource: server.template.replace("30m", "10m") }, {}, all],
      [{}, { force: ["tiles"] }, ["tiles", "publish"]],
      [{}, { force: ["publish"] }, ["publish"]],
      [{}, { force: ["zonal"] }, all],
      [{}, { until: "zonal" }, []],
      [{}, { until: "download" }, ["download"]],
      [{}, { only: "tiles", force: ["tiles"] }, ["tiles"]],
      [{ maxZoom: 13 }, { until: "tiles" }, ["tiles"]],
    ];
    for (const [options, selection, stages] of cases) {
      assert.deepEqual((await planned(options, selection)).stages, stages, JSON.stringify([options, selection]));
    }
    const { plan } = await planned({ maxZoom: 13 });
    assert.match(plan[2].reason, /maxZoom changed: 14 -> 13/);
    assert.match(plan[3].reason, /follows tiles/);
    const before = snapshot(root);
    const text = await runYear(root, 2020, server.template, ["--dry-run", "--force", "tiles"]);
    assert.equal(text.code, 0, text.stderr);
    assert.match(
      text.stdout,
      /^download +skipped: valid\nzonal +skipped: valid\ntiles +runs: forced\npublish +runs: follows/,
    );
    assert.deepEqual(snapshot(root), before);
  });

  test("--dry-run where nothing has been made: every stage, whatever is selected", async () => {
    const fresh = newRoot(world, "fresh");
    const plan = async (...args) => {
      const run = await runYear(fresh, 2019, server.template, ["--dry-run", "--json", ...args]);
      assert.equal(run.code, 0, run.stderr);
      return JSON.parse(run.stdout)
        .plan.filter(({ runs }) => runs)
        .map(({ stage }) => stage);
    };
    assert.deepEqual(await plan(), ["download", "zonal", "tiles", "publish"]);
    assert.deepEqual(await plan("--until", "zonal"), ["download", "zonal"]);
    assert.deepEqual(await plan("--only", "download"), ["download"]);
    const impossible = await runYear(fresh, 2019, server.template, ["--dry-run", "--only", "tiles"]);
    assert.equal(impossible.code, 4, impossible.stdout);
    assert.match(impossible.stderr, /^ERROR The download stage has not been done yet/m);
    assert.deepEqual(Object.keys(snapshot(fresh)), ["data/fields_clean.parquet", "data/fields_raw.parquet"]);
  });

  test("a changed option makes the right stages again, and changing it back gives the old bytes", async () => {
    const before = outputsOf(root, 2020);
    const changed = await runYear(root, 2020, server.template, ["--max-zoom", "12"]);
    assert.equal(changed.code, 0, changed.stderr);
    assert.deepEqual(stagesOf(changed), {
      done: ["base", "tiles", "publish"],
      skipped: ["download", "zonal"],
    });
    const { archive, published, manifest, ...same } = outputsOf(root, 2020);
    assert.deepEqual(same, { zonal: before.zonal, dirty: before.dirty });
    assert.notEqual(archive, before.archive);
    assert.equal(published, archive);
    assert.notEqual(manifest, before.manifest);
    // The root remembers the change until it is taken back.
    const back = await runYear(root, 2020, server.template, ["--max-zoom", "14"]);
    assert.equal(back.code, 0, back.stderr);
    assert.deepEqual(stagesOf(back).done, ["tiles", "publish"]);
    assert.deepEqual(outputsOf(root, 2020), before);
  });

  test("--force zonal fetches the raster again, makes the same table, and so leaves the tiles alone", async () => {
    const before = outputsOf(root, 2020);
    const asked = server.requests.length;
    const run = await runYear(root, 2020, server.template, ["--force", "zonal"]);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(stagesOf(run), { done: ["download", "zonal"], skipped: ["tiles", "publish"] });
    assert.equal(server.requests.length, asked + 1);
    assert.deepEqual(outputsOf(root, 2020), before);
  });

  test("other fields: everything but the raster is made again; an output that was damaged, too", async () => {
    const other = newRoot(world, "other-fields");
    const first = await runYear(other, 2019, world.source, ["--keep-cdl"]);
    assert.equal(first.code, 0, first.stderr);
    const raw = join(other, "data/fields_raw.parquet");
    await query(`copy (from read_parquet('${world.files.raw}') limit 500) to '${raw}' (format parquet)`);
    const args = ["--keep-cdl", "--fields-crs", "OGC:CRS84"];
    const second = await runYear(other, 2019, world.source, args);
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual(stagesOf(second), {
      done: ["zones", "zonal", "base", "tiles", "publish"],
      skipped: ["download"],
    });
    const good = outputsOf(other, 2019);
    writeFileSync(join(other, "outputs/zonal/zonal_us_2019.parquet"), "PAR1 of something else PAR1");
    rmSync(join(other, "outputs/web/fields_us_2019_full.pmtiles"));
    const third = await runYear(other, 2019, world.source, args);
    assert.equal(third.code, 0, third.stderr);
    assert.deepEqual(stagesOf(third), { done: ["zonal", "publish"], skipped: ["download", "tiles"] });
    assert.deepEqual(outputsOf(other, 2019), good);
  });

  test("--until, --only, and a raster that is removed only by a run that has made the zonal table of it", async () => {
    const stages = newRoot(world, "stages of é");
    const raster = join(stages, "data/cdl/us_2019/2019_30m_cdls.tif");
    const has = (path) => Object.keys(snapshot(stages)).includes(path.slice(stages.length + 1));
    const until = await runYear(stages, 2019, server.template, ["--until", "download"]);
    assert.deepEqual([until.code, stagesOf(until).done], [0, ["download"]], until.stderr);
    assert.ok(has(raster));
    const early = await runYear(stages, 2019, server.template, ["--only", "tiles"]);
    assert.equal(early.code, 4, early.stderr);
    assert.match(early.stderr, /^ERROR The zonal stage has not been done yet.*2019/m);
    const zonal = await runYear(stages, 2019, server.template, ["--only", "zonal", "--keep-cdl"]);
    assert.deepEqual([zonal.code, stagesOf(zonal).done], [0, ["zones", "zonal"]], zonal.stderr);
    const tiles = await runYear(stages, 2019, server.template, ["--only", "tiles"]);
    assert.deepEqual([tiles.code, stagesOf(tiles).done], [0, ["base", "tiles"]], tiles.stderr);
    assert.ok(has(raster), "a run without the zonal stage does not judge whether the raster has been used");
    const all = await runYear(stages, 2019, server.template, ["--no-keep-cdl"]);
    assert.deepEqual([all.code, stagesOf(all).done], [0, ["publish"]], all.stderr);
    assert.ok(!has(raster));
    const refused = async (args, words) => {
      const run = await runYear(stages, 2019, server.template, args);
      assert.equal(run.code, 4, run.stderr);
      assert.match(run.stderr, words);
    };
    await refused(
      ["--only", "zonal", "--force", "zonal"],
      /^ERROR The download stage must be done again: raster was removed/m,
    );
    const archive = join(stages, "outputs/tiles/fields_us_2019_full.pmtiles");
    const bytes = readFileSync(archive);
    rmSync(archive);
    writeFileSync(archive, bytes.subarray(0, -1));
    await refused(
      ["--only", "publish"],
      /^ERROR The tiles stage must be done again: output was changed .*2019.*pmtiles/m,
    );
    const again = await runYear(stages, 2019, server.template, ["--only", "download"]);
    assert.deepEqual([again.code, stagesOf(again).done], [0, ["download"]], again.stderr);
    assert.ok(has(raster), "who asks for the download alone wants the raster");
  });

  test("usage: what cannot be meant is refused", async () => {
    const refused = async (args, words) => {
      const run = await runYear(root, 2020, server.template, args);
      assert.equal(run.code, 2, run.stderr);
      assert.match(run.stderr, words);
    };
    await refused(["--force", "zones"], /^ERROR Unknown stage "zones"; use download, zonal, tiles or publish/m);
    await refused(["--only", "tiles", "--until", "zonal"], /^ERROR .*--only.*--until/m);
    await refused(["--only", "tiles", "--force", "zonal"], /^ERROR .*--force/m);
  });

  test("--config: the same options from a file, with the command line above them", async () => {
    const config = join(world.folder, "config.json");
    const write = (options) => writeFileSync(config, JSON.stringify(options));
    write({ root, cdlSource: server.template, maxZoom: 13 });
    const plan = async (...args) => {
      const run = await runYear("unused", 2020, "unused", ["--config", config, "--dry-run", "--json", ...args]);
      return { code: run.code, stderr: run.stderr, stages: run.code === 0 && JSON.parse(run.stdout).plan };
    };
    // runYear names root and source on the command line, so it is these that count.
    const { stages } = await plan("--root", root, "--cdl-source", server.template);
    assert.deepEqual(
      stages.filter(({ runs }) => runs).map(({ stage }) => stage),
      ["tiles", "publish"],
    );
    const above = await plan("--root", root, "--cdl-source", server.template, "--max-zoom", "14");
    assert.ok(above.stages.every(({ runs }) => !runs));
    write({ maxZom: 13 });
    const unknown = await plan();
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /^ERROR Unknown option maxZom, did you mean maxZoom\? .*config\.json/m);
  });
});
