// Columns of --include in tiles, read by another decoder.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { featuresOf, readArchive } from "../support/archive-features.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { littleRaster, littleSquares } from "../support/little-raster.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";
import { writeWkb } from "../support/wkb.mjs";

const COUNT = 60;
const TYPES = { county: "String", acres: "Number", small: "Number", big: "Number", ratio: "Number", "a:b c": "String" };
/** tippecanoe writes such numbers in a way that decoders of JavaScript read with the wrong sign. */
const NATIVE_ONLY = { low: "Number" };

async function world(t, id = "i * 3") {
  const folder = tempFolder(t);
  const raster = littleRaster(join(folder, "CDL_2020.tif"));
  const squares = littleSquares(raster, COUNT);
  const fields = join(folder, "f.parquet");
  const rows = squares.map(({ ring }, i) => `(${i}, unhex('${writeWkb([ring]).toString("hex")}'))`);
  await query(
    `copy (select ${id} as field_id, wkb as geometry, case when i % 7 = 0 then null else 'Coün"ty ' || (i % 5) end as county,
       case when i % 4 = 0 then null when i = 5 then 'nan'::double else i * 1.25 end as acres, (i - 9)::smallint as small,
       9007199254740993 + i as big, -9007199254740993 - i as low, (i / 7)::float as ratio,
       'c' || i as "a:b c", 'x' as crop_code, date '2020-01-01' as seen
     from (values ${rows.join(",")}) t(i, wkb) order by i) to '${fields}' (format parquet)`,
  );
  const root = join(folder, "root");
  const year = (...args) => {
    const base = ["2020", "--root", root, "--fields-raw", fields, "--fields-crs", "EPSG:5070"];
    return command("year", [...base, "--cdl-source", folder, ...args]);
  };
  const expected = (names) => query(`select ${names.map((name) => `"${name}"`)} from '${fields}'`);
  return { root, fields, year, expected, squares };
}

/** As a decoder for JavaScript has them: numbers; neither null nor NaN. */
function propertiesOf(row) {
  const entries = Object.entries(row).filter(([, value]) => value !== null && !Number.isNaN(value));
  return Object.fromEntries(entries.map(([key, value]) => [key, typeof value === "bigint" ? Number(value) : value]));
}

for (const [tiler, skip] of [
  ["native", false],
  ["tippecanoe", noTippecanoe],
]) {
  test(`${tiler}: every feature of both layers has its columns, typed, beside area and crop`, { skip }, async (t) => {
    const { root, year, expected, squares } = await world(t);
    const types = { ...TYPES, ...(tiler === "native" && NATIVE_ONLY) };
    const names = Object.keys(types);
    const rows = await expected(names);
    const run = await year("--include", names.join(","), "--tiler", tiler, "--max-zoom", "14");
    assert.equal(run.code, 0, run.stderr);
    const archive = await readArchive(t, join(root, "outputs/tiles/fields_us_2020_full.pmtiles"), [14, 14]);
    for (const name of ["fields", "centroids"]) {
      const features = featuresOf(archive, name, 14);
      assert.equal(features.size, COUNT);
      for (const [row, { properties }] of features) {
        const { field_id, area_ha, crop_code, ...included } = properties;
        assert.deepEqual([field_id, area_ha, crop_code], [3 * row, 2.25, squares[row].majority]);
        assert.deepEqual(included, propertiesOf(rows[row]), `${name} ${row}`);
      }
    }
    const { vector_layers: layers, tilestats } = archive.metadata;
    for (const { fields } of layers) {
      assert.deepEqual(fields, { field_id: "Number", area_ha: "Number", ...types, crop_code: "Number" });
    }
    const county = tilestats.layers[0].attributes.find(({ attribute }) => attribute === "county");
    assert.deepEqual([county.type, county.count], ["string", 5]);
  });
}

test("other columns make another base; names that tiles have, and columns that are not there, are errors", async (t) => {
  const { root, year } = await world(t, "i");
  assert.equal((await year("--max-zoom", "12")).code, 0);
  const run = await year("--max-zoom", "12", "--include", "small");
  assert.equal(run.code, 0, run.stderr);
  const archive = await readArchive(t, join(root, "outputs/tiles/fields_us_2020_full.pmtiles"), [12, 12]);
  const features = featuresOf(archive, "fields", 12);
  for (const [row, { properties }] of features) assert.equal(properties.small, row - 9);
  const taken = await year("--include", "crop_code");
  assert.deepEqual([taken.code, /already ha[sve]+ .* of this name/.test(taken.stderr)], [2, true], taken.stderr);
  const missing = await year("--include", "nope");
  assert.deepEqual([missing.code, /--include: the fields have no such column/.test(missing.stderr)], [4, true]);
});
