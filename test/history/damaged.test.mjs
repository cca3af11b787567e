// Histories and zonal tables with wrong bytes: an error of that file, in time, and never the end of who reads it.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { historyFiles } from "../../dist/history/format.js";
import { HistoryReader } from "../../dist/history/history-reader.js";
import { YearTable } from "../../dist/history/year-table.js";
import { ParquetDecoder } from "../../dist/table/parquet-decoder.js";
import { command } from "../support/command.mjs";
import { Random } from "../support/random.mjs";
import { makeWorld, runYear } from "../support/sample-world.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { publishFields, startTestViewer } from "../support/viewer.mjs";

const YEARS = [2019, 2020];
const MUTANTS = 25;

/** A few bytes changed, most in the pages and some in the footer; or the file cut short. */
function mutant(bytes, random) {
  const copy = Buffer.from(bytes);
  const first = random.chance(0.3) ? bytes.length - 3000 : 0;
  for (let n = random.integer(1, 4); n > 0; n--)
    copy[random.integer(Math.max(0, first), bytes.length)] = random.integer(0, 256);
  return random.chance(0.05) ? copy.subarray(0, random.integer(0, copy.length)) : copy;
}

describe("damaged tables", () => {
  let world;
  let files;
  let zonal;
  before(async () => {
    world = await makeWorld({ fields: 600, years: YEARS });
    const { root } = world;
    for (const year of YEARS) {
      const run = await runYear(root, year, world.source, ["--until", "zonal", "--quiet"]);
      assert.equal(run.code, 0, run.stderr);
    }
    const run = await command("history", ["--root", root]);
    assert.equal(run.code, 0, run.stderr);
    files = historyFiles(join(root, "outputs", "history", "us"), "us");
    zonal = join(root, "outputs", "zonal", "zonal_us_2019.parquet");
  });
  after(() => world?.remove());

  test("every damaged history is read or refused by name; the next one is read as if nothing had been", async (t) => {
    const folder = tempFolder(t);
    const bytes = readFileSync(files.history);
    const random = new Random(15);
    const counts = { read: 0, refused: 0 };
    for (let i = 0; i < MUTANTS; i++) {
      const path = join(folder, `${i}.parquet`);
      writeFileSync(path, mutant(bytes, random));
      try {
        const reader = await HistoryReader.open(path);
        for (const row of [0, Math.floor(reader.rows / 2), reader.rows - 1]) await reader.read(row);
        counts.read++;
      } catch (error) {
        assert.equal(error.kind, "input", `${i}: ${error.stack}`);
        assert.equal(error.where.path, path);
        counts.refused++;
      }
    }
    t.diagnostic(JSON.stringify(counts));
    assert.ok(counts.refused > MUTANTS / 4, JSON.stringify(counts));
    const sound = await HistoryReader.open(files.history);
    assert.equal((await sound.read(5)).crops.length, YEARS.length);
  });

  test("so with zonal tables", async (t) => {
    const folder = tempFolder(t);
    const bytes = readFileSync(zonal);
    const random = new Random(16);
    let refused = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const path = join(folder, `${i}.parquet`);
      writeFileSync(path, mutant(bytes, random));
      try {
        const table = await YearTable.open({ year: 2019, path });
        for (let rows = await table.fill(); rows > 0; rows = await table.fill()) table.take(rows);
      } catch (error) {
        assert.equal(error.kind, "input", `${i}: ${error.stack}`);
        assert.deepEqual([error.where.path, error.where.year], [path, 2019]);
        refused++;
      }
    }
    assert.ok(refused > MUTANTS / 8, `${refused} refused`);
  });

  test("a server over a damaged history answers on, and tells; field.js ends with an error", async (t) => {
    const folder = tempFolder(t);
    publishFields(folder, YEARS);
    const history = join(folder, "history");
    mkdirSync(history);
    for (const name of readdirSync(files.folder)) copyFileSync(join(files.folder, name), join(history, name));
    const path = historyFiles(history, "us").history;
    const viewer = await startTestViewer(t, `file:${folder}`, { history });
    const status = async (row) => (await viewer.get(`api/fields/${row}.json`)).status;
    const bytes = readFileSync(path);
    const random = new Random(17);
    const seen = new Set();
    for (let i = 0; i < 12; i++) {
      writeFileSync(path, mutant(bytes, random));
      const [field, years] = [await status(3), (await viewer.get("api/years")).status];
      seen.add(field);
      assert.equal(years, 200, `the server answers on after damage ${i}`);
    }
    assert.ok(
      [...seen].every((code) => [200, 404, 500].includes(code)),
      [...seen].join(" "),
    );
    writeFileSync(path, bytes);
    assert.equal(await status(3), 200);

    const { root } = world;
    const { id } = await (await HistoryReader.open(files.history)).read(0);
    const own = historyFiles(join(root, "outputs", "history", "us"), "us").history;
    const copy = readFileSync(own);
    const damaged = Buffer.from(copy);
    damaged.fill(0xff, 4, damaged.length - 4000);
    writeFileSync(own, damaged);
    const run = await command("field", ["--root", root, "--id", String(id)]);
    writeFileSync(own, copy);
    assert.equal(run.code, 4, run.stderr);
    assert.match(
      run.stderr,
      /^ERROR The history cannot be read .*rowGroup=0.*Parquet cannot be decoded|^ERROR The history/m,
    );
    assert.doesNotMatch(run.stderr, /^\s+at /m, "no stack trace");
  });

  test("a read that never returns is given up, and one of a file that was replaced fails", async (t) => {
    const folder = tempFolder(t);
    const path = join(folder, "a.parquet");
    copyFileSync(files.history, path);
    await assert.rejects(new ParquetDecoder(path, 0).read({ rowGroups: [0] }), /takes more than 0 s/);
    const decoder = new ParquetDecoder(path);
    assert.equal((await decoder.read({ rowGroups: [0] })).numRows, 600);
    copyFileSync(zonal, path);
    await assert.rejects(decoder.read({ rowGroups: [0] }), /replaced or changed/);
  });
});
