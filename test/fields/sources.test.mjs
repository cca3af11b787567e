import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { layoutOf, resolveOptions } from "../../dist/config/config.js";
import { withFieldsFile } from "../../dist/fields/root-fields.js";
import { importFields } from "../../dist/fields/vector-source.js";
import { openFields } from "../../dist/index.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeVector } from "../support/vector-file.mjs";
import { writeWkb } from "../support/wkb.mjs";

const CRS84 = {
  version: "1.1.0",
  primary_column: "geometry",
  columns: { geometry: { encoding: "WKB", geometry_types: [] } },
};

/** Fields of three states by DuckDB, with columns of types that this program has no use for. */
const select = (squares) => {
  const rows = squares.map(({ ring }, i) => `(${i}, unhex('${writeWkb([ring]).toString("hex")}'))`);
  return `select i as field_id, wkb as geometry, i * 1.5 as share, date '2020-01-01' + i::integer as seen,
    [i, i + 1] as pair, {'a': i} as nested, i % 2 = 0 as even, '0' || (i % 3)::varchar as state, i % 2 as half
    from (values ${rows.join(",")}) t(i, wkb) order by i`;
};

async function partitioned(folder, squares) {
  const path = join(folder, "parts");
  const geo = JSON.stringify(CRS84);
  await query(
    `copy (${select(squares)}) to '${path}' (format parquet, partition_by (state, half), row_group_size 4, kv_metadata {geo: '${geo}'})`,
  );
  return path;
}

test("a folder of parquet files, partitioned: all rows and columns, pages as they were, folders' values as columns", async (t) => {
  const folder = tempFolder(t);
  const squares = littleSquares(littleRaster(join(folder, "r.tif")), 40);
  const parts = await partitioned(folder, squares);
  writeFileSync(join(parts, "_SUCCESS.parquet"), "");
  const out = join(folder, "all.parquet");
  await importFields(parts, {}, out, testContext());
  const columns = "field_id, hex(geometry) as wkb, share, seen, pair, nested, even, state, half::bigint as half";
  const flat = "set enable_geoparquet_conversion = false;";
  const [got, expected] = await Promise.all([
    query(`${flat} select ${columns} from read_parquet('${out}') order by field_id`),
    query(`select ${columns.replace("hex(geometry)", "hex(geometry)")} from (${select(squares)})`),
  ]);
  assert.deepEqual(got, expected);
  const { crs, rows } = await openFields(out, {});
  assert.deepEqual([crs, rows], ["OGC:CRS84", 40]);
  // The order of rows is that of the files' names.
  const order = await query(`${flat} select state, half from read_parquet('${out}')`);
  const names = order.map(({ state, half }) => `${state}/${half}`);
  assert.deepEqual(names, [...names].sort());
});

test("a list of files; files that do not belong together are named", async (t) => {
  const folder = tempFolder(t);
  const squares = littleSquares(littleRaster(join(folder, "r.tif")), 6);
  const write = (name, columns, more = "") =>
    query(`copy (select ${columns} from (${select(squares)})) to '${join(folder, name)}' (format parquet${more})`);
  await write("a.parquet", "field_id, geometry");
  await write("b.parquet", "field_id + 100 as field_id, geometry");
  await write("c.parquet", "field_id::double as field_id, geometry");
  await write("d.parquet", "field_id, geometry", `, kv_metadata {geo: '${JSON.stringify(CRS84)}'}`);
  const out = join(folder, "out.parquet");
  const join2 = (...names) => importFields(names.map((name) => join(folder, name)).join(","), {}, out, testContext());
  await join2("a.parquet", "b.parquet");
  const ids = (await query(`select field_id as id from '${out}'`)).map(({ id }) => Number(id));
  assert.deepEqual(ids, [0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 104, 105]);
  await assert.rejects(
    join2("a.parquet", "c.parquet"),
    /Files of fields have different columns.*c\.parquet.*a\.parquet/,
  );
  await assert.rejects(join2("a.parquet", "d.parquet"), /Files of fields have different geo metadata.*d\.parquet/);
});

test("a root's fields from a vector source: attributes kept, made once, made again when the source changes", async (t) => {
  const root = tempFolder(t);
  const source = join(root, "boundaries.gpkg");
  const fields = {
    CSBID: gdal.OFTString,
    CSBACRES: gdal.OFTReal,
    CDL2020: gdal.OFTInteger,
    big: gdal.OFTInteger64,
    seen: gdal.OFTDate,
  };
  const rows = Array.from({ length: 7 }, (_, i) => ({
    wkt: i === 3 ? null : `POLYGON((${i} 0,${i + 1} 0,${i + 1} 1,${i} 0))`,
    CSBID: `17${i}`,
    CSBACRES: i * 10.25,
    ...(i !== 2 && { CDL2020: i, big: 2 ** 40 + i }),
    seen: `2020-05-0${1 + i}`,
  }));
  writeVector(source, "GPKG", [{ name: "national1724", rows, crs: 4326, fields }]);
  const options = resolveOptions({ root, fieldsRaw: source });
  const layout = layoutOf(options, 2020);
  const { fieldsRaw } = await withFieldsFile(options, layout, testContext());
  assert.match(fieldsRaw, /data\/fields\/boundaries_[0-9a-f]{12}\.parquet$/);
  const flat = "set enable_geoparquet_conversion = false;";
  const got = await query(`${flat} select * exclude (geom) from '${fieldsRaw}'`);
  assert.deepEqual(
    got,
    rows.map(({ CSBID, CSBACRES, CDL2020, big, seen }) => ({
      CSBID,
      CSBACRES,
      CDL2020: CDL2020 ?? null,
      big: big === undefined ? null : BigInt(big),
      seen: seen.replaceAll("-", "/"),
    })),
  );
  const { mtimeMs } = statSync(fieldsRaw);
  assert.equal((await withFieldsFile(options, layout, testContext())).fieldsRaw, fieldsRaw);
  assert.equal(statSync(fieldsRaw).mtimeMs, mtimeMs);
  writeVector(source.replace(".gpkg", "2.gpkg"), "GPKG", [{ name: "l", rows: rows.slice(1), crs: 4326, fields }]);
  copyFileSync(source.replace(".gpkg", "2.gpkg"), source);
  const again = (await withFieldsFile(options, layout, testContext())).fieldsRaw;
  assert.notEqual(again, fieldsRaw);
  assert.equal((await openFields(again, {})).rows, 6);
  // Parquet is read where it lies.
  const parquet = resolveOptions({ root, fieldsRaw: again });
  assert.equal((await withFieldsFile(parquet, layoutOf(parquet, 2020), testContext())).fieldsRaw, again);
  const layered = resolveOptions({ root, fieldsRaw: again, layer: "l" });
  await assert.rejects(
    withFieldsFile(layered, layoutOf(layered, 2020), testContext()),
    /--layer does not apply to parquet/,
  );
});

test("zonal.js takes a partitioned folder as it is", async (t) => {
  const folder = tempFolder(t);
  const raster = littleRaster(join(folder, "r.tif"));
  const squares = littleSquares(raster, 40);
  const parts = await partitioned(folder, squares);
  const out = join(folder, "out.parquet");
  const args = ["--fields", parts, "--raster", raster.path, "--out", out, "--fields-crs", "EPSG:5070"];
  const { code, stderr } = await command("zonal", args);
  assert.equal(code, 0, stderr);
  const got = await query(`select field_id as id, crop_code as code, crop_pixels as n from '${out}' order by id`);
  assert.deepEqual(
    got.map(({ id, code: crop, n }) => [Number(id), crop, n]),
    squares.map(({ majority, pixels }, i) => [i, majority, pixels]),
  );
  assert.deepEqual(readdirSync(folder).sort(), ["out.parquet", "parts", "r.tif"]);
});

test("a year, its tiles and a field's card from a GeoPackage, with no other file", async (t) => {
  const root = tempFolder(t);
  mkdirSync(join(root, "cdl"));
  const raster = littleRaster(join(root, "cdl", "2020_30m_cdls.tif"));
  const squares = littleSquares(raster, 40);
  const source = join(root, "csb.gpkg");
  const rows = squares.map(({ ring }, i) => ({
    wkt: `POLYGON((${ring.map(([x, y]) => `${x} ${y}`).join(",")}))`,
    CSBID: `K${i}`,
    CSBACRES: 10 + i,
    CNTY: "Barton",
  }));
  const fields = { CSBID: gdal.OFTString, CSBACRES: gdal.OFTReal, CNTY: gdal.OFTString };
  writeVector(source, "GPKG", [{ name: "csb", rows, fields }]);
  const args = ["--root", root, "--fields-raw", source];
  const year = await command("year", ["2020", ...args, "--threads", "1", "--cdl-source", join(root, "cdl")]);
  assert.equal(year.code, 0, year.stderr);
  const zonal = await query(
    `select field_id as id, crop_code as code from '${join(root, "outputs/zonal/zonal_us_2020.parquet")}'`,
  );
  assert.deepEqual(
    zonal,
    squares.map(({ majority }, i) => ({ id: `K${i}`, code: majority })),
  );
  const again = await command("tiles", ["2020", ...args]);
  assert.deepEqual([again.code, /begins/.test(again.stderr)], [0, false], again.stderr);
  const history = await command("history", args);
  assert.equal(history.code, 0, history.stderr);
  const card = await command("field", [...args, "--id", "K7", "--json"]);
  assert.equal(card.code, 0, card.stderr);
  const [field] = JSON.parse(card.stdout).fields;
  assert.deepEqual([field.id, field.row, field.attributes.CNTY], ["K7", 7, "Barton"]);
  assert.ok(Math.abs(field.areaHa - 17 * 0.40468564224) < 1e-5, `${field.areaHa}`);
});
