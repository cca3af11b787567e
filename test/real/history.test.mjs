// Two real rasters of one county, nine years apart: the history holds the answers that rasterio gave.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { needsRealData, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

test("crops and shares of 6,682 real fields in 2010 and 2019 are rasterio's", needsRealData, async (t) => {
  const root = tempFolder(t);
  for (const folder of ["data", "outputs/zonal"]) mkdirSync(join(root, folder), { recursive: true });
  for (const name of ["fields_raw", "fields_clean"]) {
    copyFileSync(realPath(`barton/${name}.parquet`), join(root, "data", `${name}.parquet`));
  }
  for (const year of [2010, 2019]) {
    const zonal = await command("zonal", [
      "--fields",
      join(root, "data/fields_raw.parquet"),
      "--threads",
      "1",
      "--raster",
      realPath(`rasters/barton_county_ks_${year}.tif`),
      "--out",
      join(root, `outputs/zonal/zonal_us_${year}.parquet`),
    ]);
    assert.equal(zonal.code, 0, zonal.stderr);
  }
  const { code, json, stderr } = await command("history", ["2010,2019", "--root", root, "--json"]);
  assert.equal(code, 0, stderr);
  const [wrong] = await query(
    `
    select count(*)::int n, count(*) filter (
      h.crop_2010 is distinct from a.crop_code or h.crop_2019 is distinct from b.crop_code
      or abs(h.share_2010 - 100 * a.crop_pixels / a.valid_pixels) > 1 or abs(h.share_2019 - 100 * b.crop_pixels / b.valid_pixels) > 1
      or h.area_ha <> c.area_ha::float)::int bad
    from read_parquet('${json.history}') h
    join read_csv('${realPath("barton/expected_2010.csv")}') a using (field_id)
    join read_csv('${realPath("barton/expected_2019.csv")}') b using (field_id)
    join read_parquet('${join(root, "data/fields_clean.parquet")}') c using (field_id)`.replace(
      /^/,
      "set enable_geoparquet_conversion = false;",
    ),
  );
  assert.deepEqual(wrong, { n: 6682, bad: 0 });
  // Nine years apart nothing follows upon anything.
  const [{ n }] = await query(
    `select count(*)::int n from read_parquet('${join(json.folder, "transitions.parquet")}')`,
  );
  assert.equal(n, 0);
});
