// Ids of all 64 bits, signed and not, through every stage: the table, tiles, archives, history and lookup.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { basename, join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

/** The id of a sample field's id, as SQL: the ends of the type, and what doubles cannot tell apart. */
const KINDS = {
  BIGINT:
    "case when id % 3 = 0 then -9223372036854775808 + n when id % 3 = 1 then -4503599627370497 - n else 9223372036854775807 - n end",
  UBIGINT: "case when id % 2 = 0 then 18446744073709551615 - n else 9007199254740993 + n end",
};

for (const [type, expression] of Object.entries(KINDS)) {
  test(`ids of type ${type} come out of every stage as they went in`, { skip: noTippecanoe }, async () => {
    const world = await makeWorld({ fields: 40, years: [2020], seed: 5 });
    try {
      const root = newRoot(world, "wide");
      // Every id gets a number of its own first, the same in both files.
      const numbers = `(select field_id as id, row_number() over (order by field_id)::hugeint as n from (select distinct field_id from read_parquet('${world.files.raw}')))`;
      for (const path of [world.files.raw, world.files.clean]) {
        const wide = `select (${expression})::${type} as field_id, t.* exclude (field_id)
          from read_parquet('${path}', file_row_number = true) t join ${numbers} on t.field_id = id order by file_row_number`;
        const out = join(root, "data", basename(path));
        await query(`copy (select * exclude (file_row_number) from (${wide})) to '${out}' (format parquet)`);
      }
      const raw = join(root, "data", basename(world.files.raw));
      const ids = (await query(`select field_id::varchar as id from read_parquet('${raw}')`)).map(({ id }) => id);

      const run = await runYear(root, 2020, world.source, ["--fields-crs", "EPSG:4326"]);
      assert.equal(run.code, 0, run.stderr);
      const table = join(root, "outputs", "zonal", "zonal_us_2020.parquet");
      const rows = await query(`select field_id::varchar as id, crop_code from read_parquet('${table}')`);
      assert.deepEqual(
        rows.map(({ id }) => id),
        ids,
      );

      const path = join(root, "outputs", "tiles", "fields_us_2020_full.pmtiles");
      const verified = await command("archive", ["verify", path]);
      assert.equal(verified.code, 0, verified.stderr);
      assertTileIds(path, ids);

      const history = await command("history", ["--root", root]);
      assert.equal(history.code, 0, history.stderr);
      const row = rows.findIndex(({ crop_code: crop }) => crop !== null);
      const field = await command("field", ["--root", root, `--id=${ids[row]}`, "--fields-crs", "EPSG:4326", "--json"]);
      assert.equal(field.code, 0, field.stderr);
      const [found] = field.json.fields;
      assert.equal(String(found.id), ids[row]);
      assert.equal(found.row, row);
    } finally {
      world.remove();
    }
  });
}

/** Every feature of the highest zoom has its row's id, as tippecanoe's own decoder reads it. */
function assertTileIds(path, ids) {
  const output = execFileSync("tippecanoe-decode", ["-z", "14", "-Z", "14", path], { maxBuffer: 2 ** 28 });
  // As text: JSON's numbers would be rounded.
  const text = output.toString().replaceAll(/"field_id": (-?\d+)/g, '"field_id": "$1"');
  const seen = new Set();
  for (const tile of JSON.parse(text).features) {
    for (const { features } of tile.features) {
      for (const { id, properties } of features) {
        assert.equal(properties.field_id, ids[id]);
        seen.add(id);
      }
    }
  }
  assert.ok(seen.size > 30, `${seen.size} fields`);
}
