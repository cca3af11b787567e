// The kernel's own reader of parquet against parquet-wasm's and DuckDB's, on files of two writers and on real ones.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DataType } from "apache-arrow";
import { duplicateRows } from "../../dist/fields/duplicate-rows.js";
import { cutAtPages, planFields } from "../../dist/fields/field-plan.js";
import { openFields } from "../../dist/fields/fields-file.js";
import { idReader } from "../../dist/fields/ids.js";
import { columnData, readSlice, wkbColumn } from "../../dist/fields/read-slice.js";
import { nativeKernel } from "../../dist/kernel/native.js";
import { openPool } from "../../dist/parallel/pool.js";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { writeByDuck, writeByRust } from "../support/parquet-variants.mjs";
import { Random } from "../support/random.mjs";
import { needsRealData, PAIRS, realPath } from "../support/real-data.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const kernel = nativeKernel();
const ROWS = 1500;
let pool;
before(() => {
  pool = openPool(2);
});
after(() => pool.close());

/** Seeded rows: polygons of 1 to 20 boxes, some of them seen before, some null, some empty. */
function someRows({ nulls = false, nullIds = false, repeated = false, count = ROWS, id = (i) => BigInt(i) * 3n } = {}) {
  const random = new Random(11);
  const rows = [];
  for (let i = 0; i < count; i++) {
    const [x, y] = [random.integer(0, 1e6), random.integer(0, 1e6)];
    const rings = Array.from({ length: random.integer(1, 20) }, (_, k) => box(x + k, y, x + k + 1, y + k + 1));
    let wkb = polygonWkb(rings);
    if (repeated && random.chance(0.7) && i > 0) wkb = rows[random.integer(0, Math.min(i, 20))].wkb;
    if (nulls && random.chance(0.2)) wkb = null;
    rows.push({ id: nullIds && random.chance(0.1) ? null : id(i), wkb });
  }
  return rows;
}

/** All geometries and ids by parquet-wasm, and whether the ids rise. */
async function byArrow(fields) {
  const [ids, wkb] = [[], []];
  let at = 0;
  for (const [rowGroup, rows] of fields.rowGroups.entries()) {
    const slice = { rowGroup, offset: 0, rows, firstRow: at };
    const table = await readSlice(fields.path, slice, [fields.idColumn, fields.geometryColumn]);
    const id = idReader(columnData(table, fields.idColumn));
    const column = wkbColumn(columnData(table, fields.geometryColumn));
    const geometry = table.getChild(fields.geometryColumn);
    for (let i = 0; i < rows; i++) {
      ids.push(id(i));
      wkb.push(geometry.isValid(i) ? column.values.slice(column.offsets[i], column.offsets[i + 1]) : null);
    }
    at += rows;
  }
  return { ids, wkb: wkb.map(digest) };
}

/** The same by DuckDB, geometries as digests. */
async function byDuck({ path, idColumn, geometryColumn, idType }) {
  const rows = await query(
    `select ${idColumn} id, sha1(${geometryColumn}::blob) sha from read_parquet('${path}', file_row_number = true)
     order by file_row_number`,
  );
  const idOf = (id) => (id === null || DataType.isUtf8(idType) ? id : BigInt(id));
  return { ids: rows.map(({ id }) => idOf(id)), wkb: rows.map(({ sha }) => sha) };
}

const digest = (bytes) => (bytes === null ? null : createHash("sha1").update(bytes).digest("hex"));

/** An IdColumn as plain values. */
function idsOf({ values, lengths, valid }) {
  let at = 0;
  return Array.from(lengths ?? values, (value, row) => {
    const text = lengths && Buffer.from(values.subarray(at, at + value)).toString();
    at += lengths ? value : 0;
    return valid && valid[row] === 0 ? null : (text ?? BigInt(value));
  });
}

/**
 * Holds what the kernel reads of a file against DuckDB and parquet-wasm; returns its slices.
 *
 * arrow: false where parquet-wasm panics at the file; duck: false where DuckDB makes geometries of its own of them.
 */
async function check(path, { batch = 400, arrow = true, duck = true } = {}) {
  const fields = await openFields(path, { fieldsCrs: "EPSG:5070" });
  const { slices, ids: chunks } = await planFields(fields, batch, pool, testContext());
  const [expected, other] = [duck && (await byDuck(fields)), arrow && (await byArrow(fields))].filter(Boolean);
  if (other) assert.deepEqual(other, expected, "the two oracles agree");
  let row = 0;
  for (const slice of slices) {
    assert.equal(slice.firstRow, row);
    assert.ok(slice.pages, "the kernel reads this file");
    const source = { path, idColumn: fields.idColumn, geometryColumn: fields.geometryColumn, ...slice.pages };
    const { column, ids, idColumn } = kernel.readPages(source);
    assert.equal(column.offsets.length, slice.rows + 1);
    for (let i = 0; i < slice.rows; i++) {
      const valid = column.validity === undefined || (column.validity[i >> 3] >> (i & 7)) & 1;
      const got = valid ? column.values.subarray(column.offsets[i], column.offsets[i + 1]) : null;
      assert.equal(digest(got), expected.wkb[row + i], `row ${row + i}`);
    }
    const own = expected.ids.slice(row, row + slice.rows);
    assert.deepEqual(idsOf(idColumn), own);
    const rising = own.every((id, i) => id !== null && (i === 0 || (own[i - 1] !== null && own[i - 1] < id)));
    assert.equal(ids.rising, rising);
    if (own[0] !== null) assert.equal(ids.first, own[0]);
    if (own.at(-1) !== null) assert.equal(ids.last, own.at(-1));
    row += slice.rows;
  }
  assert.equal(row, fields.rows);
  const seen = new Set();
  const duplicates = expected.ids.flatMap((id, i) => (id === null || seen.has(id) || !seen.add(id) ? [i] : []));
  assert.deepEqual([...(await duplicateRows(fields, chunks, batch, pool))], duplicates);
  if (arrow) assert.deepEqual([...(await duplicateRows(fields, undefined, batch, pool))], duplicates);
  return slices;
}

describe("files of parquet-rs", () => {
  const variants = {
    "plain, small pages": { codec: "UNCOMPRESSED", pageBytes: 20_000 },
    "version 2, snappy": { codec: "SNAPPY", v2: true, pageBytes: 20_000 },
    "dictionary, zstd": { codec: "ZSTD", dictionary: true, pageBytes: 20_000, rows: { repeated: true } },
    "dictionary, version 2, gzip": { codec: "GZIP", v2: true, dictionary: true, rows: { repeated: true } },
    "delta, lz4": {
      codec: "LZ4_RAW",
      v2: true,
      pageBytes: 20_000,
      encodings: { field_id: "DELTA_BINARY_PACKED", geometry: "DELTA_LENGTH_BYTE_ARRAY" },
    },
    "prefixes, row groups of 700": {
      codec: "SNAPPY",
      rowGroup: 700,
      pageBytes: 5000,
      encodings: { field_id: "DELTA_BINARY_PACKED", geometry: "DELTA_BYTE_ARRAY" },
    },
  };
  for (const [name, { rows, ...options }] of Object.entries(variants)) {
    for (const nulls of [false, true]) {
      test(`${name}${nulls ? ", nulls" : ""}`, async (t) => {
        const path = join(tempFolder(t), "fields.parquet");
        writeByRust(path, someRows({ nulls, ...rows }), options);
        const slices = await check(path);
        assert.ok(slices.length > 1 || options.dictionary, "cut at pages");
      });
    }
  }

  test("ids of every type, in and out of order, repeated and null", async (t) => {
    const path = join(tempFolder(t), "fields.parquet");
    const ids = {
      int64: (i) => BigInt(i) * 5_000_000_000n - 2n ** 62n,
      uint64: (i) => 2n ** 63n - 700n + BigInt(i),
      int32: (i) => i - 700,
      uint32: (i) => 2 ** 31 - 700 + i,
      utf8: (i) => `é${String(i).padStart(6, "0")}`,
    };
    for (const [idType, id] of Object.entries(ids)) {
      for (const dictionary of [false, true]) {
        const encodings = idType === "utf8" || dictionary ? {} : { field_id: "DELTA_BINARY_PACKED" };
        for (const how of [{ id }, { id: (i) => id(i % 1100) }, { id: (i) => id(ROWS - i), nullIds: true }]) {
          writeByRust(path, someRows(how), { idType, dictionary, encodings, codec: "ZSTD", rowGroup: 600 });
          await check(path);
        }
      }
    }
  });
});

describe("files of DuckDB", () => {
  const folder = tempFolder({ after });
  const from = join(folder, "from.parquet");
  before(() => {
    writeByRust(from, someRows({ nulls: true, repeated: true }), { codec: "ZSTD" });
  });
  const variants = [
    ...["uncompressed", "snappy", "gzip", "zstd", "lz4_raw"].flatMap((codec) => [
      `compression ${codec}, row_group_size 2048`,
      `compression ${codec}, parquet_version v2`,
    ]),
    "compression zstd, dictionary_size_limit 0, row_group_size 1000000",
  ];
  for (const options of variants) {
    test(options, async () => {
      const path = join(folder, "duck.parquet");
      for (const idType of ["BIGINT", "SMALLINT", "UINTEGER", "UBIGINT", "VARCHAR"]) {
        await writeByDuck(from, path, options, idType);
        await check(path, { arrow: !options.includes("v2") });
      }
    });
  }

  test("a compression that the kernel does not know is read by way of parquet-wasm", async () => {
    const path = join(folder, "brotli.parquet");
    await writeByDuck(from, path, "compression brotli");
    const fields = await openFields(path, { fieldsCrs: "EPSG:5070" });
    const ctx = testContext();
    const { slices, ids } = await planFields(fields, 400, pool, ctx);
    assert.deepEqual([slices[0].pages, ids], [undefined, undefined]);
    assert.match(ctx.lines[0].message, /parquet-wasm: .*compression 4/);
  });
});

test("real files", needsRealData, async () => {
  for (const name of new Set(PAIRS.map(({ fields }) => fields))) {
    for (const file of ["fields_raw", "fields_clean"])
      await check(realPath(`${name}/${file}.parquet`), { batch: 16_384, duck: false });
  }
});

test("slices end at pages, near the wanted number of rows", () => {
  const cut = (firstRow, rows) => cutAtPages(Float64Array.from(firstRow), rows).join(" ");
  assert.equal(cut([0, 100], 10), "0,100");
  assert.equal(cut([0, 4, 8, 12, 16], 8), "0,8 8,16");
  assert.equal(cut([0, 3, 6, 9, 10], 4), "0,3 3,6 6,10");
  assert.equal(cut([0, 3, 6, 9, 10], 5), "0,6 6,10");
});

test("damaged files: an error or, where the damage does not show, as many rows; never a crash", async (t) => {
  const folder = tempFolder(t);
  const random = new Random(5);
  const rows = someRows({ nulls: true, count: 300 });
  const path = join(folder, "damaged.parquet");
  let [errors, reads] = [0, 0];
  for (const options of [
    { codec: "UNCOMPRESSED", v2: true, pageBytes: 4000 },
    { codec: "SNAPPY", dictionary: true, pageBytes: 4000 },
    { codec: "ZSTD", encodings: { field_id: "DELTA_BINARY_PACKED", geometry: "DELTA_BYTE_ARRAY" }, pageBytes: 4000 },
  ]) {
    writeByRust(path, rows, options);
    const fields = await openFields(path, { fieldsCrs: "EPSG:5070" });
    const { slices, ids } = await planFields(fields, 100, pool, testContext());
    const whole = readFileSync(path);
    const footer = whole.readUInt32LE(whole.length - 8);
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(whole);
      for (let n = random.integer(1, 6); n > 0; n--) {
        bytes[random.integer(4, bytes.length - footer - 8)] ^= 1 << random.integer(0, 8);
      }
      writeFileSync(path, random.chance(0.1) ? bytes.subarray(0, random.integer(100, bytes.length)) : bytes);
      for (const { pages } of slices) {
        const source = { path, idColumn: "field_id", geometryColumn: "geometry", ...pages };
        try {
          assert.equal(kernel.readPages(source).column.offsets.length, pages.geometry.rows + 1);
          kernel.repeatedIds(path, "field_id", ids, 0, 1);
          reads++;
        } catch (error) {
          assert.match(error.message, /^(field_id|geometry): /);
          errors++;
        }
      }
    }
  }
  assert.ok(errors > 100 && reads > 100, `${errors} errors, ${reads} reads`);
});
