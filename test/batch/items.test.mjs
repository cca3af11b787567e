import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { readItems } from "../../dist/batch/items.js";
import { itemPathOf } from "../../dist/batch/layout.js";
import { tempFolder } from "../support/temp-folder.mjs";

function list(t, name, text, id, salt = "") {
  const path = join(tempFolder(t), name);
  writeFileSync(path, text);
  return readItems(path, id, salt);
}

const pairs = ({ items }) => items.map(({ id, fields }) => [id, fields]);

test("every format gives ids and fields", (t) => {
  const rows = [
    ["a", { id: "a", crop: "corn, sweet", ha: "1.5" }],
    ["b", { id: "b", crop: 'so-called "soy"', ha: "" }],
  ];
  assert.deepEqual(
    pairs(list(t, "x.csv", '\uFEFFid,crop,ha\r\na,"corn, sweet",1.5\r\n\r\nb,"so-called ""soy""",\r\n')),
    rows,
  );
  assert.deepEqual(pairs(list(t, "x.TSV", 'id\tcrop\tha\na\tcorn, sweet\t1.5\nb\tso-called "soy"\t\n')), rows);
  assert.deepEqual(pairs(list(t, "x.jsonl", rows.map(([, fields]) => JSON.stringify(fields)).join("\n\n"))), rows);
  assert.deepEqual(pairs(list(t, "x.json", JSON.stringify(rows.map(([, fields]) => fields)))), rows);
  assert.deepEqual(pairs(list(t, "x.txt", "a b\n\n c \n")), [
    ["a b", { id: "a b" }],
    ["c", { id: "c" }],
  ]);
  assert.deepEqual(pairs(list(t, "x.json", '["a", 7]')), [
    ["a", { id: "a" }],
    ["7", { id: 7 }],
  ]);
});

test("the id is found by name, by --id, or is a table's first column", (t) => {
  assert.deepEqual(pairs(list(t, "x.csv", "name,field_id\nx,7\n"))[0][0], "7");
  assert.deepEqual(pairs(list(t, "x.csv", "name,crop\nx,7\n"))[0][0], "x");
  assert.deepEqual(pairs(list(t, "x.csv", "name,crop\nx,7\n", "crop"))[0][0], "7");
  assert.throws(() => list(t, "x.jsonl", '{"name":1}'), { kind: "input", message: /received=name/ });
  assert.throws(() => list(t, "x.csv", "name\nx\n", "nam"), { kind: "input", message: /expected=nam, received=name/ });
});

test("what cannot be used is named by file and line", (t) => {
  for (const [name, text, message] of [
    ["x.txt", "\n \n", /no items .*x\.txt/],
    ["x.csv", "id\na\nb\na\n", /stands twice .*id=a, line=4, before=2/],
    ["x.csv", "id,x\na,1\n,2\n", /has no id .*line=3/],
    ["x.csv", "id,x,x\na,1,2\n", /column stands twice.*column=x/],
    ["x.csv", "id,x\na\n", /Cannot read the table.*x\.csv.*Invalid Record Length/],
    ["x.jsonl", '{"id":1}\n{"id":', /Not JSON .*line=2/],
    ["x.json", '{"id":1}', /must be an array/],
    ["x.json", "[[1]]", /must be an object.*received=\[1\]/],
    ["x.json", "[12345678901234567890]", /below 2\^53.*line=1/],
    ["x.json", '[{"id":null}]', /no id .*received=null/],
  ]) {
    assert.throws(() => list(t, name, text), { kind: "input", message }, text);
  }
  assert.throws(() => readItems("/nowhere/x.csv", undefined, ""), { kind: "input", message: /nowhere/ });
});

test("the digest is of all fields and the command, not of their order", (t) => {
  const digest = (text, salt) => list(t, "x.jsonl", text, undefined, salt).items[0].digest;
  const one = digest('{"id":1,"a":2,"b":3}', "cmd");
  assert.equal(digest('{"b":3,"a":2,"id":1}', "cmd"), one);
  assert.notEqual(digest('{"id":1,"a":2,"b":4}', "cmd"), one);
  assert.notEqual(digest('{"id":1,"a":2,"b":3}', "cmd2"), one);
});

test("any two ids have two names, which are safe to any file system and shell", () => {
  const id = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.string({ minLength: 1, unit: "grapheme" }),
    fc.string({ minLength: 150, maxLength: 400 }),
  );
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [one, two] = [itemPathOf(a), itemPathOf(b)];
      assert.match(one.name, /^[A-Za-z0-9_%][A-Za-z0-9_.%~-]{0,179}$/);
      assert.match(one.shard, /^[0-9a-f]{2}$/);
      assert.equal(one.name === two.name, a === b, `${a} ${b}`);
    }),
    { seed: 5, numRuns: 2_000 },
  );
  assert.equal(itemPathOf("../etc").name, "%2E.%2Fetc");
  assert.equal(itemPathOf("field-7_a.b").name, "field-7_a.b");
  assert.notEqual(itemPathOf(`${"x".repeat(300)}a`).name, itemPathOf(`${"x".repeat(300)}b`).name);
});
