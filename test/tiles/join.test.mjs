// A column of one table for every field of another, by id: DuckDB writes the files and says what is right.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFields } from "../../dist/fields/fields-file.js";
import { joinColumn } from "../../dist/fields/join.js";
import { streamIds } from "../../dist/fields/stream-ids.js";
import { openParquet } from "../../dist/table/parquet-file.js";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";

const ROWS = 5000;
let folder;
/** A file that is open is not written again: each has a name of its own. */
const versions = {};
const file = (name) => join(folder, `${versions[name]}-${name}.parquet`);

before(() => {
  folder = mkdtempSync(join(tmpdir(), "fields-join-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** `select` gives field_id (and geometry, or area); DuckDB's row groups are multiples of 2,048. */
function write(name, select, rowGroup = 2048) {
  versions[name] = (versions[name] ?? 0) + 1;
  return query(`copy (${select}) to '${file(name)}' (format parquet, row_group_size ${rowGroup})`);
}
const fieldsOf = (id, n = ROWS) => `select ${id} as field_id, ''::blob as geometry from range(${n}) t(n)`;
const areasOf = (id, order = "n", n = ROWS) =>
  `select ${id} as field_id, (n * 0.25)::double as area from range(${n}) t(n) order by ${order}`;

async function joined({ fields = "fields", table = "table", column = "area", make = "float64", batch = 700 } = {}) {
  const ctx = testContext();
  const left = await openFields(file(fields), { fieldsCrs: "EPSG:4326" });
  const result = await joinColumn(left, await openParquet(file(table)), "field_id", column, make, { batch }, ctx);
  return { ...result, warned: ctx.lines.some(({ message }) => message.includes("joined by id")) };
}

/** By DuckDB: the value for every row of the fields (of repeated ids the table's first), NaN for none. */
async function expected({ fields = "fields", table = "table", column = "area" } = {}) {
  const rows = await query(`
    with f as (select file_row_number as n, field_id as id from read_parquet('${file(fields)}', file_row_number = true)),
      t as (select field_id as id, arg_min({v: ${column}}, file_row_number).v as value
        from read_parquet('${file(table)}', file_row_number = true) where field_id is not null group by id)
    select value::double as value from f left join t using (id) order by n`);
  return rows.map(({ value }) => value ?? Number.NaN);
}

const nothing = { rows: 0, ids: [] };

test("rows in step, in row groups and batches of other sizes", async () => {
  await write("fields", fieldsOf("n * 3"), 2048);
  await write("table", areasOf("n * 3"), 4096);
  const right = await expected();
  for (const batch of [100, 700, 2048, 100_000]) {
    const { values, missing, extra, warned } = await joined({ batch });
    assert.deepEqual([...values], right);
    assert.deepEqual([missing, extra, warned], [nothing, nothing, false]);
  }
  const narrow = await joined({ make: "float32" });
  assert.ok(narrow.values instanceof Float32Array && narrow.values.buffer instanceof SharedArrayBuffer);
  assert.deepEqual([...narrow.values], right.map(Math.fround));
});

test("doubles by the kernel: nulls, repeated and special values, ids of 64 bits and texts", async () => {
  const values = `case n % 7 when 0 then null when 1 then 'nan'::double when 2 then 'inf'::double when 3 then -0.1
    else (n % 5) * 1e300 end`;
  for (const id of ["n * 3", "(n + 4000000000000000000)::bigint", "'a' || n", "(n * 1e6)::decimal(18, 2)"]) {
    await write("fields", fieldsOf(id));
    await write("table", `select ${id} as field_id, ${values} as area from range(${ROWS}) t(n)`, 4096);
    const right = await expected();
    const { values: found, warned } = await joined();
    assert.deepEqual([...found], right, id);
    assert.equal(warned, false);
    const narrow = await joined({ make: "float32" });
    assert.deepEqual([...narrow.values], right.map(Math.fround), id);
  }
});

test("streamed ids are the file's, whichever reader knows their type", async () => {
  for (const [type, id] of [
    ["bigint", "-n"],
    ["uinteger", "4000000000 + n"],
    ["varchar", "case n % 3 when 0 then null else 'ä' || n end"],
    ["double", "n * 1e6"],
    ["decimal(18, 0)", "n"],
  ]) {
    await write("fields", fieldsOf(`(${id})::${type}`));
    const fields = await openFields(file("fields"), { fieldsCrs: "EPSG:4326" });
    const found = [];
    for await (const { firstRow, rows, id: read } of streamIds(fields, 700)) {
      assert.equal(firstRow, found.length);
      for (let i = 0; i < rows; i++) found.push(read(i));
    }
    const right = await query(`select field_id::varchar as id from read_parquet('${file("fields")}')`);
    const text = (value) => (value === null ? null : String(value).replace(/\.0$/, ""));
    assert.deepEqual(
      found.map(text),
      right.map(({ id }) => text(id)),
      type,
    );
  }
});

test("rows shuffled: the same values, and the log says that ids were used", async () => {
  await write("fields", fieldsOf("n * 3"));
  await write("table", areasOf("n * 3", "hash(n)"), 4096);
  const { values, missing, extra, warned } = await joined();
  assert.deepEqual([...values], await expected());
  assert.deepEqual([missing, extra, warned], [nothing, nothing, true]);
});

test("in step but for the last two rows", async () => {
  await write("fields", fieldsOf("n"));
  await write(
    "table",
    areasOf(`case n when ${ROWS - 1} then ${ROWS - 2} when ${ROWS - 2} then ${ROWS - 1} else n end`),
  );
  const { values, missing, extra } = await joined();
  assert.deepEqual([...values], await expected());
  assert.deepEqual([values[ROWS - 1], values[ROWS - 2]], [(ROWS - 2) * 0.25, (ROWS - 1) * 0.25]);
  assert.deepEqual([missing, extra], [nothing, nothing]);
});

test("rows on one side only are counted, and the first ten named", async () => {
  await write("fields", fieldsOf("n"));
  await write("table", areasOf("case when n % 100 = 7 then n + 1000000 else n end"));
  const { values, missing, extra } = await joined();
  assert.deepEqual([...values], await expected());
  const first = Array.from({ length: 10 }, (_, i) => BigInt(i * 100 + 7));
  assert.deepEqual(missing, { rows: ROWS / 100, ids: first });
  assert.deepEqual(extra, { rows: ROWS / 100, ids: first.map((id) => id + 1000000n) });
});

test("a table that is shorter, longer, empty", async () => {
  await write("fields", fieldsOf("n"));
  await write("table", areasOf("n", "n", 3));
  const short = await joined();
  assert.deepEqual([...short.values], await expected());
  assert.deepEqual([short.missing.rows, short.extra.rows], [ROWS - 3, 0]);
  await write("table", areasOf("n", "n desc", ROWS + 4));
  const long = await joined();
  assert.deepEqual([...long.values], await expected());
  assert.deepEqual([long.missing.rows, long.extra], [0, { rows: 4, ids: [3, 2, 1, 0].map((i) => BigInt(ROWS + i)) }]);
  await write("table", areasOf("n", "n", 0));
  const none = await joined();
  assert.ok(none.values.every(Number.isNaN));
  assert.deepEqual([none.missing.rows, none.extra.rows], [ROWS, 0]);
});

test("repeated ids: the table's first row counts, and a repeated row is extra only where its id is", async () => {
  await write("fields", `${fieldsOf("n", 100)} union all ${fieldsOf("n", 10)}`);
  await write(
    "table",
    `select case when n >= 100 then n - 100 else n + 50 end as field_id, (n * 0.25)::double as area from range(160) t(n)`,
  );
  const { values, missing, extra } = await joined();
  assert.deepEqual([...values], await expected());
  assert.equal(values[100], values[0], "a repeated field has its id's value");
  assert.deepEqual(missing, nothing);
  // Ids 50 to 149 and 0 to 59: the fields' 0 to 99 take all but 100 to 149.
  assert.deepEqual([extra.rows, extra.ids[0]], [50, 100n]);
});

test("ids of different integer widths agree; strings of any script do; integers and strings do not", async () => {
  await write("fields", fieldsOf("(n - 5)::integer"));
  await write("table", areasOf("(n - 5)::bigint", "hash(n)"));
  assert.deepEqual([...(await joined()).values], await expected());
  await write("fields", fieldsOf("'feld ' || n || ' é漢字'"));
  await write("table", areasOf("'feld ' || n || ' é漢字'", "hash(n)"));
  const texts = await joined();
  assert.deepEqual([...texts.values], await expected());
  assert.deepEqual([texts.missing, texts.extra], [nothing, nothing]);
  await write("fields", fieldsOf("n"));
  await assert.rejects(joined(), ({ kind, message }) => {
    assert.equal(kind, "input");
    return /Id type differs.*table\.parquet.*Int64.*Utf8/.test(message);
  });
});

test("ids beyond 53 bits, negative ones, and ones that differ in the low bits alone", async () => {
  const id = "case when n % 2 = 0 then 9223372036854775807 - n else -9223372036854775807 + n end";
  await write("fields", fieldsOf(id));
  await write("table", areasOf(id, "hash(n)"));
  const { values, missing, extra } = await joined();
  assert.deepEqual(
    [...values],
    Array.from({ length: ROWS }, (_, n) => n * 0.25),
  );
  assert.deepEqual([missing, extra], [nothing, nothing]);
});

test("null ids match nothing but a null in the same row; null values are NaN", async () => {
  await write("fields", fieldsOf("case when n in (3, 4000) then null else n end"));
  await write(
    "table",
    "select case when n in (3, 4000) then null else n end as field_id, case when n = 9 then null else (n * 0.25)::double end as area from range(5000) t(n)",
  );
  const step = await joined();
  assert.equal(step.warned, false);
  assert.deepEqual([step.values[3], step.values[0], step.values[9]], [0.75, 0, Number.NaN]);
  // No null id stands for 0, in either file.
  await write(
    "table",
    "select case when n = 0 then null else n end as field_id, (n * 0.25)::double as area from range(5000) t(n) order by hash(n)",
  );
  const { values, missing, extra } = await joined();
  assert.deepEqual([...values], await expected());
  assert.deepEqual([missing.rows, missing.ids], [3, [0n, null, null]]);
  // The null, 3 and 4000.
  assert.equal(extra.rows, 3);
  await write("fields", fieldsOf("case when n = 7 then null else n end"));
  await write("table", areasOf("case when n = 7 then 0 else n end"));
  const zero = await joined();
  assert.ok(Number.isNaN(zero.values[7]));
  assert.equal(zero.values[0], 0);
});

test("value columns of any number type; what is no number is refused by name", async () => {
  await write("fields", fieldsOf("n", 300));
  for (const type of ["tinyint", "smallint", "integer", "bigint", "uinteger", "float", "double"]) {
    await write(
      "table",
      `select n as field_id, case when n % 7 = 0 then null else (n % 100)::${type} end as area from range(300) t(n)`,
    );
    assert.deepEqual([...(await joined()).values], await expected(), type);
  }
  await write("table", "select n as field_id, 'large' as area from range(300) t(n)");
  await assert.rejects(joined(), ({ kind, message }) => {
    assert.equal(kind, "input");
    return /numbers.*table\.parquet.*area.*Utf8/.test(message);
  });
  await assert.rejects(joined({ column: "size" }), /table\.parquet.*size/);
});

/** Integers as a zonal table has them: the kernel reads these by itself. */
const cropsOf = (id, value, n = ROWS) => `select ${id} as field_id, (${value}) as crop from range(${n}) t(n)`;

for (const [name, id, value] of [
  ["integer ids, some without a crop", "n * 3", "case when n % 7 = 0 then null else (n * 37 % 250)::int end"],
  ["string ids of many lengths", "'f' || repeat('x', (n % 40)::int) || n", "(n % 3)::smallint"],
  ["ids of 32 bits, negative classes", "(n - 100)::int", "(n % 5 - 2)::bigint"],
  ["unsigned ids", "(n * 800000)::uinteger", "(n % 256)::int"],
  ["some ids missing in both", "case when n % 50 = 3 then null else n end", "(n % 9)::int"],
]) {
  test(`whole numbers in step: ${name}`, async () => {
    await write("fields", fieldsOf(id), 2048);
    await write("table", cropsOf(id, value), 4096);
    const right = await query(`select crop::double as value from read_parquet('${file("table")}')`);
    // By the kernel, and in float32 through parquet-wasm.
    for (const make of ["float64", "float32"]) {
      const { values, missing, extra, warned } = await joined({ column: "crop", make });
      assert.deepEqual(
        [...values],
        right.map(({ value }) => value ?? Number.NaN),
      );
      assert.deepEqual([missing, extra, warned], [nothing, nothing, false]);
    }
  });
}

test("whole numbers in another order are joined by id", async () => {
  await write("fields", fieldsOf("n * 3"), 2048);
  // The last two rows alone are exchanged.
  const [last, before] = [3 * (ROWS - 1), 3 * (ROWS - 2)];
  const order = `case when field_id = ${last} then ${before - 1} else field_id end`;
  await write("table", `select * from (${cropsOf("n * 3", "(n % 9)::int")}) order by ${order}`);
  const right = await expected({ column: "crop" });
  for (const make of ["float64", "float32"]) {
    const { values, warned } = await joined({ column: "crop", make });
    assert.deepEqual([...values], right);
    assert.ok(warned);
  }
});
