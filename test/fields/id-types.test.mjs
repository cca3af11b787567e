import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeVector } from "../support/vector-file.mjs";
import { writeWkb } from "../support/wkb.mjs";

const COUNT = 40;

function world(t) {
  const folder = tempFolder(t);
  const raster = littleRaster(join(folder, "r.tif"));
  return { folder, raster, squares: littleSquares(raster, COUNT) };
}

/** A parquet file by DuckDB, whose ids are `sql` of the row's number i. */
async function writeByDuck(path, squares, sql, name = "field_id", options = "") {
  const rows = squares.map(({ ring }, i) => `(${i}, unhex('${writeWkb([ring]).toString("hex")}'))`);
  await query(
    `copy (select ${sql} as "${name}", wkb as geometry from (values ${rows.join(",")}) t(i, wkb) order by i)
     to '${path}' (format parquet${options})`,
  );
  return query(`select "${name}" as id, "${name}"::varchar as text from '${path}'`);
}

async function zonalOf(t, raster) {
  const engine = new ZonalEngine({ threads: 1 });
  t.after(() => engine.close());
  return async (path, options = {}, zonal = {}) => {
    const fields = await openFields(path, { fieldsCrs: "EPSG:5070", ...options });
    const rows = [];
    for await (const batch of engine.zonal(fields, openRaster(raster.path), zonal)) rows.push(...batch.toArray());
    return { fields, rows };
  };
}

const TYPES = {
  "DOUBLE, as pandas leaves integers that have a null": "(1000000 + i * 977)::double",
  "FLOAT below 2^24": "(16000000 - i)::float",
  "DOUBLE up to 2^53": "(9007199254740991 - i)::double",
  "DECIMAL in 32 bits": "(7 * i - 100)::decimal(9, 0)",
  "DECIMAL in 64 bits": "(123456789012 - i)::decimal(18, 0)",
  "DECIMAL in bytes, with places": "(9223372036854775000 + i)::decimal(38, 2)",
  BIGINT: "(-9223372036854775808 + i)::bigint",
  "UBIGINT beyond a sign": "(18446744073709551615 - i)::ubigint",
  UTINYINT: "(200 + i)::utinyint",
  SMALLINT: "(i - 300)::smallint",
  VARCHAR: "'K' || (500 - i)::varchar",
  ENUM: "('K' || (i % 10)::varchar || 'x')::enum('K0x','K1x','K2x','K3x','K4x','K5x','K6x','K7x','K8x','K9x')",
};

test("ids of every type of number and text come out as they are, with the answers of their rows", async (t) => {
  const { folder, raster, squares } = world(t);
  const zonal = await zonalOf(t, raster);
  for (const [name, sql] of Object.entries(TYPES)) {
    const path = join(folder, "f.parquet");
    const expected = await writeByDuck(path, squares, sql);
    const { rows } = await zonal(path, {}, { classes: name.startsWith("DECIMAL in bytes") });
    const whole = (text) => (/^-?[\d.]+$/.test(text) ? BigInt(text.replace(/\.0+$/, "")) : text);
    assert.deepEqual(
      rows.map(({ field_id }) => (typeof field_id === "number" ? BigInt(field_id) : field_id)),
      expected.map(({ text }) => whole(text)),
      name,
    );
    assert.deepEqual(
      rows.map((row) => [row.crop_code, row.crop_pixels]),
      squares.map(({ majority, pixels }) => [majority, pixels]),
      name,
    );
  }
});

test("the same by zonal.js, whose table has the ids as 64-bit integers", async (t) => {
  const { folder, raster, squares } = world(t);
  await writeByDuck(join(folder, "f.parquet"), squares, "case when i = 3 then null else (i * 10)::double end", "ID");
  const out = join(folder, "out.parquet");
  const args = ["--fields", join(folder, "f.parquet"), "--raster", raster.path, "--out", out];
  const { code, stderr } = await command("zonal", [...args, "--fields-crs", "EPSG:5070", "--max-dirty", "0.1"]);
  assert.equal(code, 0, stderr);
  const [{ type, ids }] = await query(
    `select typeof(any_value(field_id)) as type, list(field_id) as ids from '${out}'`,
  );
  assert.equal(type, "BIGINT");
  assert.deepEqual(
    ids.items ?? ids,
    squares.map((_, i) => (i === 3 ? null : BigInt(10 * i))),
  );
});

test("numbers that are no ids are an error that names the column, never another id", async (t) => {
  const { folder, raster, squares } = world(t);
  const zonal = await zonalOf(t, raster);
  const path = join(folder, "f.parquet");
  const refused = {
    "(i + 0.5)::double": /column field_id: 0\.5 is not a whole number/,
    "(i * 1e300)::double":
      /column field_id: 1e\+300 is too large for its type, which skips numbers from 9007199254740992/,
    "(20000000 + i)::float": /column field_id: 20000000 is too large for its type, which skips numbers from 16777216/,
    "(i * 1.25)::decimal(9, 2)": /column field_id: 125e-2 is not a whole number/,
    "(99999999999999999999 + i)::decimal(30, 0)": /column field_id: 99999999999999999999 has more than 64 bits/,
    "i % 2 = 0": /Id column must hold whole numbers or text.*column=field_id, received=Bool/,
    "date '2020-01-01' + i::integer": /Id column must hold whole numbers or text.*column=field_id, received=Date/,
    "timestamp '2020-01-01' + interval (i) day": /column=field_id, received=Timestamp/,
    "[i]": /column=field_id, received=Null/,
  };
  for (const [sql, message] of Object.entries(refused)) {
    await writeByDuck(path, squares, sql);
    await assert.rejects(zonal(path), (error) => {
      assert.match(`${error.message} ${error.cause?.message ?? ""}`, message);
      return true;
    });
  }
});

test("usual names of ids in any letters; a name in the asked letters first", async (t) => {
  const { folder, raster, squares } = world(t);
  const zonal = await zonalOf(t, raster);
  const path = join(folder, "f.parquet");
  for (const name of ["ID", "Id", "FIELD_ID", "Fid", "csbid", "CSBID"]) {
    await writeByDuck(path, squares, "i * 3", name);
    const { rows, fields } = await zonal(path);
    assert.deepEqual([fields.idColumn, Number(rows[5].field_id)], [name, 15], name);
  }
  await query(`copy (select 1 as oid, 2 as "CSBID", unhex('') as geometry) to '${path}' (format parquet)`);
  assert.equal((await openFields(path, { fieldsCrs: "EPSG:5070" })).idColumn, "CSBID");
  await assert.rejects(
    openFields(path, { idColumn: "csbid", fieldsCrs: "EPSG:5070" }),
    /Column of the id is missing.*received=oid CSBID/,
  );
});

test("vector files: whole numbers of type Real are ids, others an error; a column of dates is not passed over", async (t) => {
  const { folder, raster, squares } = world(t);
  const wkt = (ring) => `POLYGON((${ring.map(([x, y]) => `${x} ${y}`).join(",")}))`;
  const run = async (name, driver, type, idOf, args = [], column = "field_id") => {
    const rows = squares.map(({ ring }, i) => ({ wkt: wkt(ring), [column]: idOf(i), other: i }));
    const fields = { [column]: type, other: gdal.OFTInteger };
    writeVector(join(folder, name), driver, [{ name: "l", rows, fields, type: gdal.wkbPolygon }]);
    const out = join(folder, `${name}.parquet`);
    const base = ["--fields", join(folder, name), "--raster", raster.path, "--out", out];
    const { code, stderr } = await command("zonal", [...base, ...args]);
    return {
      code,
      stderr,
      ids: existsSync(out) ? (await query(`select field_id from '${out}'`)).map((r) => r.field_id) : [],
    };
  };
  const whole = (i) => 1_000_001 + i;
  const expected = squares.map((_, i) => BigInt(whole(i)));
  assert.deepEqual((await run("a.shp", "ESRI Shapefile", gdal.OFTReal, whole)).ids, expected);
  assert.deepEqual((await run("a.gpkg", "GPKG", gdal.OFTReal, whole, ["--id-column", "field_id"])).ids, expected);
  const half = await run("b.gpkg", "GPKG", gdal.OFTReal, (i) => i + 0.5);
  assert.deepEqual([half.code, half.ids], [4, []]);
  assert.match(half.stderr, /Id column must hold whole numbers or text.*column field_id: 0\.5 is not a whole number/);
  const date = await run("c.gpkg", "GPKG", gdal.OFTDate, () => "2020-01-01", []);
  assert.equal(date.code, 4);
  assert.match(date.stderr, /Id column must hold whole numbers or text.*column=field_id, received=date/);
  const none = await run("d.gpkg", "GPKG", gdal.OFTInteger, (i) => i, [], "nr");
  assert.equal(none.code, 0, none.stderr);
  assert.match(none.stderr, /WARN no column of ids \(field_id, id, fid, CSBID\): the features' numbers are the ids/);
});

test("vector files: an id that GDAL caps, and a CRS that is not on the earth, are errors that name them", async (t) => {
  const { folder, raster, squares } = world(t);
  const zonal = (name) =>
    command("zonal", ["--fields", join(folder, name), "--raster", raster.path, "--out", join(folder, "out.parquet")]);
  const features = squares.map(({ ring }, i) => ({
    type: "Feature",
    properties: { id: i },
    geometry: { type: "Polygon", coordinates: [ring] },
  }));
  const crs = { type: "name", properties: { name: "urn:ogc:def:crs:EPSG::5070" } };
  const text = JSON.stringify({ type: "FeatureCollection", crs, features });
  writeFileSync(join(folder, "large.geojson"), text.replace('"id":7}', '"id":18446744073709551607}'));
  const large = await zonal("large.geojson");
  assert.equal(large.code, 4, large.stderr);
  assert.match(large.stderr, /feature=7.*column id: GDAL reads every number beyond 9223372036854775807/);
  const rows = [{ wkt: "POLYGON((0 0,0 9,9 9,9 0,0 0))", id: 1 }];
  writeVector(join(folder, "local.gpkg"), "GPKG", [{ name: "l", srs: 'LOCAL_CS["plan",UNIT["metre",1]]', rows }]);
  const local = await zonal("local.gpkg");
  assert.equal(local.code, 4, local.stderr);
  assert.match(local.stderr, /The CRS of the fields cannot be transformed; see --fields-crs \(crs=plan/);
});
