import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { needsRealData, PAIRS, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const COLUMNS = ["crop_code", "crop_pixels", "valid_pixels", "second_code", "second_pixels"];

for (const { fields, raster, year } of PAIRS) {
  test(`${fields} ${year}: every column as GeoPandas + rasterio have it`, needsRealData, async (t) => {
    const out = join(tempFolder(t), "zonal.parquet");
    const run = await command("zonal", [
      "--fields",
      realPath(`${fields}/fields_raw.parquet`),
      "--raster",
      realPath(`rasters/${raster}`),
      "--out",
      out,
    ]);
    assert.equal(run.code, 0, run.stderr);
    const expected = `read_csv('${realPath(`${fields}/expected_${year}.csv`)}', types={'crop_code':'INT','second_code':'INT'})`;
    const [row] = await query(`
        select count(*)::int as rows, count(a.field_id)::int as ours, count(e.field_id)::int as theirs,
          ${COLUMNS.map((c) => `count(*) filter (where a.${c} is distinct from ${c.endsWith("pixels") ? `coalesce(e.${c}, 0)` : `e.${c}`})::int as ${c}`)}
        from read_parquet('${out}') a full join ${expected} e using (field_id)`);
    assert.ok(row.rows > 0);
    assert.deepEqual(row, {
      rows: row.rows,
      ours: row.rows,
      theirs: row.rows,
      ...Object.fromEntries(COLUMNS.map((c) => [c, 0])),
    });
  });
}

test("viscover: the published histogram of all seven fields together", needsRealData, async (t) => {
  const out = join(tempFolder(t), "zonal.parquet");
  const run = await command("zonal", [
    "--fields",
    realPath("viscover/fields_raw.parquet"),
    "--raster",
    realPath("rasters/ames_2018.tif"),
    "--out",
    out,
    "--nodata",
    "",
    "--json",
  ]);
  assert.equal(run.code, 0, run.stderr);
  // README of XiaodanLyu/viscover: 1:255 5:5 27:1 36:7 121:18 141:161 176:69 190:27 195:18
  assert.equal(run.json.validPixels, 255 + 5 + 1 + 7 + 18 + 161 + 69 + 27 + 18);
});
