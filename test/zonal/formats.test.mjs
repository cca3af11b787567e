// The extension of --out decides the table's format.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tableFromIPC } from "apache-arrow";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

let world;
let raster;
before(async () => {
  world = await makeWorld({ fields: 300, years: [2020], args: ["--unzipped", "--dirty"] });
  raster = join(world.source, "2020_30m_cdls.tif");
});
after(() => world?.remove());

const zonal = (out, args = []) =>
  command("zonal", ["--fields", world.files.raw, "--raster", raster, "--out", out, "--max-dirty", "1", ...args]);

test("csv and arrow hold the rows of the parquet, lists included", async (t) => {
  const folder = tempFolder(t);
  for (const name of ["z.parquet", "z.csv", "z.arrow"]) {
    const run = await zonal(join(folder, name), ["--classes"].concat(name === "z.csv" ? [] : ["--force"]));
    assert.equal(run.code, 0, run.stderr);
    assert.ok(existsSync(join(folder, "z.dirty.csv")));
  }
  const columns = "field_id::bigint field_id, crop_code::int crop_code, crop_share::float crop_share, null_reason";
  const parquet = await query(`select ${columns} from read_parquet('${join(folder, "z.parquet")}')`);
  const csv = await query(`select ${columns} from read_csv('${join(folder, "z.csv")}')`);
  assert.ok(parquet.length > 300);
  assert.deepEqual(csv, parquet);
  const [{ same }] = await query(
    `select bool_and(c.class_codes = to_json(p.class_codes)::varchar) as same
     from read_csv('${join(folder, "z.csv")}', all_varchar = true) c positional join read_parquet('${join(folder, "z.parquet")}') p`,
  );
  assert.equal(same, true);
  const arrow = tableFromIPC(readFileSync(join(folder, "z.arrow")));
  assert.equal(arrow.numRows, parquet.length);
  for (const [i, row] of parquet.entries()) {
    const { field_id, crop_code, null_reason } = arrow.get(i);
    assert.deepEqual([field_id, crop_code, null_reason], [BigInt(row.field_id), row.crop_code, row.null_reason]);
  }
});

test("an Arrow file of its own is replaced; a CSV cannot say whose it is", async (t) => {
  const folder = tempFolder(t);
  for (const [name, again] of [
    ["z.arrow", 0],
    ["z.csv", 2],
  ]) {
    assert.equal((await zonal(join(folder, name))).code, 0);
    assert.equal((await zonal(join(folder, name))).code, again, name);
  }
});

for (const name of ["z", "z.txt", "z.csv.gz", "z.feather"]) {
  test(`--out ${name} is refused`, async (t) => {
    const run = await zonal(join(tempFolder(t), name));
    assert.equal(run.code, 2);
    assert.match(run.stderr, /--out must end in \.parquet, \.csv or \.arrow/);
  });
}
