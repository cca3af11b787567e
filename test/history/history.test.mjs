// node dist/history.js against DuckDB over the same zonal tables.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { HistoryReader } from "../../dist/history/history-reader.js";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld, runYear, sha256 } from "../support/sample-world.mjs";

const YEARS = [2014, 2015, 2017, 2018, 2019, 2020];
const MISSING = 2016;
const ALL = [2014, 2015, 2016, 2017, 2018, 2019, 2020];

let world;
let folder;
const zonal = (year) => join(world.root, "outputs", "zonal", `zonal_us_${year}.parquet`);
const file = (name) => join(folder, name);
const clean = () => join(world.root, "data", "fields_clean.parquet");
const run = (args) => command("history", ["--root", world.root, "--json", ...args]);
/** Of the whole span, with the year that has no table. */
const history = (args = []) => run(["2014-2020", ...args]);
const plain = "set enable_geoparquet_conversion = false;";

before(async () => {
  world = await makeWorld({ fields: 700, years: YEARS, seed: 4, args: ["--dirty"] });
  folder = join(world.root, "outputs", "history", "us");
  for (const year of YEARS) {
    const counted = await runYear(world.root, year, world.source, ["--until", "zonal"]);
    assert.equal(counted.code, 0, counted.stderr);
  }
  const made = await history(["--csv"]);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stderr, /these columns are null: 2016/);
  assert.deepEqual(made.json.missing, [MISSING]);
});
after(() => world.remove());

/** All years' rows side by side, by DuckDB, row by row. */
function joined() {
  const columns = ALL.map((year) =>
    year === MISSING
      ? `null crop_${year}, null share_${year}`
      : `z${year}.crop_code crop_${year},
         case when z${year}.crop_share is null then null when z${year}.crop_share = 1 then 100 else least(99, round(100 * z${year}.crop_share::double)) end share_${year}`,
  );
  const joins = YEARS.slice(1).map((y) => `positional join read_parquet('${zonal(y)}') z${y}`);
  return `select z2014.field_id field_id, ${columns.join(", ")} from read_parquet('${zonal(2014)}') z2014 ${joins.join(" ")}`;
}

test("every field's crops and shares are those of the zonal tables, row by row; a missing year is null", async () => {
  const names = ["field_id", ...ALL.map((year) => `crop_${year}`), ...ALL.map((year) => `share_${year}`)];
  const list = names.map((name) => (name === "field_id" ? name : `${name}::double ${name}`)).join(", ");
  const ours = await query(`select ${list} from read_parquet('${file("history_us.parquet")}')`);
  const theirs = await query(`select ${list} from (${joined()})`);
  assert.ok(ours.length > 700);
  assert.deepEqual(ours, theirs);
  assert.ok(ours.every((row) => row[`crop_${MISSING}`] === null && row[`share_${MISSING}`] === null));
});

test("columns have the types that are documented, and the file says its years", async () => {
  const types = await query(`describe from read_parquet('${file("history_us.parquet")}')`);
  assert.deepEqual(
    types.map(({ column_name: name, column_type: type }) => [name, type]),
    [
      ["field_id", "BIGINT"],
      ["area_ha", "FLOAT"],
      ...ALL.map((year) => [`crop_${year}`, "USMALLINT"]),
      ...ALL.map((year) => [`share_${year}`, "UTINYINT"]),
    ],
  );
  const [{ value }] = await query(
    `select decode(value) as value from parquet_kv_metadata('${file("history_us.parquet")}') where decode(key) = 'history'`,
  );
  assert.deepEqual(JSON.parse(value), { version: 1, region: "us", years: ALL, missing: [MISSING], area: "clean" });
});

test("areas are those of fields_clean, by id; a field that it does not have has none", async () => {
  const rows = await query(`${plain}
    select h.field_id id, h.area_ha ours, arg_min(c.area_ha, c.file_row_number)::float theirs
    from read_parquet('${file("history_us.parquet")}') h
    left join read_parquet('${clean()}', file_row_number = true) c on c.field_id = h.field_id group by all`);
  assert.ok(rows.length > 700);
  for (const { id, ours, theirs } of rows) assert.equal(ours, theirs, `field ${id}`);
  assert.equal(rows.filter(({ ours }) => ours === null).length, 1);
});

test("legend.json has the crops that occur, with USDA's names and colors, and their fields and hectares", async () => {
  const legend = JSON.parse(readFileSync(file("legend.json"), "utf8"));
  const codes = new Set();
  for (const year of YEARS) {
    const rows = await query(
      `select crop_${year} code, count(*)::int fields, sum(area_ha::double) area
       from read_parquet('${file("history_us.parquet")}') group by 1`,
    );
    for (const { code, fields, area } of rows) {
      const entry = code === null ? legend.noCrop : legend.crops.find((crop) => crop.code === code);
      if (code !== null) codes.add(code);
      assert.equal(entry.fields[year], fields, `${year} ${code}`);
      assert.ok(Math.abs(entry.hectares[year] - area) <= 0.005001, `${year} ${code} ${area}`);
    }
    const sum = [...legend.crops, legend.noCrop].reduce((total, { fields }) => total + fields[year], 0);
    assert.equal(sum, legend.fields);
  }
  assert.deepEqual(
    legend.crops.map(({ code, name, color }) => ({ code, name, color })),
    CDL_LEGEND.filter(({ code }) => codes.has(code)),
  );
  assert.deepEqual(Object.keys(legend.crops[0].fields), YEARS.map(String));
  assert.equal(legend.fieldsWithoutArea, 1);
});

test("crop_area and transitions are what SQL says, as parquet and as CSV", async () => {
  const table = `read_parquet('${file("history_us.parquet")}')`;
  const byYear = YEARS.map(
    (year) => `select ${year} "year", crop_${year}::int code, count(*)::int fields, sum(area_ha::double) area
      from ${table} where crop_${year} is not null group by all`,
  ).join(" union all ");
  const steps = [2015, 2018, 2019, 2020].map(
    (
      year,
    ) => `select ${year} "year", crop_${year - 1}::int a, crop_${year}::int b, count(*)::int fields, sum(area_ha::double) area
      from ${table} where crop_${year - 1} is not null and crop_${year} is not null group by all`,
  );
  for (const source of [`read_parquet('${file("crop_area.parquet")}')`, `read_csv('${file("crop_area.csv")}')`]) {
    const ours = await query(
      `select "year"::int "year", crop_code::int code, fields::int fields, area_ha from ${source} where fields > 0 order by all`,
    );
    const theirs = await query(`from (${byYear}) order by all`);
    same(ours, theirs, "area_ha");
  }
  for (const source of [`read_parquet('${file("transitions.parquet")}')`, `read_csv('${file("transitions.csv")}')`]) {
    const ours = await query(
      `select "year"::int "year", from_code::int a, to_code::int b, fields::int fields, area_ha from ${source}`,
    );
    const theirs = await query(`from (${steps.join(" union all ")}) order by "year", a, b`);
    same(ours, theirs, "area_ha");
  }
});

function same(ours, theirs, areaName) {
  assert.ok(ours.length > 10);
  assert.equal(ours.length, theirs.length);
  ours.forEach((row, i) => {
    const { [areaName]: area, ...rest } = row;
    const { area: expected, ...others } = theirs[i];
    assert.deepEqual(rest, others);
    assert.ok(Math.abs(area - expected) <= 0.005001, `${JSON.stringify(row)} ${expected}`);
  });
}

test("rotations are counted over the last years that follow each other", async () => {
  const rows = await query(`select crop_2017 a, crop_2018 b, crop_2019 c, crop_2020 d
    from read_parquet('${file("history_us.parquet")}')`);
  const counts = new Map();
  let complete = 0;
  for (const { a, b, c, d } of rows) {
    const codes = [a, b, c, d];
    if (codes.includes(null)) continue;
    complete++;
    // By the book: of all rounds of every length the shortest that explains the years, told from its lowest.
    const length = [1, 2, 3].find((n) => codes.every((code, i) => i < n || codes[i - n] === code)) ?? 4;
    const rounds =
      length === 4 ? [codes] : codes.slice(0, length).map((_, i) => [...codes.slice(i, length), ...codes.slice(0, i)]);
    rounds.sort((p, q) => p.map((code, i) => code - q[i]).find((d) => d !== 0) ?? 0);
    const key = `${length === 4 ? null : length} ${rounds[0].join(">")}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const ours = await query(`from read_parquet('${file("rotations.parquet")}')`);
  assert.equal(ours.length, counts.size);
  for (const { cycle_years: cycle, codes, fields, share } of ours) {
    assert.equal(fields, counts.get(`${cycle} ${codes}`), codes);
    assert.ok(Math.abs(share - fields / complete) < 1e-6);
  }
  assert.deepEqual(
    ours.map(({ fields }) => fields),
    ours.map(({ fields }) => fields).sort((p, q) => q - p),
  );
  assert.deepEqual(
    ours.map(({ rank }) => rank),
    ours.map((_, i) => i + 1),
  );
  assert.equal(ours[0].rotation, "Corn > Soybeans");
});

test("the CSV of all fields is the table, with names", async () => {
  const ours = await query(
    `select field_id, crop_2020, name_2020, share_2020, crop_${MISSING} from read_csv('${file("history_us.csv")}')`,
  );
  const theirs = await query(
    `select field_id, crop_2020, share_2020 from read_parquet('${file("history_us.parquet")}')`,
  );
  const names = new Map(CDL_LEGEND.map(({ code, name }) => [code, name]));
  assert.deepEqual(
    ours.map((row) => [row.field_id, row.crop_2020 && Number(row.crop_2020), row.name_2020, row[`crop_${MISSING}`]]),
    theirs.map((row) => [row.field_id, row.crop_2020, names.get(row.crop_2020) ?? null, null]),
  );
});

test("the reader gives single rows", async () => {
  const rows = await query(`from read_parquet('${file("history_us.parquet")}')`);
  const reader = await HistoryReader.open(file("history_us.parquet"));
  try {
    assert.equal(reader.rows, rows.length);
    for (const row of [0, 1, 350, rows.length - 1]) {
      const { id, areaHa, crops } = await reader.read(row);
      assert.equal(id, rows[row].field_id);
      assert.equal(areaHa, rows[row].area_ha);
      assert.deepEqual(
        crops,
        ALL.map((year) => ({ year, code: rows[row][`crop_${year}`], share: rows[row][`share_${year}`] })),
      );
    }
    await assert.rejects(reader.read(rows.length), /no such row/);
    await assert.rejects(reader.read(-1), /no such row/);
  } finally {
    reader.close();
  }
  await assert.rejects(HistoryReader.open(zonal(2020)), /Not a history/);
});

test("a rerun does nothing; a changed year, a lost or changed side file make it again, to the same bytes", async () => {
  const digest = () => sha256(readFileSync(file("history_us.parquet")));
  const first = digest();
  const { ino } = statSync(file("history_us.parquet"));
  assert.match((await history(["--csv"])).stderr, /valid, skipped/);
  assert.equal(statSync(file("history_us.parquet")).ino, ino);
  rmSync(file("legend.json"));
  assert.match((await history(["--csv"])).stderr, /legend\.json is gone/);
  assert.ok(existsSync(file("legend.json")));
  writeFileSync(file("crop_area.csv"), "x");
  assert.match((await history(["--csv"])).stderr, /crop_area\.csv was changed/);
  assert.equal(digest(), first);
  const kept = readFileSync(zonal(2019));
  copyFileSync(zonal(2020), zonal(2019));
  const changed = await history();
  assert.match(changed.stderr, /zonal changed/);
  assert.notEqual(digest(), first);
  assert.ok(!existsSync(file("history_us.csv")), "a CSV of the old table does not stay");
  writeFileSync(zonal(2019), kept);
  await history(["--csv"]);
  assert.equal(digest(), first);
});

test("years can be named; one that nobody has is null", async () => {
  const named = await run(["2019-2022"]);
  assert.equal(named.code, 0, named.stderr);
  assert.deepEqual(
    [named.json.years, named.json.missing],
    [
      [2019, 2020, 2021, 2022],
      [2021, 2022],
    ],
  );
  const none = await run(["1999"]);
  assert.equal(none.code, 4);
  assert.match(none.json.error, /No zonal table of these years/);
});

test("without being asked, only years that have a table count", async () => {
  const found = await run([]);
  assert.equal(found.code, 0, found.stderr);
  assert.deepEqual([found.json.years, found.json.missing], [YEARS, []]);
  const names = (await query(`describe from read_parquet('${file("history_us.parquet")}')`)).map((c) => c.column_name);
  assert.ok(!names.includes(`crop_${MISSING}`));
});

test("years that do not follow each other have no rotations", async () => {
  const apart = await run(["2014,2017,2020"]);
  assert.equal(apart.code, 0, apart.stderr);
  assert.deepEqual(apart.json.rotationYears, []);
  assert.deepEqual(await query(`from read_parquet('${file("rotations.parquet")}')`), []);
});

test("without a table of areas they are computed on the ellipsoid, or come from pixels of a size that was given", async () => {
  const kept = readFileSync(clean());
  rmSync(clean());
  const [raw, aside] = [join(world.root, "data", "fields_raw.parquet"), join(world.root, "fields_raw.aside")];
  try {
    const computed = await history();
    assert.equal(computed.json.area, "ellipsoid", computed.stderr);
    writeFileSync(clean(), kept);
    const [{ most, n }] = await query(`${plain}
      select max(abs(h.area_ha / c.area_ha - 1)) most, count(*)::int n from read_parquet('${file("history_us.parquet")}') h
      join read_parquet('${clean()}') c using (field_id) where h.area_ha is not null and c.area_ha > 1 and c.area_ha <> 9 and h.area_ha <> 9`);
    rmSync(clean());
    // Broken rows have 9 ha, and so has the twin of a repeated id. The sample's areas are those of the plane that its shapes were drawn in, which is equal-area.
    assert.ok(most < 2e-3 && n > 500, `${most} ${n}`);
    renameSync(raw, aside);
    const unknown = await history();
    assert.equal(unknown.json.area, "none");
    assert.match(unknown.stderr, /areas are not known/);
    assert.deepEqual(await query(`select distinct area_ha from read_parquet('${file("history_us.parquet")}')`), [
      { area_ha: null },
    ]);
    const made = await history(["--pixel-size", "30"]);
    assert.equal(made.json.area, "pixels");
    const rows = await query(`select h.area_ha ours, (z.valid_pixels * 0.09)::float theirs
      from read_parquet('${file("history_us.parquet")}') h positional join read_parquet('${zonal(2020)}') z`);
    for (const { ours, theirs } of rows) assert.equal(ours, theirs);
    const coarse = await history(["--pixel-size", "10"]);
    const [{ ratio }] = await query(
      `select sum(h.area_ha) / sum(z.valid_pixels) ratio from read_parquet('${file("history_us.parquet")}') h positional join read_parquet('${zonal(2020)}') z`,
    );
    assert.equal(coarse.code, 0);
    assert.ok(Math.abs(ratio - 0.01) < 1e-9);
  } finally {
    writeFileSync(clean(), kept);
    if (existsSync(aside)) renameSync(aside, raw);
  }
});
