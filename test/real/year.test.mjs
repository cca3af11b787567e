// The main job on real rasters and real fields, read where they lie: archives whose tiles, as two independent
// readers see them, hold every field with the crop that GeoPandas and rasterio find.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { decodeArchive, featuresOf, readArchive } from "../support/archive-features.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { needsRealData, PAIRS, realData, realPath } from "../support/real-data.mjs";
import { leftovers, snapshot, stagesOf } from "../support/sample-world.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

let folder;
let untouched;

describe("years of real data", { skip: noTippecanoe }, () => {
  before(() => {
    if (!realData) return;
    folder = mkdtempSync(join(tmpdir(), "fields-real-"));
    untouched = snapshot(realPath("."));
  });
  after(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** `node dist/year.js` on one pair; both years of one field set share a root. */
  function year(pair, args = []) {
    const source = `file://${realPath("rasters/")}${pair.raster.replace(pair.year, "{year}")}`;
    const fields = ["--fields-raw", realPath(`${pair.fields}/fields_raw.parquet`)];
    const clean = ["--fields-clean", realPath(`${pair.fields}/fields_clean.parquet`)];
    return command("year", [
      String(pair.year),
      "--root",
      rootOf(pair),
      "--cdl-source",
      source,
      ...fields,
      ...clean,
      ...args,
    ]);
  }
  const rootOf = ({ fields }) => join(folder, fields);
  const nameOf = ({ fields, year }) => `${fields} ${year}`;

  /** Row number, id, area and the expected crop of every field. */
  async function expectedRows({ fields, year }) {
    const parquet = (name) => `read_parquet('${realPath(`${fields}/${name}.parquet`)}', file_row_number = true)`;
    return query(`
    set enable_geoparquet_conversion = false;
    select raw.file_row_number::int as n, field_id::double as id, area_ha::double as area, crop_code::int as crop, name
    from ${parquet("fields_raw")} raw
      join ${parquet("fields_clean")} clean using (field_id)
      join read_csv('${realPath(`${fields}/expected_${year}.csv`)}') using (field_id)
      left join read_csv('${realPath("cdl_legend.csv")}') on code = crop_code
    order by n`);
  }

  for (const pair of PAIRS) {
    test(`${nameOf(pair)}: every field is in the tiles with its crop`, needsRealData, async (t) => {
      const run = await year(pair, ["--json", "--crop-names"]);
      assert.equal(run.code, 0, run.stderr);
      const rows = await expectedRows(pair);
      assert.equal(run.json.zonal.rows, rows.length);
      const path = join(rootOf(pair), `outputs/tiles/fields_us_${pair.year}_full.pmtiles`);
      const decoded = await decodeArchive(path, 14);
      const archive = await readArchive(t, path, [14, 14]);
      for (const layer of ["fields", "centroids"]) {
        const other = featuresOf(archive, layer, 14);
        assert.deepEqual([decoded[layer].size, other.size], [rows.length, rows.length], layer);
        for (const { n, id, area, crop, name } of rows) {
          const { properties } = decoded[layer].get(n);
          assert.deepEqual(properties, { field_id: id, area_ha: properties.area_ha, crop_code: crop, crop_name: name });
          assert.ok(
            Math.abs(properties.area_ha - area) < 0.00501,
            `field ${id}: ${properties.area_ha} ha, not ${area}`,
          );
          assert.deepEqual({ ...other.get(n).properties }, properties);
        }
      }
      const codes = [...new Set(rows.map(({ crop }) => crop))].sort((a, b) => a - b);
      assert.deepEqual(
        JSON.parse(archive.metadata.legend).map(({ code }) => code),
        codes,
      );
      assert.deepEqual(leftovers(rootOf(pair), pair.year), []);
      assert.deepEqual(snapshot(realPath(".")), untouched, "what is read in place is neither changed nor removed");
    });
  }

  test("the second year of a field set finds the zone index of the first", needsRealData, async () => {
    const [first, second] = PAIRS.filter(({ fields }) => fields === "barton");
    const zones = Object.keys(snapshot(rootOf(first))).filter((path) => path.endsWith(".zones"));
    assert.equal(zones.length, 1);
    const manifest = JSON.parse(readFileSync(join(rootOf(first), "outputs/web/us_full_years.json"), "utf8"));
    assert.deepEqual(manifest.years, [first.year, second.year]);
    const rerun = await year(second, ["--crop-names"]);
    assert.deepEqual([rerun.code, stagesOf(rerun).done], [0, []], rerun.stderr);
  });
});
