// CSV as RFC 4180 has it, read back by DuckDB.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CsvWriter } from "../../dist/table/csv.js";
import { query } from "../support/duck.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

test("what needs quotes gets them; null is empty; lines end in CRLF", async (t) => {
  const path = join(tempFolder(t), "x.csv");
  const csv = await CsvWriter.open(path, ["id", "name, quoted"]);
  const rows = [
    [1n, "plain"],
    [null, 'says "yes"'],
    [2.5, "two\nlines"],
    [9007199254740993n, null],
    [0, "a,b"],
  ];
  for (const row of rows) await csv.write(row);
  await csv.close();
  assert.equal(
    readFileSync(path, "utf8"),
    'id,"name, quoted"\r\n1,plain\r\n,"says ""yes"""\r\n2.5,"two\nlines"\r\n9007199254740993,\r\n0,"a,b"\r\n',
  );
  const read = await query(`from read_csv('${path}', header = true, all_varchar = true, delim = ',', quote = '"')`);
  assert.deepEqual(
    read.map((row) => [row.id, row["name, quoted"]]),
    rows.map(([id, name]) => [id === null ? null : String(id), name]),
  );
});
