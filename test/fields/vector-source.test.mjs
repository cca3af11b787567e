import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { importVector } from "../../dist/fields/vector-source.js";
import { openParquet } from "../../dist/table/parquet-file.js";
import { command } from "../support/command.mjs";
import { testContext } from "../support/context.mjs";
import { query } from "../support/duck.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { Random } from "../support/random.mjs";
import { scratchOf } from "../support/scratch.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";
import { readVector, writeVector } from "../support/vector-file.mjs";

const [X0, Y0, PIXEL, SIZE] = [-100_005, 1_900_005, 30, 200];

/** Columns of an imported file, by DuckDB: [{id, wkb: hex or null}]. */
async function imported(parquet) {
  const [id, geometry] = (await openParquet(parquet)).columns.keys();
  return query(`select "${id}" as id, hex(ST_AsWKB("${geometry}")) as wkb from '${parquet}'`);
}

async function importRows(folder, name, options = {}) {
  const ctx = testContext();
  const out = await importVector(join(folder, name), options, join(folder, `${name}.parquet`), ctx);
  return { out, ctx, rows: await imported(out) };
}

const square = (x, y, side) => `((${x} ${y},${x + side} ${y},${x + side} ${y - side},${x} ${y - side},${x} ${y}))`;

/** Fields of 5 to 9 corners over the raster, some of two parts; in tenths of a metre, so that text formats keep them. */
function someFields(count) {
  const random = new Random(11);
  return Array.from({ length: count }, (_, i) => {
    const blob = () => {
      const [cx, cy] = [X0 + random.next() * SIZE * PIXEL, Y0 - random.next() * SIZE * PIXEL];
      const corners = 5 + Math.floor(random.next() * 5);
      const ring = Array.from({ length: corners }, (_, k) => {
        const [angle, r] = [(-2 * Math.PI * k) / corners, 60 + 200 * random.next()];
        return `${(cx + r * Math.cos(angle)).toFixed(1)} ${(cy + r * Math.sin(angle)).toFixed(1)}`;
      });
      return `((${[...ring, ring[0]].join(",")}))`;
    };
    const wkt = i % 6 === 0 ? `MULTIPOLYGON(${blob()},${blob()})` : `POLYGON${blob()}`;
    return { field_id: 10 * i + 3, note: `n${i}`, wkt };
  });
}

function writeRaster(path, crs = 5070) {
  const random = new Random(5);
  const pixels = Uint8Array.from({ length: SIZE * SIZE }, () => 1 + Math.floor(6 * random.next() ** 2));
  const raster = gdal.open(path, "w", "GTiff", SIZE, SIZE, 1, gdal.GDT_Byte);
  raster.srs = gdal.SpatialReference.fromEPSG(crs);
  raster.geoTransform = [X0, PIXEL, 0, Y0, 0, -PIXEL];
  raster.bands.get(1).pixels.write(0, 0, SIZE, SIZE, pixels);
  raster.close();
}

const zonal = (fields, raster, out, args = []) =>
  command("zonal", ["--fields", fields, "--raster", raster, "--out", out, "--threads", "1", "--json", ...args]);

async function fails(run, words, code = 4) {
  const { code: got, stderr } = await run;
  assert.equal(got, code, stderr);
  const line = stderr.split("\n").find((text) => text.startsWith("ERROR ")) ?? stderr;
  for (const word of words) assert.ok(line.includes(word), `${JSON.stringify(word)} is not in: ${line}`);
}

const FORMATS = { gpkg: "GPKG", fgb: "FlatGeobuf", shp: "ESRI Shapefile", geojson: "GeoJSON", geojsonl: "GeoJSONSeq" };

test("every format gives what GDAL reads, and the same zonal table as the others", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const fields = { field_id: gdal.OFTInteger, note: gdal.OFTString };
  const rows = someFields(300);
  let reference;
  for (const [extension, driver] of Object.entries(FORMATS)) {
    const name = `fields.${extension}`;
    writeVector(join(folder, name), driver, [{ name: "fields", rows, fields }]);
    // GeoJSON says nothing of other CRSs than its own: the next test has it.
    const projected = !extension.startsWith("geojson");
    const { out, rows: got } = await importRows(folder, name);
    const expected = readVector(join(folder, name), "field_id").map(({ id, wkb }) => ({ id, wkb }));
    const byId = ({ id: a }, { id: b }) => a - b;
    assert.deepEqual(got, expected, extension);
    assert.deepEqual([...got].sort(byId).length, 300);
    if (!projected) continue;
    const table = join(folder, `zonal-${extension}.parquet`);
    const run = await zonal(join(folder, name), join(folder, "r.tif"), table);
    assert.equal(run.code, 0, run.stderr);
    const answers = await query(`from '${table}' order by field_id`);
    assert.equal(answers.filter(({ crop_code }) => crop_code !== null).length, run.json.answered);
    assert.ok(run.json.answered > 250);
    reference ??= answers;
    assert.deepEqual(answers, reference, extension);
    assert.deepEqual(await query(`select count(*)::int n from '${out}'`), [{ n: 300 }]);
  }
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(".")),
    [],
    "scratch is left",
  );
});

test("the same source gives the same bytes, and an import from it the bytes of a run on its parquet", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  writeVector(join(folder, "f.gpkg"), "GPKG", [
    { name: "f", rows: someFields(40), fields: { field_id: gdal.OFTInteger, note: gdal.OFTString } },
  ]);
  const { out } = await importRows(folder, "f.gpkg");
  const first = readFileSync(out);
  await importRows(folder, "f.gpkg");
  assert.deepEqual(readFileSync(out), first);
  for (const [fields, table] of [
    ["f.gpkg", "a.parquet"],
    ["f.gpkg.parquet", "b.parquet"],
  ]) {
    const run = await zonal(join(folder, fields), join(folder, "r.tif"), join(folder, table));
    assert.equal(run.code, 0, run.stderr);
  }
  assert.deepEqual(readFileSync(join(folder, "a.parquet")), readFileSync(join(folder, "b.parquet")));
});

test("parquet is known by its first bytes, not its name", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  writeVector(join(folder, "f.fgb"), "FlatGeobuf", [
    { name: "f", rows: someFields(5), fields: { field_id: gdal.OFTInteger, note: gdal.OFTString } },
  ]);
  const { out } = await importRows(folder, "f.fgb");
  writeFileSync(join(folder, "parquet.fgb"), readFileSync(out));
  writeFileSync(join(folder, "fgb.parquet"), readFileSync(join(folder, "f.fgb")));
  for (const name of ["parquet.fgb", "fgb.parquet"]) {
    const run = await zonal(join(folder, name), join(folder, "r.tif"), join(folder, "out.parquet"));
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.json.rows, 5);
  }
});

test("degrees: GeoJSON and a geopackage of EPSG:4326 keep x first, and count as the projected fields do", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const rows = someFields(60);
  const [from, to] = [gdal.SpatialReference.fromEPSG(5070), gdal.SpatialReference.fromUserInput("OGC:CRS84")];
  const way = new gdal.CoordinateTransformation(from, to);
  const degrees = rows.map((row) => {
    const geometry = gdal.Geometry.fromWKT(row.wkt);
    geometry.transform(way);
    return { ...row, wkt: geometry.toWKT() };
  });
  const fields = { field_id: gdal.OFTInteger, note: gdal.OFTString };
  writeVector(join(folder, "m.gpkg"), "GPKG", [{ name: "f", rows, fields }]);
  writeVector(join(folder, "d.gpkg"), "GPKG", [{ name: "f", rows: degrees, fields, crs: 4326 }]);
  writeVector(join(folder, "d.geojson"), "GeoJSON", [{ name: "f", rows: degrees, fields, crs: 4326 }]);
  const answers = [];
  for (const name of ["m.gpkg", "d.gpkg", "d.geojson"]) {
    const out = join(folder, `${name}.zonal.parquet`);
    const run = await zonal(join(folder, name), join(folder, "r.tif"), out);
    assert.equal(run.code, 0, run.stderr);
    answers.push(await query(`from '${out}' order by field_id`));
  }
  assert.deepEqual(answers[1], answers[0]);
  assert.deepEqual(answers[2], answers[0]);
  const { out } = await importRows(folder, "d.geojson");
  const [{ geo }] = await query(
    `select decode(value) geo from parquet_kv_metadata('${out}') where decode(key) = 'geo'`,
  );
  const { crs, encoding } = JSON.parse(geo).columns.geometry;
  assert.deepEqual([crs.type, crs.id, encoding], ["GeographicCRS", { authority: "EPSG", code: 4326 }, "WKB"]);
});

test("ids: strings, 64-bit integers to the last digit, null; by name, by usual names, else the feature id", async (t) => {
  const folder = tempFolder(t);
  const wkt = `POLYGON${square(X0, Y0, 90)}`;
  const ids = async (source, options) => {
    const { rows, out } = await importRows(folder, source, options);
    const [name] = (await openParquet(out)).columns.keys();
    return [name, ...rows.map(({ id }) => id)];
  };
  writeFileSync(
    join(folder, "big.geojson"),
    JSON.stringify({
      type: "FeatureCollection",
      features: [1, 2, 3].map((n) => ({
        type: "Feature",
        properties: { key: `#${n}`, name: `N ${n} é`, half: n / 2, area: n },
        geometry: {
          type: "Polygon",
          coordinates: [
            [
              [0, 0],
              [1, 0],
              [1, 1],
              [0, 0],
            ],
          ],
        },
      })),
    })
      .replace('"#1"', "9007199254740993")
      .replace('"#2"', "-9223372036854775807")
      .replace('"#3"', "null"),
  );
  assert.deepEqual(await ids("big.geojson", { idColumn: "key" }), ["key", 9007199254740993n, 1n - 2n ** 63n, null]);
  assert.deepEqual(await ids("big.geojson", { idColumn: "name" }), ["name", "N 1 é", "N 2 é", "N 3 é"]);
  assert.deepEqual(await ids("big.geojson"), ["fid", 0n, 1n, 2n]);
  await assert.rejects(
    ids("big.geojson", { idColumn: "half" }),
    /Id column must hold whole numbers or text.*feature=0\): column half: 0.5 is not a whole number/,
  );
  await assert.rejects(
    ids("big.geojson", { idColumn: "nope" }),
    /Column of the id is missing.*expected=nope.*key name half/,
  );

  const rows = [{ wkt, CSBID: "35001", FIELD_ID: 7, fid: 41 }];
  writeVector(join(folder, "a.shp"), "ESRI Shapefile", [
    { name: "a", rows: [{ wkt, FIELD_ID: 7 }], fields: { FIELD_ID: gdal.OFTInteger }, type: gdal.wkbPolygon },
  ]);
  assert.deepEqual(await ids("a.shp"), ["field_id", 7]);
  writeVector(join(folder, "c.gpkg"), "GPKG", [
    { name: "c", rows: rows.map(({ FIELD_ID: _id, ...row }) => row), fields: { CSBID: gdal.OFTString } },
  ]);
  assert.deepEqual(await ids("c.gpkg"), ["CSBID", "35001"]);
  assert.deepEqual(await ids("c.gpkg", { idColumn: "fid" }), ["fid", 41n]);
});

test("no geometry, an empty one, no polygon: every row stays, and the zonal run lists the dirty ones by id", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const [x, y] = [X0 + 300, Y0 - 300];
  const rows = [
    { id: 1, wkt: `POLYGON${square(x, y, 120)}` },
    { id: 2, wkt: null },
    { id: 3, wkt: `POINT(${x} ${y})` },
    { id: 4, wkt: "POLYGON EMPTY" },
    { id: 5, wkt: `POLYGON((${x} ${y},${x + 90} ${y - 90},${x + 90} ${y},${x} ${y - 90},${x} ${y}))` },
    { id: 6, wkt: `MULTIPOLYGON(${square(x, y, 60)},${square(x + 600, y, 60)})` },
  ];
  writeVector(join(folder, "f.geojsonl"), "GeoJSONSeq", [{ name: "f", rows }]);
  writeVector(join(folder, "f.gpkg"), "GPKG", [{ name: "f", rows }]);
  for (const name of ["f.geojsonl", "f.gpkg"]) {
    const { rows: got } = await importRows(folder, name);
    assert.equal(got.length, 6);
    assert.equal(got.find(({ id }) => id === 2).wkb, null);
  }
  const out = join(folder, "out.parquet");
  const run = await zonal(join(folder, "f.gpkg"), join(folder, "r.tif"), out, ["--max-dirty", "1"]);
  assert.equal(run.code, 0, run.stderr);
  assert.equal(run.json.rows, 6);
  const listed = readFileSync(join(folder, "out.dirty.csv"), "utf8").trim().split("\n").slice(1);
  const idsListed = new Set(listed.map((line) => Number(line.split(",")[1])));
  for (const id of [2, 3, 4]) assert.ok(idsListed.has(id), `${id} is not in ${listed}`);
  for (const id of [1, 6]) assert.ok(!idsListed.has(id), `${id} is in ${listed}`);
  await fails(zonal(join(folder, "f.gpkg"), join(folder, "r.tif"), out), ["Too many dirty rows", "f.gpkg"], 5);
});

test("Z and M are left out", async (t) => {
  const folder = tempFolder(t);
  const rows = [
    { id: 1, wkt: "POLYGON Z((0 0 5,1 0 6,1 1 7,0 0 5))" },
    { id: 2, wkt: "MULTIPOLYGON Z(((0 0 5,1 0 6,1 1 7,0 0 5)),((2 0 5,3 0 6,3 1 7,2 0 5)))" },
    { id: 3, wkt: "POLYGON ZM((0 0 5 1,1 0 6 1,1 1 7 1,0 0 5 1))" },
  ];
  writeVector(join(folder, "z.gpkg"), "GPKG", [{ name: "z", rows }]);
  const { rows: got } = await importRows(folder, "z.gpkg");
  const flat = ["POLYGON((0 0,1 0,1 1,0 0))", "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((2 0,3 0,3 1,2 0)))"];
  const wkb = (wkt) => gdal.Geometry.fromWKT(wkt).toWKB(gdal.wkbNDR).toString("hex").toUpperCase();
  assert.deepEqual(
    got.map((row) => row.wkb),
    [wkb(flat[0]), wkb(flat[1]), wkb(flat[0])],
  );
});

test("arcs become line segments on the circle; straight polygons stay to the bit", async (t) => {
  const folder = tempFolder(t);
  // The bindings cannot make curves, but a virtual layer over WKT can.
  const straight = "POLYGON((0.1 0.2,10.3 0,10 10.7,0.1 0.2))";
  const wkts = [
    straight,
    "CURVEPOLYGON(CIRCULARSTRING(100 0,200 100,300 0,200 -100,100 0))",
    "MULTISURFACE(CURVEPOLYGON(COMPOUNDCURVE(CIRCULARSTRING(0 0,50 50,100 0),(100 0,0 0))),((500 500,600 500,600 600,500 500)))",
  ];
  writeFileSync(join(folder, "w.csv"), `id,WKT\n${wkts.map((wkt, i) => `${i + 70},"${wkt}"\n`).join("")}`);
  writeFileSync(
    join(folder, "w.vrt"),
    `<OGRVRTDataSource><OGRVRTLayer name="w"><SrcDataSource relativeToVRT="1">w.csv</SrcDataSource>
      <GeometryType>wkbUnknown</GeometryType><LayerSRS>EPSG:5070</LayerSRS><Field name="id" type="Integer"/>
      <GeometryField encoding="WKT" field="WKT"/></OGRVRTLayer></OGRVRTDataSource>`,
  );
  const source = gdal.open(join(folder, "w.vrt"));
  gdal.vectorTranslate(join(folder, "w.gpkg"), source, ["-f", "GPKG", "-nlt", "GEOMETRY"]).close();
  source.close();
  for (const name of ["w.vrt", "w.gpkg"]) {
    const { rows } = await importRows(folder, name);
    assert.deepEqual(
      rows.map(({ id }) => id),
      [70, 71, 72],
    );
    const [line, circle, parts] = rows.map(({ wkb }) => gdal.Geometry.fromWKB(Buffer.from(wkb, "hex")));
    assert.equal(line.toWKT(), gdal.Geometry.fromWKT(straight).toWKT());
    const corners = circle.rings.get(0).points.toArray();
    assert.ok(corners.length >= 91, `${corners.length} corners`);
    for (const { x, y } of corners) assert.ok(Math.abs(Math.hypot(x - 200, y) - 100) < 1e-9, `${x} ${y}`);
    assert.ok(Math.abs(circle.getArea() / (Math.PI * 100 ** 2) - 1) < 0.001);
    assert.equal(parts.wkbType, gdal.wkbMultiPolygon);
    assert.ok(Math.abs(parts.getArea() / ((Math.PI * 50 ** 2) / 2 + 5000) - 1) < 0.001);
  }
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("linear")),
    [],
  );
});

test("several layers: an error lists them, --layer chooses; tables without geometry do not count", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const at = (n) => [{ id: n, wkt: `POLYGON${square(X0 + 300, Y0 - 300, 120)}` }];
  const table = { name: "notes", rows: [{ id: 9, wkt: null }], type: gdal.wkbNone };
  writeVector(join(folder, "one.gpkg"), "GPKG", [table, { name: "fields 2020", rows: at(1) }]);
  writeVector(join(folder, "two.gpkg"), "GPKG", [
    { name: "north", rows: at(1) },
    { name: 'so"uth', rows: at(2) },
    table,
  ]);
  writeVector(join(folder, "none.gpkg"), "GPKG", [table]);
  assert.deepEqual(
    (await importRows(folder, "one.gpkg")).rows.map(({ id }) => id),
    [1],
  );
  assert.deepEqual(
    (await importRows(folder, "two.gpkg", { layer: 'so"uth' })).rows.map(({ id }) => id),
    [2],
  );
  const out = join(folder, "out.parquet");
  const run = (name, args) => zonal(join(folder, name), join(folder, "r.tif"), out, args);
  await fails(run("two.gpkg"), ["several layers", "--layer", "two.gpkg", "north", 'so"uth']);
  await assert.rejects(
    importRows(folder, "two.gpkg", { layer: "west" }),
    /no such layer.*expected=west, received=north/,
  );
  await assert.rejects(importRows(folder, "none.gpkg"), /no layer with geometry.*none\.gpkg/);
  assert.equal((await run("two.gpkg", ["--layer", "north"])).json.rows, 1);
  const { out: parquet } = await importRows(folder, "one.gpkg");
  await fails(zonal(parquet, join(folder, "r.tif"), out, ["--layer", "north"]), ["--layer"], 2);
});

test("zips: the one source inside is found, whatever the zip is called", async (t) => {
  const folder = tempFolder(t);
  writeVector(join(folder, "f.shp"), "ESRI Shapefile", [
    { name: "f", rows: [{ id: 12, wkt: `POLYGON${square(X0, Y0, 90)}` }], type: gdal.wkbPolygon },
  ]);
  const files = (names, under) =>
    names.map((name) => ({ name: `${under}${name}`, data: readFileSync(join(folder, name)) }));
  const shape = ["f.shp", "f.shx", "f.dbf", "f.prj"];
  writeFileSync(join(folder, "shape.zip"), handmadeZip([{ name: "readme.txt", data: "x" }, ...files(shape, "a/b/")]));
  writeFileSync(join(folder, "renamed.bin"), handmadeZip(files(shape, "")));
  writeFileSync(join(folder, "empty.zip"), handmadeZip([{ name: "readme.txt", data: "x" }]));
  writeFileSync(join(folder, "two.zip"), handmadeZip([...files(shape, "a/"), ...files(shape, "b/")]));
  for (const name of ["shape.zip", "renamed.bin"]) {
    assert.deepEqual(
      (await importRows(folder, name)).rows.map(({ id }) => id),
      [12],
    );
  }
  await assert.rejects(importRows(folder, "empty.zip"), /must hold one vector source.*empty\.zip.*received=none/);
  await assert.rejects(importRows(folder, "two.zip"), /must hold one vector source.*a\/f\.shp b\/f\.shp/);
});

test("a source without CRS needs --fields-crs", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  writeVector(join(folder, "f.shp"), "ESRI Shapefile", [
    { name: "f", rows: [{ id: 1, wkt: `POLYGON${square(X0 + 300, Y0 - 300, 120)}` }], type: gdal.wkbPolygon },
  ]);
  rmSync(join(folder, "f.prj"));
  const run = (args) => zonal(join(folder, "f.shp"), join(folder, "r.tif"), join(folder, "out.parquet"), args);
  await fails(run([]), ["CRS", "--fields-crs", "f.shp"]);
  const { code, json, stderr } = await run(["--fields-crs", "EPSG:5070"]);
  assert.equal(code, 0, stderr);
  assert.equal(json.validPixels, 16);
});

test("damaged sources fail by name and feature, and leave the old table and no scratch", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const fields = { field_id: gdal.OFTInteger, note: gdal.OFTString };
  const out = join(folder, "out.parquet");
  const run = (name) => zonal(join(folder, name), join(folder, "r.tif"), out);
  for (const [extension, driver] of Object.entries({ fgb: "FlatGeobuf", shp: "ESRI Shapefile" })) {
    writeVector(join(folder, `f.${extension}`), driver, [{ name: "f", rows: someFields(200), fields }]);
  }
  assert.equal((await run("f.fgb")).code, 0);
  const before = readFileSync(out);
  for (const name of ["f.fgb", "f.shp"])
    truncateSync(join(folder, name), Math.floor(0.6 * statSync(join(folder, name)).size));
  writeFileSync(join(folder, "text.gpkg"), "no geopackage");
  writeFileSync(join(folder, "cut.geojson"), '{"type":"FeatureCollection","features":[{"type":"Feat');
  writeFileSync(join(folder, "broken.zip"), "PK\x03\x04 and no more");
  await fails(run("f.fgb"), ["cannot be read further", "f.fgb", "feature="]);
  const expected = {
    "f.shp": /cannot be read further .*f\.shp.*feature=\d+/,
    "text.gpkg": /Not a parquet file, nor a vector source .*text\.gpkg.*PAR1.*"no g"/,
    "cut.geojson": /nor a vector source .*cut\.geojson/,
    "broken.zip": /zip.*broken\.zip/i,
    "r.tif": /no layer with geometry .*r\.tif/,
    "missing.gpkg": /File not found .*missing\.gpkg/,
  };
  for (const [name, message] of Object.entries(expected)) {
    await assert.rejects(importRows(folder, name), { name: "PipelineError", kind: "input", message });
  }
  assert.deepEqual(readFileSync(out), before);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith(".")),
    [],
  );
});

test("a full disk is named as such and leaves nothing", async (t) => {
  const disk = tinyDisk(t, "256k");
  if (disk === undefined) return t.skip("a small disk cannot be mounted here");
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const fields = { field_id: gdal.OFTInteger, note: gdal.OFTString };
  writeVector(join(folder, "f.fgb"), "FlatGeobuf", [{ name: "f", rows: someFields(5000), fields }]);
  await fails(zonal(join(folder, "f.fgb"), join(folder, "r.tif"), join(disk, "out.parquet")), ["No space left"], 7);
  assert.deepEqual(readdirSync(disk), []);
});

test("what a killed import left is cleared by the next run, whatever its fields are", async (t) => {
  const folder = tempFolder(t);
  writeRaster(join(folder, "r.tif"));
  const fields = { field_id: gdal.OFTInteger, note: gdal.OFTString };
  writeVector(join(folder, "f.fgb"), "FlatGeobuf", [{ name: "f", rows: someFields(8000), fields }]);
  const out = join(folder, "out.parquet");
  const hidden = () => readdirSync(folder).filter((name) => name.startsWith("."));
  const args = ["--fields", join(folder, "f.fgb"), "--raster", join(folder, "r.tif"), "--out", out];
  const killed = await command("zonal", args, {
    onStart: (child) => {
      const watch = setInterval(() => {
        if (scratchOf(`${out}.fields`).length > 0) child.kill("SIGKILL");
      }, 5);
      child.on("close", () => clearInterval(watch));
    },
  });
  assert.equal(killed.signal, "SIGKILL");
  assert.ok(!existsSync(out));
  assert.ok(scratchOf(`${out}.fields`).length === 1, `${hidden()}`);
  const { out: parquet } = await importRows(folder, "f.fgb");
  const run = await zonal(parquet, join(folder, "r.tif"), out);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(hidden(), []);
});

test("GDAL's warnings are passed on with their number", async (t) => {
  const folder = tempFolder(t);
  const open = {
    type: "Polygon",
    coordinates: [
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
    ],
  };
  const feature = (id, geometry) => ({ type: "Feature", properties: { id }, geometry });
  const features = [feature(1, open), feature(2, open)];
  writeFileSync(join(folder, "open.geojsonl"), features.map((f) => `${JSON.stringify(f)}\n`).join(""));
  const { rows, ctx } = await importRows(folder, "open.geojsonl");
  assert.equal(rows.length, 2);
  const [warning] = ctx.lines.filter(({ level }) => level === "warn");
  assert.match(warning.message, /Non closed ring/);
  assert.equal(warning.count, 2);
});

test("an import that is stopped ends between two batches", async (t) => {
  const folder = tempFolder(t);
  const rows = Array.from({ length: 9000 }, (_, id) => ({ id, wkt: "POLYGON((0 0,1 0,1 1,0 0))" }));
  writeVector(join(folder, "f.fgb"), "FlatGeobuf", [{ name: "f", rows }]);
  const ctx = testContext();
  const stop = new Error("stopped");
  setImmediate(() => ctx.controller.abort(stop));
  const out = join(folder, "out.parquet");
  await assert.rejects(importVector(join(folder, "f.fgb"), {}, out, ctx), (error) => error === stop);
  assert.ok(ctx.tasks.every(({ ended, done }) => ended && done < 9000));
  assert.ok(!existsSync(`${out}.linear.gpkg`));
});
