// What the truth file says, against rasterio's own counts on the painted rasters.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const PYTHON = "/usr/bin/python3";
const COUNTER = fileURLToPath(new URL("rasterio-counts.py", import.meta.url));
const found = spawnSync(PYTHON, ["-c", "import numpy, pyproj, rasterio"]).status === 0;

/** @returns by row: {area}, and {pixels, background, code, codePixels} too where the field is not outside. */
function countWithRasterio(raster, rows) {
  const input = rows.map(({ id, wkb }) => `${id},${wkb}`).join("\n");
  const run = spawnSync(PYTHON, [COUNTER, raster], { input, encoding: "utf8", maxBuffer: 2 ** 28 });
  assert.equal(run.status, 0, run.stderr);
  const lines = run.stdout.trim().split("\n");
  assert.equal(lines.length, rows.length);
  return lines.map((line, i) => {
    const [id, ...values] = line.split(",");
    assert.equal(id, rows[i].id);
    const [area, pixels, background, code, codePixels] = values.map(Number);
    return values[1] === "outside" ? { area } : { area, pixels, background, code, codePixels };
  });
}

const skip = found
  ? {}
  : { skip: `${PYTHON} has no numpy, pyproj and rasterio (Debian: python3-rasterio, python3-pyproj)` };

/** Where polygons run on the pixels' own lattice, every field's pixels are known, and sides of a mile bend by some square meters. */
const WORLDS = [
  { shapes: "drawn", areaM2: 1, counted: 800, empty: 1 },
  { shapes: "csb", areaM2: 30, counted: 1400, empty: 0 },
];

for (const { shapes, areaM2, counted, empty } of WORLDS)
  test(`truth agrees with rasterio, ${shapes} shapes: majorities, pixel counts, places and areas`, {
    ...skip,
    timeout: 300_000,
  }, async (t) => {
    const root = tempFolder(t);
    const args = [
      "--root",
      root,
      "--fields",
      "1500",
      "--years",
      "2019",
      "--seed",
      "5",
      "--unzipped",
      "--json",
      "--shapes",
      shapes,
    ];
    const run = await command("sample", args);
    assert.equal(run.code, 0, run.stderr);
    const data = join(root, "data");
    const rows = await query(`
    select t.field_id::varchar as id, hex(st_aswkb(r.geometry)) as wkb, t.* exclude (field_id)
      from '${data}/truth.parquet' t join '${data}/fields_raw.parquet' r using (field_id) order by t.field_id`);
    assert.equal(rows.length, 1500);
    const counts = countWithRasterio(run.json.files.cdl[2019], rows);

    const seen = { sure: 0, counted: 0, empty: 0, outside: 0, border: 0 };
    for (const [i, row] of rows.entries()) {
      const count = counts[i];
      const where = `field ${row.id} (${row.shape}, ${row.place})`;
      assert.ok(Math.abs(count.area - row.area_ha * 10_000) < areaM2, `${where}: ${count.area} m², ${row.area_ha} ha`);
      assert.equal(count.pixels === undefined, row.place === "outside", where);
      if (count.pixels === undefined) {
        seen.outside++;
        assert.equal(row.sure, false, where);
        continue;
      }
      if (row.sure) {
        seen.sure++;
        assert.equal(count.code, row.crop_2019, where);
        assert.ok(count.codePixels > 0.6 * count.pixels, `${where}: ${count.codePixels} of ${count.pixels} pixels`);
      }
      if (row.centres !== null) {
        seen.counted++;
        assert.equal(count.pixels, row.centres, where);
      }
      if (row.centres === 0) seen.empty++;
      if (row.place === "inside" || row.place === "edge") assert.equal(count.background, 0, where);
      if (row.place === "abroad") assert.equal(count.code, -1, where);
      if (row.place === "border" && count.background > 0) seen.border++;
    }
    // The world holds enough of each kind for the above to mean something.
    assert.ok(seen.sure > 1200, `${seen.sure} sure fields`);
    assert.ok(seen.counted > counted, `pixels of ${seen.counted} fields`);
    assert.ok(seen.empty >= empty, "no field without a pixel center");
    assert.ok(seen.outside > 0, "no field outside");
    assert.ok(seen.border > 0, "no field over the border");
    const mixed = rows.filter((row, i) => row.sure && counts[i].codePixels < counts[i].pixels).length;
    assert.ok(mixed > 0.9 * seen.sure, "nearly every field has pixels of other codes in it");
  });

test("every kind of shape is there, and both files tell one area", async (t) => {
  const root = tempFolder(t);
  const run = await command("sample", [
    "--root",
    root,
    "--fields",
    "1500",
    "--years",
    "2019",
    "--seed",
    "5",
    "--unzipped",
  ]);
  assert.equal(run.code, 0, run.stderr);
  const data = join(root, "data");
  const kinds = await query(`select shape, count(*)::int as n from '${data}/truth.parquet' group by 1 order by 1`);
  assert.deepEqual(
    kinds.map((row) => row.shape),
    [
      "corners",
      "creek",
      "diagonal",
      "eighty",
      "forty",
      "half",
      "hole",
      "pivot",
      "quarter",
      "river",
      "section",
      "sliver",
      "split",
      "strip",
    ],
  );
  const [{ off, n }] = await query(`
    select count(*)::int as n, count(*) filter (where c.area_ha != t.area_ha)::int as off
      from '${data}/fields_clean.parquet' c join '${data}/truth.parquet' t using (field_id)`);
  assert.deepEqual([off, n], [0, 1500]);
});
