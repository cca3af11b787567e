// Zonal tables that do not belong together, or are none: one error that names year and file.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

/** A root with zonal tables that another writer wrote: {year: select list over i, rows}. */
async function rootWith(t, tables) {
  const root = tempFolder(t);
  mkdirSync(join(root, "outputs", "zonal"), { recursive: true });
  for (const [year, { select, rows = 5000 }] of Object.entries(tables)) {
    const path = join(root, "outputs", "zonal", `zonal_us_${year}.parquet`);
    await query(`copy (select ${select} from range(${rows}) t(i)) to '${path}' (format parquet, row_group_size 2048)`);
  }
  return root;
}

const GOOD = "i::bigint field_id, (1 + i % 3)::int crop_code, 0.5::float crop_share, 10::uinteger valid_pixels";
const run = (root, args = []) => command("history", ["--root", root, "--json", ...args]);
const made = (root) => join(root, "outputs", "history", "us", "history_us.parquet");

const CASES = {
  "another number of rows": [
    { 2018: { select: GOOD }, 2019: { select: GOOD, rows: 4999 } },
    /lengths differ.*year=2019.*4999/,
  ],
  "other ids": [
    { 2018: { select: GOOD }, 2019: { select: GOOD.replace("i::bigint", "(i + (i = 4321)::int)::bigint") } },
    /ids differ.*year=2019.*row=4321.*expected=4321.*received=4322/,
  ],
  "no crop_code": [{ 2018: { select: "i field_id, 0.5 crop_share" } }, /column crop_code is missing.*year=2018/],
  "crops as text": [
    { 2018: { select: "i field_id, 'corn' crop_code, 0.5 crop_share, 1 valid_pixels" } },
    /crop_code is of another type.*year=2018/,
  ],
  "a code beyond 65535": [
    { 2018: { select: GOOD }, 2019: { select: GOOD.replace("(1 + i % 3)", "(if(i = 77, 70000, 1))") } },
    /does not fit.*year=2019.*row=77.*received=70000/,
  ],
  "too many crops": [
    { 2018: { select: GOOD.replace("1 + i % 3", "i % 300") } },
    /Too many different crops.*year=2018.*row=256/,
  ],
  "a share above 1": [
    { 2018: { select: GOOD.replace("0.5", "1.5") } },
    /share is not between 0 and 1.*year=2018.*row=0/,
  ],
};

for (const [name, [tables, message]] of Object.entries(CASES)) {
  test(name, async (t) => {
    const root = await rootWith(t, tables);
    const { code, stderr } = await run(root);
    assert.equal(code, 4, stderr);
    assert.match(stderr, message);
    assert.ok(!existsSync(made(root)));
  });
}

test("a table that is cut short", async (t) => {
  const root = await rootWith(t, { 2018: { select: GOOD }, 2019: { select: GOOD } });
  const path = join(root, "outputs", "zonal", "zonal_us_2019.parquet");
  truncateSync(path, readFileSync(path).length - 100);
  const { code, stderr } = await run(root);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /cut short.*zonal_us_2019/);
});

test("ids as strings, or of another width, from tables of other row groups", async (t) => {
  const text = GOOD.replace("i::bigint", "'F' || i");
  const root = await rootWith(t, {
    2018: { select: text, rows: 9000 },
    2019: { select: text, rows: 9000 },
  });
  assert.equal((await run(root, ["--csv"])).code, 0);
  const [{ lowest, n }] = await query(
    `select min(field_id) lowest, count(*)::int n from read_parquet('${made(root)}')`,
  );
  assert.deepEqual([lowest, n], ["F0", 9000]);
  const mixed = await rootWith(t, { 2018: { select: GOOD }, 2019: { select: GOOD.replace("bigint", "int") } });
  assert.equal((await run(mixed)).code, 0);
});

test("unnamed codes are gray, and no rows at all are a history of none", async (t) => {
  const root = await rootWith(t, { 2018: { select: GOOD.replace("1 + i % 3", "251") } });
  const { json } = await run(root);
  const legend = JSON.parse(readFileSync(json.legend, "utf8"));
  assert.deepEqual(
    legend.crops.map(({ code, name, color }) => [code, name, color]),
    [[251, "Code 251", "#9e9e9e"]],
  );
  const empty = await rootWith(t, { 2018: { select: GOOD, rows: 0 } });
  const run0 = await run(empty);
  assert.equal(run0.code, 0, run0.stderr);
  assert.equal(run0.json.rows, 0);
});
