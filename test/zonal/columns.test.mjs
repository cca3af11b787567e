// Tie rule, whole histograms, and columns under the user's names: against rasterio and numpy, read by DuckDB.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { query } from "../support/duck.mjs";
import { Random } from "../support/random.mjs";
import { GRID, rowsOf, writeWorld, zonalOf } from "../support/random-fields.mjs";
import { randomPolygon } from "../support/random-polygons.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";

const FIELDS = 500;
const skip = rasterioMissing();
let folder;
let geometries;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-columns-"));
  const random = new Random(21);
  const shapes = Array.from({ length: FIELDS }, () => {
    const col = random.pick([random.between(-5, GRID.width + 5), 2048]);
    const row = random.pick([random.between(-5, GRID.height + 5), 512]);
    return randomPolygon(random, [col, row, random.pick([1, 4, 12, 60])]);
  });
  geometries = await writeWorld(folder, shapes);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** [class, pixels] of a field, classes ascending, background left out. */
function pairs(histogram) {
  return Object.entries(histogram ?? {})
    .map(([code, pixels]) => [Number(code), pixels])
    .filter(([code]) => code !== 0)
    .sort(([a], [b]) => a - b);
}

for (const ties of ["lowest", "highest"]) {
  test(`--ties ${ties} --classes: rasterio's histograms, and their majority`, { skip }, async () => {
    const run = await zonalOf(folder, ties, ["--ties", ties, "--classes"]);
    assert.equal(run.code, 0, run.stderr);
    const rows = await rowsOf(run.out);
    const histograms = rasterioHistograms(geometries, join(folder, "classes.tif"));
    let tied = 0;
    const sign = ties === "lowest" ? 1 : -1;
    rows.forEach((row, i) => {
      const expected = pairs(histograms[i]);
      const ranked = [...expected].sort(([a, n], [b, m]) => m - n || sign * (a - b));
      if (ranked.length > 1 && ranked[0][1] === ranked[1][1]) tied++;
      assert.deepEqual(
        {
          code: row.crop_code,
          pixels: row.crop_pixels,
          second: row.second_code,
          secondPixels: row.second_pixels,
          valid: row.valid_pixels,
          codes: row.class_codes,
          counts: row.class_pixels,
        },
        {
          code: ranked[0]?.[0] ?? null,
          pixels: ranked[0]?.[1] ?? 0,
          second: ranked[1]?.[0] ?? null,
          secondPixels: ranked[1]?.[1] ?? 0,
          valid: expected.reduce((sum, [, n]) => sum + n, 0),
          codes: expected.map(([code]) => code),
          counts: expected.map(([, n]) => n),
        },
        `field ${i}`,
      );
    });
    assert.ok(tied > 20, `${tied} ties`);
  });
}

test("histograms beside the answers change none of them; threads and batches give the same bytes", async () => {
  const columns = "field_id,crop_code,crop_pixels,valid_pixels,crop_share,second_code,second_pixels,rule,null_reason";
  const plain = await zonalOf(folder, "plain");
  const chosen = await zonalOf(folder, "chosen", ["--classes", "--columns", columns]);
  for (const run of [plain, chosen]) assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(readFileSync(plain.out), readFileSync(chosen.out));
  const classes = await zonalOf(folder, "classes", ["--classes", "--ties", "highest"]);
  const other = await zonalOf(folder, "other", ["--classes", "--ties", "highest", "--threads", "3", "--batch", "7"]);
  assert.equal(other.code, 0, other.stderr);
  assert.deepEqual(readFileSync(other.out), readFileSync(classes.out));
});

test("--columns: renamed, typed, in the order asked for, the rest left out", async () => {
  const all = await zonalOf(folder, "all", ["--classes"]);
  const run = await zonalOf(folder, "named", [
    "--classes",
    "--columns",
    "class_codes=codes,crop_share=share:float64,crop_code=majority:int16,second_pixels:int64,null_reason=why,valid_pixels=n:uint64,second_code:float32",
  ]);
  assert.equal(run.code, 0, run.stderr);
  const described = await query(`describe select * from '${run.out}'`);
  assert.deepEqual(
    described.map((column) => `${column.column_name} ${column.column_type}`),
    [
      "field_id BIGINT",
      "codes INTEGER[]",
      "share DOUBLE",
      "majority SMALLINT",
      "second_pixels BIGINT",
      "why VARCHAR",
      "n UBIGINT",
      "second_code FLOAT",
    ],
  );
  const before = `select field_id, class_codes, crop_share::double, crop_code, second_pixels, null_reason, valid_pixels, second_code from '${all.out}'`;
  const after = `select * from '${run.out}'`;
  assert.deepEqual(await query(`(${before} except ${after}) union all (${after} except ${before})`), []);
  const [{ nulls }] = await query(`select count(*) filter (where majority is null)::int as nulls from '${run.out}'`);
  assert.ok(nulls > 5 && nulls < FIELDS / 2);
});

test("--columns: a renamed id, and what the old step's check looks at", async () => {
  const run = await zonalOf(folder, "old", ["--columns", "field_id=id,crop_code=majority:int32"]);
  assert.equal(run.code, 0, run.stderr);
  const bytes = readFileSync(run.out);
  assert.equal(bytes.subarray(0, 4).toString(), "PAR1");
  assert.equal(bytes.subarray(-4).toString(), "PAR1");
  assert.deepEqual(await query(`select num_rows::int as rows from parquet_file_metadata('${run.out}')`), [
    { rows: FIELDS },
  ]);
  assert.deepEqual(await query(`select min(id)::int as low, max(id)::int as high from '${run.out}'`), [
    { low: 0, high: FIELDS - 1 },
  ]);
});

test("--columns: what is wrong is named", async () => {
  for (const [columns, message] of [
    ["crop=majority", /unknown column.*received=crop\b/],
    ["crop_cod=majority", /unknown column, did you mean crop_code\?/],
    ["class_codes", /unknown column/],
    ["crop_code=majority:int17", /unknown type.*int16.*received=int17/],
    ["rule=why:int8", /keeps its type.*rule/],
    ["field_id=id:int32", /keeps its type.*field_id/],
    ["crop_code=a,second_code=a", /two columns the same name.*column=a/],
    ["crop_code=field_id", /two columns the same name.*column=field_id/],
    ["crop_code==a", /list of column=name:type/],
    ["", /list of column=name:type/],
  ]) {
    const run = await zonalOf(folder, "wrong", ["--columns", columns]);
    assert.equal(run.code, 2, `${columns}: ${run.stderr}`);
    assert.match(run.stderr, message, columns);
  }
  const run = await zonalOf(folder, "narrow", ["--columns", "valid_pixels:uint8"]);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /does not fit the type.*valid_pixels.*uint8.*value=\d{3,}.*row=\d+/);
  const share = await zonalOf(folder, "share", ["--columns", "crop_share:int8"]);
  assert.match(share.stderr, /does not fit the type.*crop_share/);
});
