// --coverage against exactextract, and --weights area against rasterio's pixels and an area formula of the test's own.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { rowsOf, writeWorld, zonalOf } from "../support/random-fields.mjs";
import { randomShape } from "../support/random-polygons.mjs";
import { rasterioMissing, rasterioPixels } from "../support/rasterio.mjs";
import { needsRealData, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

// Pixels not square, from 60 to 30 degrees north: a row in the south weighs 1.7 times one in the north.
const GRID = { a: 0.02, c: -100, e: -0.05, f: 60, width: 2300, height: 600 };
let folder;
let geometries;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-weights-"));
  const random = new Random(61);
  const shapes = Array.from({ length: 300 }, () => {
    const at = [random.pick([random.between(0, GRID.width), 2048]), random.pick([random.between(0, 600), 512])];
    return [randomShape(random, "blob", [...at, random.pick([0.5, 2, 10, 60])])];
  });
  geometries = await writeWorld(folder, shapes, { grid: GRID, epsg: 4326 });
});
after(() => rmSync(folder, { recursive: true, force: true }));

const zonal = (name, args) => zonalOf(folder, name, args, "EPSG:4326");

for (const { fields, raster, year } of [
  { fields: "kansas2021", raster: "2021_30m_cdls.tif", year: 2021 },
  { fields: "barton", raster: "barton_county_ks_2019.tif", year: 2019 },
]) {
  test(
    `${fields} ${year} --coverage: exactextract's modes, covered pixels and numbers of codes`,
    needsRealData,
    async (t) => {
      const out = join(tempFolder(t), "zonal.parquet");
      const base = ["--fields", realPath(`${fields}/fields_raw.parquet`), "--raster", realPath(`rasters/${raster}`)];
      const args = ["--coverage", "--classes", "--ties", "highest", "--nodata", ""];
      const run = await command("zonal", [...base, "--out", out, ...args]);
      assert.equal(run.code, 0, run.stderr);
      const expected = `read_csv('${realPath(`${fields}/expected_coverage_${year}.csv`)}')`;
      const [row] = await query(`
      select count(*)::int as rows, count(a.field_id)::int as ours, count(e.field_id)::int as theirs,
        count(*) filter (a.crop_code is distinct from e.crop_code)::int as modes,
        count(*) filter (len(a.class_codes) is distinct from e.codes)::int as codes,
        count(*) filter (abs(a.valid_pixels - e.covered_pixels) > 1e-5)::int as covered,
        count(*) filter (abs(list_sum(a.class_pixels) - a.valid_pixels) > 0)::int as sums,
        count(*) filter (a.rule <> 'coverage')::int as rules
      from read_parquet('${out}') a full join ${expected} e using (field_id)`);
      assert.ok(row.rows > 2000);
      const { rows } = row;
      assert.deepEqual(row, { rows, ours: rows, theirs: rows, modes: 0, codes: 0, covered: 0, sums: 0, rules: 0 });
    },
  );
}

test("weighted answers do not depend on threads or batches, nor on whether there is an index", async () => {
  const index = join(folder, "coverage.zones");
  const made = await command("prepare", [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    "EPSG:4326",
    "--raster",
    join(folder, "classes.tif"),
    "--out",
    index,
    "--coverage",
  ]);
  assert.equal(made.code, 0, made.stderr);
  for (const weights of [["--coverage"], ["--coverage", "--weights", "area", "--classes"], ["--weights", "area"]]) {
    const reference = await zonal("reference", weights);
    assert.equal(reference.code, 0, reference.stderr);
    const others = [["--threads", "3", "--batch", "7"], ...(weights[0] === "--coverage" ? [["--index", index]] : [])];
    for (const args of others) {
      const other = await zonal("other", [...weights, ...args]);
      assert.equal(other.code, 0, other.stderr);
      assert.deepEqual(readFileSync(other.out), readFileSync(reference.out), [...weights, ...args].join(" "));
    }
  }
});

/** Area of a pixel of a row on WGS 84, hectares: the ellipsoid's surface element, integrated by Simpson's rule. */
function pixelHa(row) {
  const [a, e2] = [6378137, 0.0066943799901413165];
  const radians = Math.PI / 180;
  const element = (lat) => {
    const w = 1 - e2 * Math.sin(lat) ** 2;
    return ((a * Math.cos(lat)) / Math.sqrt(w)) * ((a * (1 - e2)) / w ** 1.5);
  };
  const [from, step] = [(GRID.f + (row + 1) * GRID.e) * radians, (-GRID.e * radians) / 20];
  let sum = 0;
  for (let i = 0; i <= 20; i++) sum += (i === 0 || i === 20 ? 1 : i % 2 ? 4 : 2) * element(from + i * step);
  return (((sum * step) / 3) * GRID.a * radians) / 1e4;
}

test("--weights area: rasterio's pixels, each with its area on the ellipsoid", {
  skip: rasterioMissing(),
}, async () => {
  const run = await zonal("area", ["--weights", "area", "--classes"]);
  assert.equal(run.code, 0, run.stderr);
  const rows = await rowsOf(run.out);
  const dataset = gdal.open(join(folder, "classes.tif"));
  const classes = dataset.bands.get(1).pixels.read(0, 0, GRID.width, GRID.height);
  dataset.close();
  const pixels = await rasterioPixels(
    geometries.map((geometry) => writeWkb(geometry)),
    GRID,
  );
  const areas = Array.from({ length: GRID.height }, (_, row) => pixelHa(row));
  assert.ok(areas[599] / areas[0] > 1.7);
  const isNear = (a, b) => Math.abs(a - b) <= 1e-9 * Math.max(1, b);
  let unlike = 0;
  rows.forEach((row, i) => {
    const area = new Map();
    const count = new Map();
    for (const at of pixels[i] ?? []) {
      const code = classes[at];
      if (code === 0) continue;
      area.set(code, (area.get(code) ?? 0) + areas[Math.floor(at / GRID.width)]);
      count.set(code, (count.get(code) ?? 0) + 1);
    }
    const ranked = [...area].sort(([a, n], [b, m]) => m - n || a - b);
    const sum = ranked.reduce((total, [, ha]) => total + ha, 0);
    // Equal areas but for the last bit are a tie here, and none in the table.
    const clear = ranked.length < 2 || !isNear(ranked[0][1], ranked[1][1]);
    if (clear) assert.equal(row.crop_code, ranked[0]?.[0] ?? null, `field ${i}`);
    assert.ok(isNear(row.crop_area_ha, ranked[0]?.[1] ?? 0), `field ${i}: ${row.crop_area_ha}, not ${ranked[0]}`);
    assert.ok(isNear(row.valid_area_ha, sum), `field ${i}`);
    assert.deepEqual(
      row.class_codes,
      [...area.keys()].sort((a, b) => a - b),
    );
    row.class_codes.forEach((code, k) => {
      assert.ok(isNear(row.class_area_ha[k], area.get(code)), `field ${i}, class ${code}`);
    });
    const byCount = [...count].sort(([a, n], [b, m]) => m - n || a - b);
    if (byCount.length > 0 && byCount[0][0] !== row.crop_code) unlike++;
  });
  assert.ok(unlike > 0, "a majority that pixels alone would not give");
});

test("area is for degrees; rules that contradict one another are refused", async () => {
  const meters = tempMeters();
  try {
    await writeWorld(meters, [[randomShape(new Random(1), "blob", [9, 9, 9])]]);
    const run = await zonalOf(meters, "area", ["--weights", "area"]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /--weights area needs a raster in degrees.*classes\.tif/);
  } finally {
    rmSync(meters, { recursive: true, force: true });
  }
  for (const other of [["--all-touched"], ["--small-fields", "touched"]]) {
    const run = await zonal("both", ["--coverage", ...other]);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /--coverage exclude each other/);
  }
});

function tempMeters() {
  return mkdtempSync(join(tmpdir(), "fields-meters-"));
}
