import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeVector } from "../support/vector-file.mjs";
import { writeWkb } from "../support/wkb.mjs";

const COLUMNS = "county,acres,small,big,flag8,ratio,unsigned";

async function world(t) {
  const folder = tempFolder(t);
  const raster = littleRaster(join(folder, "r.tif"));
  const squares = littleSquares(raster, 60);
  const fields = join(folder, "f.parquet");
  const rows = squares.map(({ ring }, i) => `(${i}, unhex('${writeWkb([ring]).toString("hex")}'))`);
  await query(
    `copy (select i as field_id, wkb as geometry, case when i % 7 = 0 then null else 'County ' || (i % 5) end as county,
       case when i % 4 = 0 then null when i = 5 then 'nan'::double else i * 1.25 end as acres, (i - 9)::smallint as small,
       9007199254740993 + i as big, (i % 3)::utinyint as flag8, (i / 7)::float as ratio,
       (18446744073709551615 - i)::ubigint as unsigned, date '2020-01-01' as seen, 1 as crop_code
     from (values ${rows.join(",")}) t(i, wkb) order by i) to '${fields}' (format parquet, row_group_size 2048)`,
  );
  const zonal = (...args) =>
    command("zonal", ["--fields", fields, "--raster", raster.path, "--fields-crs", "EPSG:5070", ...args]);
  return { folder, fields, zonal };
}

test("--include carries columns of numbers and texts into the table, whatever writes it", async (t) => {
  const { folder, fields, zonal } = await world(t);
  const expected = await query(`select ${COLUMNS} from '${fields}'`);
  const plain = join(folder, "plain.parquet");
  assert.equal((await zonal("--out", plain)).code, 0);
  const table = await query(`select * from '${plain}'`);
  for (const more of [[], ["--classes"], ["--columns", "crop_code=code:int16"]]) {
    const out = join(folder, `out${more.length}${more[0] ?? ""}.parquet`);
    const run = await zonal("--out", out, "--include", COLUMNS, ...more);
    assert.equal(run.code, 0, run.stderr);
    assert.deepEqual(await query(`select ${COLUMNS} from '${out}'`), expected, String(more));
    if (more.length === 0) assert.deepEqual(await query(`select * exclude (${COLUMNS}) from '${out}'`), table);
    // Statistics hold: DuckDB leaves out row groups by them.
    const [{ n }] = await query(
      `select count(*)::int n from '${out}' where small = 3 and big > 9007199254740992 and ratio > 0`,
    );
    assert.equal(n, 1);
  }
  const csv = join(folder, "out.csv");
  const run = await zonal("--out", csv, "--include", "county,small");
  assert.equal(run.code, 0, run.stderr);
  const [first] = await query(`select * from read_csv('${csv}') where field_id = 8`);
  assert.deepEqual([first.county, Number(first.small)], ["County 3", -1]);
});

test("--include: columns that are not there, of other types, or of a name that the table has", async (t) => {
  const { folder, zonal } = await world(t);
  const fails = async (include, code, pattern) => {
    const run = await zonal("--out", join(folder, "out.parquet"), "--include", include);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, pattern);
  };
  await fails(
    "county,nope",
    4,
    /--include: the fields have no such column.*expected=nope, received=field_id geometry county/,
  );
  await fails("seen", 4, /--include supports only columns of numbers and text.*column=seen, received=Date/);
  await fails("crop_code", 2, /--include: the table already has a column of this name.*column=crop_code/);
});

test("--include from a vector source", async (t) => {
  const { folder } = await world(t);
  const raster = littleRaster(join(folder, "r2.tif"));
  const source = join(folder, "f.gpkg");
  const rows = littleSquares(raster, 9).map(({ ring }, i) => ({
    wkt: `POLYGON((${ring.map(([x, y]) => `${x} ${y}`).join(",")}))`,
    CSBID: `k${i}`,
    CNTY: i === 2 ? undefined : `c${i}`,
  }));
  for (const row of rows) if (row.CNTY === undefined) delete row.CNTY;
  writeVector(source, "GPKG", [{ name: "l", rows, fields: { CSBID: gdal.OFTString, CNTY: gdal.OFTString } }]);
  const out = join(folder, "v.parquet");
  const run = await command("zonal", ["--fields", source, "--raster", raster.path, "--out", out, "--include", "CNTY"]);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(
    (await query(`select field_id, CNTY from '${out}'`)).map((row) => [row.field_id, row.CNTY]),
    rows.map((row) => [row.CSBID, row.CNTY ?? null]),
  );
});
