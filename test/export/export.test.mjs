// dist/export.js: what it writes, held against the fields and tables it is made of, read by DuckDB and GDAL.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { makeWorld } from "../support/sample-world.mjs";

const YEARS = [2019, 2020];
let world;

before(async () => {
  world = await makeWorld({ fields: 400, years: YEARS, seed: 9 });
  // A field without a polygon.
  const raw = world.files.raw;
  await query(`copy (select case when file_row_number = 7 then null else geometry end as geometry, * exclude (geometry, file_row_number)
    from read_parquet('${raw}', file_row_number = true) order by file_row_number) to '${raw}.new' (format parquet)`);
  await query(`copy (select * from read_parquet('${raw}.new')) to '${raw}' (format parquet)`);
  for (const year of YEARS) {
    const zip = join(world.source, `${year}_30m_cdls.zip`);
    const got = await command("download", [
      String(year),
      "--root",
      world.root,
      "--cdl-source",
      zip.replace(String(year), "{year}"),
    ]);
    assert.equal(got.code, 0, got.stderr);
    const { raster } = JSON.parse(readFileSync(join(world.root, "data", "cdl", `us_${year}.json`), "utf8"));
    const out = join(world.root, "outputs", "zonal", `zonal_us_${year}.parquet`);
    const run = await command("zonal", [
      "--fields",
      raw,
      "--fields-crs",
      "EPSG:4326",
      "--raster",
      raster,
      "--out",
      out,
    ]);
    assert.equal(run.code, 0, run.stderr);
  }
});
after(() => world?.remove());

async function exported(name, args = []) {
  const out = join(world.folder, name);
  const run = await command("export", [
    "--root",
    world.root,
    "--fields-crs",
    "EPSG:4326",
    "--out",
    out,
    "--json",
    ...args,
  ]);
  return { out, ...run };
}

/** Every field with its crops, by the files that the export is made of. */
function truth() {
  const zonal = (year) => join(world.root, "outputs", "zonal", `zonal_us_${year}.parquet`);
  const share = (table) =>
    `case when ${table}.crop_share is null then null when ${table}.crop_share = 1 then 100 else least(99, floor(100 * ${table}.crop_share::double + 0.5)) end`;
  return `(select raw.field_id, area, a.crop_code as c19, b.crop_code as c20, ${share("a")} as s19, ${share("b")} as s20, raw.geometry as polygon
    from read_parquet('${world.files.raw}', file_row_number = true) raw
      join read_parquet('${zonal(2019)}', file_row_number = true) a on a.file_row_number = raw.file_row_number
      join read_parquet('${zonal(2020)}', file_row_number = true) b on b.file_row_number = raw.file_row_number
      left join (select field_id, arg_min(area_ha, file_row_number) as area
        from read_parquet('${world.files.clean}', file_row_number = true) group by all) clean on clean.field_id = raw.field_id)`;
}

test("GeoParquet 1.1: every field once, its crops, shares and area; a box around each polygon", async () => {
  const { out, code, stderr, json } = await exported("all.parquet");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /1 fields without a polygon that can be read have no geometry \(ids=\d+\)/);
  const [{ rows }] = await query(`select count(*)::int as rows from read_parquet('${world.files.raw}')`);
  assert.equal(json.rows, rows);
  const [row] = await query(`select count(*)::int as n,
      count(*) filter (e.crop_2019 is distinct from t.c19 or e.crop_2020 is distinct from t.c20)::int as crops,
      count(*) filter (e.share_2019 is distinct from t.s19 or e.share_2020 is distinct from t.s20)::int as shares,
      count(*) filter (abs(coalesce(e.area_ha, -1) - coalesce(t.area, -1)) > 1e-4)::int as areas,
      count(*) filter ((e.geometry is null) <> (t.polygon is null) or (e.bbox is null) <> (t.polygon is null))::int as polygons
    from read_parquet('${out}') e join ${truth()} t using (field_id)`);
  assert.ok(row.n >= rows);
  assert.deepEqual({ ...row, n: 0 }, { n: 0, crops: 0, shares: 0, areas: 0, polygons: 0 });

  const [{ geo }] = await query(
    `select decode(value) as geo from parquet_kv_metadata('${out}') where decode(key) = 'geo'`,
  );
  const { version, primary_column: primary, columns } = JSON.parse(geo);
  assert.deepEqual([version, primary], ["1.1.0", "geometry"]);
  const { encoding, geometry_types: types, covering, bbox, crs } = columns.geometry;
  assert.deepEqual([encoding, types], ["WKB", ["MultiPolygon"]]);
  assert.deepEqual(covering.bbox.xmin, ["bbox", "xmin"]);
  assert.equal(crs.id.code, 4326);
  const [codec] = await query(`select distinct compression from parquet_metadata('${out}')`);
  assert.equal(codec.compression, "ZSTD");

  // Boxes by GDAL, from the polygons that were written.
  const boxes = await query(
    `set enable_geoparquet_conversion = false; select geometry as wkb, bbox as box from read_parquet('${out}') where geometry is not null`,
  );
  assert.equal(boxes.length, rows - 1);
  for (const { wkb, box } of boxes) {
    const { minX, minY, maxX, maxY } = gdal.Geometry.fromWKB(Buffer.from(wkb)).getEnvelope();
    for (const [inner, outer] of [
      [minX, box.xmin],
      [minY, box.ymin],
      [-maxX, -box.xmax],
      [-maxY, -box.ymax],
    ]) {
      assert.ok(outer <= inner && inner - outer < 1e-4, `${outer} ${inner}`);
    }
    assert.ok(bbox[0] <= box.xmin && bbox[3] >= box.ymax);
  }
});

test("the CRS is whole PROJJSON, which PROJ reads, also where the fields have one cut down to its id", async () => {
  const cut = { type: "GeographicCRS", name: "WGS 84 (CRS84)", id: { authority: "OGC", code: "CRS84" } };
  const { out, code, stderr } = await exported("cut.parquet", ["--fields-crs", JSON.stringify(cut)]);
  assert.equal(code, 0, stderr);
  const [{ geo }] = await query(
    `select decode(value) as geo from parquet_kv_metadata('${out}') where decode(key) = 'geo'`,
  );
  const { crs } = JSON.parse(geo).columns.geometry;
  assert.deepEqual(crs.id, cut.id);
  assert.ok(crs.datum_ensemble ?? crs.datum, geo);
  assert.deepEqual(
    crs.coordinate_system.axis.map(({ direction }) => direction),
    ["east", "north"],
  );
});

test("rows follow one another in space", async () => {
  const { out } = await exported("order.parquet");
  const [{ step, all }] = await query(`with p as (select row_number() over () as n,
        (bbox.xmin + bbox.xmax) / 2 as x, (bbox.ymin + bbox.ymax) / 2 as y from read_parquet('${out}') where bbox is not null)
    select avg(abs(b.x - a.x) + abs(b.y - a.y)) as step,
      (select max(x) - min(x) + max(y) - min(y) from p) as all from p a join p b on b.n = a.n + 1`);
  assert.ok(step < all / 12, `${step} of ${all}`);
});

test("--bbox, --where and --columns", async () => {
  const [{ w, s, e, n }] =
    await query(`select min(bbox.xmin) as w, min(bbox.ymin) as s, max(bbox.xmax) as e, max(bbox.ymax) as n
    from read_parquet('${(await exported("extent.parquet")).out}')`);
  const box = [w, s, w + (e - w) / 2, s + (n - s) / 3];
  const where = "crop_2020 in (1, 5) and (area_ha > 20 or not share_2019 between 90 and 100)";
  const args = [`--bbox=${box.join(",")}`, "--where", where, "--columns", "share_2020,crop_2020"];
  const { out, code, stderr } = await exported("some.parquet", args);
  assert.equal(code, 0, stderr);
  const names = (await query(`describe select * from read_parquet('${out}')`)).map(({ column_name: name }) => name);
  assert.deepEqual(names, ["field_id", "share_2020", "crop_2020", "geometry", "bbox"]);
  const all = join(world.folder, "extent.parquet");
  const [{ missing, more, rows }] = await query(`with wanted as (select field_id from read_parquet('${all}')
      where bbox.xmin <= ${box[2]} and bbox.xmax >= ${box[0]} and bbox.ymin <= ${box[3]} and bbox.ymax >= ${box[1]} and ${where}),
      got as (select field_id from read_parquet('${out}'))
    select (select count(*) from (from wanted except all from got))::int as missing,
      (select count(*) from (from got except all from wanted))::int as more, (select count(*) from got)::int as rows`);
  assert.ok(rows > 3, `${rows} rows`);
  assert.deepEqual([missing, more], [0, 0]);
});

test("FlatGeobuf, GeoPackage and CSV hold the same fields; FlatGeobuf those with a polygon", async () => {
  const parquet = await exported("all.parquet");
  const rows = await query(
    `select field_id::varchar as id, crop_2020 as crop, geometry is not null as drawn from read_parquet('${parquet.out}')`,
  );
  for (const format of ["fgb", "gpkg"]) {
    const { out, code, stderr } = await exported(`all.${format}`, ["--format", format]);
    assert.equal(code, 0, stderr);
    const dataset = gdal.open(out);
    const layer = dataset.layers.get(0);
    const found = layer.features.map((feature) => {
      const { field_id: id, crop_2020: crop } = feature.fields.toObject();
      const geometry = feature.getGeometry();
      return { id: String(id), crop, drawn: (geometry?.wkbType ?? null) === gdal.wkbMultiPolygon };
    });
    assert.equal(layer.srs.isGeographic(), true);
    dataset.close();
    const key = ({ id, crop, drawn }) => `${id} ${crop} ${drawn}`;
    const expected = format === "fgb" ? rows.filter(({ drawn }) => drawn) : rows;
    assert.deepEqual(found.map(key).sort(), expected.map(key).sort(), format);
  }
  const { out, code, stderr } = await exported("all.csv", ["--format", "csv"]);
  assert.equal(code, 0, stderr);
  const csv = await query(`select field_id::varchar as id, crop_2020 as crop from read_csv('${out}')`);
  assert.deepEqual(
    csv.map(({ id, crop }) => `${id} ${crop}`),
    rows.map(({ id, crop }) => `${id} ${crop}`),
  );
});

test("--fiboa: what its schemas ask for", async () => {
  const { out, code, stderr, json } = await exported("fiboa.parquet", ["--fiboa"]);
  assert.equal(code, 0, stderr);
  const types = Object.fromEntries(
    (await query(`select name, type, logical_type, repetition_type from parquet_schema('${out}')`)).map((column) => [
      column.name,
      column,
    ]),
  );
  // The validator demands that columns may be null but for those that a schema requires.
  for (const name of ["id", "crop:code"]) {
    assert.deepEqual([types[name].type, types[name].repetition_type], ["BYTE_ARRAY", "REQUIRED"], name);
  }
  assert.equal(types.geometry.repetition_type, "REQUIRED");
  for (const name of ["crop:name", "metrics:area", "bbox"]) assert.equal(types[name].repetition_type, "OPTIONAL", name);
  for (const name of ["xmin", "ymin", "xmax", "ymax"]) assert.equal(types[name].repetition_type, "REQUIRED", name);
  assert.equal(types["metrics:area"].type, "FLOAT");
  const [{ collection }] = await query(
    `select decode(value) as collection from parquet_kv_metadata('${out}') where decode(key) = 'collection'`,
  );
  const facts = JSON.parse(collection);
  assert.equal(facts.collection, "us");
  for (const schema of [
    "vecorel.org/specification/v0.1.0",
    "fiboa.org/specification/v0.3.0",
    "fiboa.org/crop-extension/v0.2.0",
  ]) {
    assert.ok(facts.schemas.us.includes(`https://${schema}/schema.yaml`), schema);
  }
  assert.match(facts["crop:code_list"], /^https:.*csv$/);
  assert.ok(
    ["manual", "driven", "surveyed", "auto-operation", "auto-imagery", "unknown"].includes(
      facts["determination:method"],
    ),
  );
  const [row] = await query(`select count(*)::int as n, count(*) filter (id = '' or "crop:code" = '')::int as empty,
      count(*) filter ("metrics:area" <= 0 or "metrics:area" > 1e9)::int as areas,
      count(*) filter ("crop:code" <> coalesce(t.c20, 0)::varchar)::int as crops,
      count(*) filter ("crop:code" = '1' and "crop:name" <> 'Corn')::int as names
    from read_parquet('${out}') e join ${truth()} t on e.id = t.field_id::varchar`);
  assert.ok(row.n >= json.rows);
  assert.deepEqual({ ...row, n: 0 }, { n: 0, empty: 0, areas: 0, crops: 0, names: 0 });
});

test("what is asked wrongly is refused; files of others are not replaced", async () => {
  for (const [args, complaint] of [
    [["--where", "crop_2020 ="], /--where cannot be read/],
    [["--where", "crops = 1"], /unknown column.*received=crops/],
    [["--columns", "crop_1999"], /--columns names an unknown column/],
    [["--bbox", "1,2,3"], /WEST,SOUTH,EAST,NORTH/],
    [["--format", "shp"], /--format is unknown/],
    [["--fiboa", "--format", "csv"], /--fiboa needs GeoParquet/],
  ]) {
    const { code, stderr } = await exported("wrong.parquet", args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, complaint);
  }
  const missing = await exported("wrong.parquet", ["--years", "2019-2021"]);
  assert.equal(missing.code, 4, missing.stderr);
  assert.match(missing.stderr, /No zonal table found for this year.*year=2021/);
  await query(`copy (select 1 as a) to '${join(world.folder, "other.parquet")}' (format parquet)`);
  const other = await exported("other.parquet");
  assert.equal(other.code, 2, other.stderr);
});
