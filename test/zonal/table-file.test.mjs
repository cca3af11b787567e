// The zonal table as readers that the project did not write see it: DuckDB, parquet-wasm, hyparquet.
import assert from "node:assert/strict";
import { openAsBlob, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tableFromIPC } from "apache-arrow";
import gdal from "gdal-async";
import { parquetMetadata } from "hyparquet/src/metadata.js";
import { ParquetFile } from "parquet-wasm";
import { command } from "../support/command.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SIDE = 600;
const [X0, Y0] = [-300015, 2000025];
const code = (col, row) => (row >= 590 ? 0 : 1 + (((col >> 3) + (row >> 2)) % 60));

function writeRaster(path) {
  const raster = gdal.open(path, "w", "GTiff", SIDE, SIDE, 1, gdal.GDT_Byte, ["COMPRESS=LZW"]);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [X0, 30, 0, Y0, 0, -30];
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => code(i % SIDE, Math.floor(i / SIDE)));
  raster.bands.get(1).pixels.write(0, 0, SIDE, SIDE, pixels);
  raster.close();
}

/** Field i: 3 × 2 pixels from a corner, or none at all. */
const cornerOf = (i) => [(i * 7) % (SIDE - 3), (i * 13) % (SIDE - 2)];
function wkbOf(i) {
  if (i % 50 === 3) return polygonWkb([box(X0 + 1, Y0 + 1e6, X0 + 50, Y0 + 1e6 + 50)]);
  const [col, row] = cornerOf(i);
  const [x, y] = [X0 + 30 * col, Y0 - 30 * row];
  return polygonWkb([box(x, y - 60, x + 90, y)]);
}

function expectedOf(i) {
  if (i % 50 === 3) return { code: null, n: 0, valid: 0, second: null, m: 0, why: "outside the raster" };
  const [col, row] = cornerOf(i);
  const counts = new Map();
  for (let k = 0; k < 6; k++) {
    const c = code(col + (k % 3), row + Math.floor(k / 3));
    if (c !== 0) counts.set(c, (counts.get(c) ?? 0) + 1);
  }
  const ranked = [...counts].sort(([a, n], [b, m]) => m - n || a - b);
  const valid = ranked.reduce((sum, [, n]) => sum + n, 0);
  const [first, second] = ranked;
  return {
    code: first?.[0] ?? null,
    n: first?.[1] ?? 0,
    valid,
    second: second?.[0] ?? null,
    m: second?.[1] ?? 0,
    why: first ? null : "only background or nodata",
  };
}

async function zonal(t, ids, idType) {
  const folder = tempFolder(t);
  const [fields, raster, out] = ["fields.parquet", "raster.tif", "out.parquet"].map((name) => join(folder, name));
  writeRaster(raster);
  await writeFields(
    fields,
    ids.map((id, i) => ({ id, wkb: wkbOf(i) })),
    { idType },
  );
  const args = ["--fields", fields, "--fields-crs", "EPSG:5070", "--raster", raster, "--out", out, "--max-dirty", "1"];
  const run = await command("zonal", args);
  assert.equal(run.code, 0, run.stderr);
  return out;
}

const text = (value) => (value === null ? null : String(value));

for (const [idType, duckType, idOf] of [
  ["BIGINT", "BIGINT", (i) => BigInt(i) * 3n - 1000n],
  ["BIGINT", "BIGINT", (i) => (i % 9 === 0 ? null : (BigInt(i) * 0x9e3779b97f4a7c15n) % 2n ** 63n)],
  ["UBIGINT", "UBIGINT", (i) => 2n ** 64n - 1n - BigInt(i)],
  ["SMALLINT", "SMALLINT", (i) => i - 700],
  ["UTINYINT", "UTINYINT", (i) => i % 256],
  ["UINTEGER", "UINTEGER", (i) => 2 ** 32 - 1 - i],
  ["VARCHAR", "VARCHAR", (i) => `20172024${String(10_000_000 + i)}`],
  ["VARCHAR", "VARCHAR", (i) => (i % 4 === 1 ? null : i % 4 === 2 ? "" : "Größe".repeat(i % 5))],
]) {
  test(`ids ${idType} such as ${text(idOf(2))}: DuckDB and parquet-wasm read what was counted`, async (t) => {
    const ids = Array.from({ length: 1500 }, (_, i) => idOf(i));
    const out = await zonal(t, ids, idType);
    const columns =
      "field_id::varchar as id, crop_code as code, crop_pixels as n, valid_pixels as valid, second_code as second";
    const rows = await query(
      `select ${columns}, second_pixels as m, null_reason as why, rule, crop_share::double as share from '${out}'`,
    );
    assert.equal(rows.length, ids.length);
    rows.forEach(({ id, share, rule, ...row }, i) => {
      const expected = expectedOf(i);
      assert.deepEqual({ id, ...row }, { id: text(ids[i]), ...expected });
      assert.equal(share, expected.n > 0 ? Math.fround(expected.n / expected.valid) : null);
      assert.equal(rule, expected.n > 0 ? "centre" : null);
    });
    const [{ type }] = await query(`select column_type as type from (describe select field_id from '${out}')`);
    assert.equal(type, duckType);

    const file = await ParquetFile.fromFile(await openAsBlob(out));
    const table = tableFromIPC((await file.read()).intoIPCStream());
    assert.deepEqual(
      [...table.getChild("field_id")].map((id) => (id === null ? null : String(id))),
      ids.map(text),
    );
    assert.deepEqual(
      [...table.getChild("crop_code")],
      ids.map((_, i) => expectedOf(i).code),
    );
    file.free();
  });
}

test("several row groups, and statistics by which a reader skips them", { timeout: 300_000 }, async (t) => {
  const count = 130_000;
  const out = await zonal(
    t,
    Array.from({ length: count }, (_, i) => 5 * i),
    "BIGINT",
  );
  const [{ wrong }] = await query(
    `select count(*)::int wrong from (select field_id, row_number() over () - 1 as n from '${out}') where field_id <> 5 * n`,
  );
  assert.equal(wrong, 0);
  const chunks = await query(
    `select row_group_id::int as "group", path_in_schema as name, row_group_num_rows::int as n, stats_null_count::int as nulls,
            stats_min_value as least, stats_max_value as most from parquet_metadata('${out}')`,
  );
  const of = (name) => chunks.filter((chunk) => chunk.name === name);
  assert.deepEqual(
    of("field_id").map(({ n, least, most }) => [n, Number(least), Number(most)]),
    [
      [122_880, 0, 5 * 122_879],
      [7120, 5 * 122_880, 5 * (count - 1)],
    ],
  );
  for (const { name, group, nulls, least, most } of chunks.filter(({ name }) => name !== "field_id")) {
    const [found] = await query(
      `select min(${name})::varchar as least, max(${name})::varchar as most, (count(*) - count(${name}))::int as nulls
         from (select *, row_number() over () - 1 as n from '${out}') where n // 122880 = ${group}`,
    );
    const number = (value) => (/^[\d.]+$/.test(value) ? Number(Number(value).toPrecision(6)) : value);
    assert.deepEqual(
      [number(least), number(most), nulls],
      [number(found.least), number(found.most), found.nulls],
      `${name} ${group}`,
    );
  }
  const one = await query(`select crop_pixels n from '${out}' where field_id = ${5 * 125_000}`);
  assert.deepEqual(one, [{ n: expectedOf(125_000).n }]);
  const metadata = parquetMetadata(new Uint8Array(readFileSync(out)).buffer);
  assert.equal(metadata.num_rows, BigInt(count));
});

test("no fields: a table of no rows", async (t) => {
  const out = await zonal(t, [], "BIGINT");
  assert.deepEqual(await query(`select * from '${out}'`), []);
  const [{ n }] = await query(`select count(*)::int n from (describe select * from '${out}')`);
  assert.equal(n, 9);
});
