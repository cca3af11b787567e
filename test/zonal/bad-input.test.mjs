import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { query, writeFields } from "../support/duck.mjs";
import { box, pointWkb, polygonWkb } from "../support/shapes.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

const [X0, Y0, PIXEL, SIZE] = [-100005, 1900005, 30, 200];
let folder;
const file = (name) => join(folder, name);

/** A square field of 4 × 4 pixels, at column and row. */
const field = (col, row, n = 4) =>
  polygonWkb([box(X0 + col * 30 + 1, Y0 - row * 30 - 1, X0 + (col + n) * 30 - 1, Y0 - (row + n) * 30 + 1)]);

function writeRaster(
  name,
  { type = gdal.GDT_Byte, crs = 5070, driver = "GTiff", options = [], rotation = 0, origin = [X0, Y0] } = {},
) {
  const raster = gdal.open(file(name), "w", driver, SIZE, SIZE, 1, type, options);
  if (crs !== null) raster.srs = gdal.SpatialReference.fromEPSG(crs);
  raster.geoTransform = [origin[0], PIXEL, rotation, origin[1], 0, -PIXEL];
  if (type === gdal.GDT_Byte) raster.bands.get(1).pixels.write(0, 0, SIZE, SIZE, new Uint8Array(SIZE * SIZE).fill(5));
  raster.close();
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-bad-"));
  writeRaster("good.tif");
  await writeFields(
    file("good.parquet"),
    Array.from({ length: 50 }, (_, i) => ({ id: i, wkb: field(i * 3, i * 3) })),
  );
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function zonal({
  fields = "good.parquet",
  raster = "good.tif",
  out = file("out.parquet"),
  args = [],
  crs = "EPSG:5070",
}) {
  const base = ["--fields", file(fields), "--raster", file(raster), "--out", out, "--json"];
  return command("zonal", [...base, ...(crs ? ["--fields-crs", crs] : []), ...args]);
}

/** Fails with this exit code, and says all of `words` in one line. */
async function fails(run, code, words) {
  const { code: got, stderr } = await run;
  const line = stderr.split("\n").find((text) => text.startsWith("ERROR ")) ?? stderr;
  assert.equal(got, code, stderr);
  for (const word of words) assert.ok(line.includes(word), `${JSON.stringify(word)} is not in: ${line}`);
}

test("the good pair works, and its output is a plain parquet file", async () => {
  const run = await zonal({});
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(run.json.dirty, {});
  const bytes = readFileSync(file("out.parquet"));
  assert.equal(bytes.toString("latin1", bytes.length - 4), "PAR1");
  const [row] = await query(
    `select count(*)::int n, min(crop_code) a, max(crop_code) b, min(crop_pixels) p, max(crop_pixels) q from '${file("out.parquet")}'`,
  );
  assert.deepEqual(row, { n: 50, a: 5, b: 5, p: 16, q: 16 });
});

test("a failing run leaves the old output as it was, and no scratch", async () => {
  const out = file("kept.parquet");
  assert.equal((await zonal({ out })).code, 0);
  const before = readFileSync(out);
  assert.equal((await zonal({ out, raster: "none.tif" })).code, 4);
  assert.deepEqual(readFileSync(out), before);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("scratch")),
    [],
  );
});

test("raster: missing, a pipe, not a raster, no CRS, rotated, wrong band type", async () => {
  writeFileSync(file("text.tif"), "not a raster");
  writeRaster("nocrs.tif", { crs: null });
  writeRaster("rotated.tif", { rotation: 1 });
  writeRaster("complex.tif", { type: gdal.GDT_CFloat32 });
  execFileSync("mkfifo", [file("pipe.tif")]);
  await fails(zonal({ raster: "none.tif" }), 4, ["Raster not found", "none.tif"]);
  await fails(zonal({ raster: "pipe.tif" }), 4, ["Raster is not a file", "pipe.tif"]);
  await fails(zonal({ raster: "text.tif" }), 4, ["Raster cannot be opened", "text.tif"]);
  await fails(zonal({ raster: "nocrs.tif" }), 4, ["Raster has no CRS", "nocrs.tif"]);
  await fails(zonal({ raster: "rotated.tif" }), 4, ["north-up", "rotated.tif"]);
  await fails(zonal({ raster: "complex.tif" }), 4, ["band type", "complex.tif", "Byte", "CFloat32"]);
});

test("a raster that says it is larger than any: refused at once, without memory for it", async () => {
  const vrt = (width, height) => `<VRTDataset rasterXSize="${width}" rasterYSize="${height}">
    <SRS>EPSG:5070</SRS><GeoTransform>0, 30, 0, 0, 0, -30</GeoTransform><VRTRasterBand dataType="Byte" band="1"/>
  </VRTDataset>`;
  for (const [width, height] of [
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 31 - 1, 2 ** 14],
  ]) {
    writeFileSync(file("huge.vrt"), vrt(width, height));
    await fails(zonal({ raster: "huge.vrt" }), 4, ["Raster is too large", "huge.vrt", `${width} × ${height}`]);
  }
});

test("a raster whose blocks are cut off names file and window", async () => {
  writeRaster("cut.tif", { options: ["COMPRESS=LZW", "BLOCKYSIZE=1"] });
  truncateSync(file("cut.tif"), statSync(file("cut.tif")).size - 2000);
  const { code, stderr } = await zonal({ raster: "cut.tif" });
  assert.equal(code, 4, stderr);
  assert.match(stderr, /ERROR .*cut\.tif/);
});

test("a raster elsewhere: both extents are shown", async () => {
  writeRaster("far.tif", { origin: [900015, 900015] });
  await fails(zonal({ raster: "far.tif" }), 4, [
    "None of the fields overlaps the raster",
    "x 900015..906015",
    "x -100004..-95",
  ]);
});

test("fields without CRS need --fields-crs; an unknown one is named", async () => {
  await fails(zonal({ crs: null }), 4, ["--fields-crs", "good.parquet"]);
  await fails(zonal({ crs: "EPSG:123456" }), 4, ["Unknown CRS", "EPSG:123456"]);
});

test("parquet: missing, not parquet, cut short, footer damaged", async () => {
  writeFileSync(file("text.parquet"), "PARROT, not parquet at all");
  copyFileSync(file("good.parquet"), file("cut.parquet"));
  truncateSync(file("cut.parquet"), statSync(file("cut.parquet")).size - 100);
  const bytes = readFileSync(file("good.parquet"));
  bytes.fill(0xff, bytes.length - 60, bytes.length - 8);
  writeFileSync(file("footer.parquet"), bytes);
  await fails(zonal({ fields: "none.parquet" }), 4, ["File not found", "none.parquet"]);
  await fails(zonal({ fields: "text.parquet" }), 4, ["Not a parquet file", "text.parquet"]);
  await fails(zonal({ fields: "cut.parquet" }), 4, ["cut short", "cut.parquet", "PAR1"]);
  await fails(zonal({ fields: "footer.parquet" }), 4, ["footer", "footer.parquet"]);
});

test("parquet whose pages are damaged names file, row group, rows and column", async () => {
  const bytes = readFileSync(file("good.parquet"));
  bytes.fill(0xff, 4, Math.floor(bytes.length / 2));
  writeFileSync(file("pages.parquet"), bytes);
  const { code, stderr } = await zonal({ fields: "pages.parquet" });
  assert.equal(code, 4, stderr);
  assert.match(stderr, /ERROR .*pages\.parquet.*rowGroup=0.*rows=0\.\.50.*(field_id|geometry): page at byte \d+/);
});

test("columns: missing id, missing geometry, wrong types, a name that is not there", async () => {
  const write = (name, select) =>
    query(`copy (select ${select} from '${file("good.parquet")}') to '${file(name)}' (format parquet)`);
  await write("noid.parquet", "geometry");
  await write("nogeom.parquet", "field_id");
  await write("boolid.parquet", "field_id % 2 = 0 as field_id, geometry");
  await write("textgeom.parquet", "field_id, 'POLYGON' as geometry");
  await fails(zonal({ fields: "noid.parquet" }), 4, ["Column of the id is missing", "field_id", "geometry"]);
  await fails(zonal({ fields: "nogeom.parquet" }), 4, ["Column of the geometry is missing", "nogeom.parquet"]);
  await fails(zonal({ fields: "boolid.parquet" }), 4, ["Id column", "field_id", "Bool"]);
  await fails(zonal({ fields: "textgeom.parquet" }), 4, ["Geometry column", "WKB", "Utf8"]);
  await fails(zonal({ args: ["--id-column", "nope"] }), 4, ["nope", "field_id geometry"]);
});

test("ids of int32, int64 beyond 2^53 and strings come out as they went in", async () => {
  const big = 9007199254740993n;
  const cases = {
    INTEGER: [1, 2, -7],
    BIGINT: [big, big + 1n, -(2n ** 63n) + 1n],
    VARCHAR: ["200500000012345", "o'Brien é", ""],
  };
  for (const [idType, ids] of Object.entries(cases)) {
    await writeFields(
      file("ids.parquet"),
      ids.map((id, i) => ({ id, wkb: field(i * 10, 0) })),
      { idType },
    );
    const run = await zonal({ fields: "ids.parquet" });
    assert.equal(run.code, 0, run.stderr);
    const rows = await query(`select field_id, typeof(field_id) t, crop_pixels n from '${file("out.parquet")}'`);
    assert.deepEqual(
      rows,
      ids.map((field_id) => ({ field_id, t: idType, n: 16 })),
    );
  }
});

test("dirty rows get null, are counted and listed by id; the rest is as ever", async () => {
  const good = field(0, 0);
  const bowTie = polygonWkb([
    [
      [X0 + 1, Y0 - 1],
      [X0 + 301, Y0 - 301],
      [X0 + 301, Y0 - 1],
      [X0 + 1, Y0 - 301],
      [X0 + 1, Y0 - 1],
    ],
  ]);
  const rows = [
    { id: 10, wkb: good },
    { id: 20, wkb: null },
    { id: 30, wkb: polygonWkb([]) },
    { id: 40, wkb: good.subarray(0, good.length - 5) },
    { id: 50, wkb: pointWkb(X0, Y0) },
    { id: 60, wkb: polygonWkb([box(X0, Y0, Number.NaN, Y0 - 90)]) },
    { id: 70, wkb: polygonWkb([box(X0, Y0, Number.POSITIVE_INFINITY, Y0 - 90)]) },
    {
      id: 80,
      wkb: polygonWkb([
        [
          [X0, Y0],
          [X0 + 90, Y0],
          [X0, Y0],
        ],
      ]),
    },
    { id: 90, wkb: Buffer.alloc(0) },
    { id: 10, wkb: field(20, 20) },
    { id: 110, wkb: bowTie },
    { id: 120, wkb: field(1000, 1000) },
    { id: 130, wkb: polygonWkb([box(X0 + 1, Y0 - 1, X0 + 9, Y0 - 9)]) },
  ];
  await writeFields(file("dirty.parquet"), rows);
  await fails(zonal({ fields: "dirty.parquet" }), 5, [
    "Too many dirty rows",
    "dirty=9",
    "of=13",
    "1 %",
    "truncated WKB 2",
    "firstIds=20 30 40 50 60",
  ]);
  assert.equal(existsSync(file("dirty.dirty.csv")), false);

  const out = file("dirty-out.parquet");
  const run = await zonal({ fields: "dirty.parquet", out, args: ["--max-dirty", "0.8"] });
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(run.json.dirty, {
    "null geometry": 1,
    "empty geometry": 1,
    "truncated WKB": 2,
    "not a polygon": 1,
    "coordinates not finite": 2,
    "ring of fewer than four vertices": 1,
    "duplicate id": 1,
  });
  assert.equal(
    readFileSync(file("dirty-out.dirty.csv"), "utf8"),
    "row,field_id,problem\n1,20,null geometry\n2,30,empty geometry\n3,40,truncated WKB\n4,50,not a polygon\n5,60,coordinates not finite\n6,70,coordinates not finite\n7,80,ring of fewer than four vertices\n8,90,truncated WKB\n9,10,duplicate id\n",
  );
  const answers = await query(
    `select field_id::int id, crop_code code, crop_pixels n, null_reason why, rule from '${out}'`,
  );
  assert.equal(answers.length, 13);
  assert.deepEqual(answers[0], { id: 10, code: 5, n: 16, why: null, rule: "centre" });
  assert.deepEqual(answers[1], { id: 20, code: null, n: 0, why: "null geometry", rule: null });
  assert.deepEqual(answers[9], { id: 10, code: 5, n: 16, why: null, rule: "centre" });
  // A bow tie is two triangles: 5 rows of pixels above the knot and 5 below, all but the knot's own columns.
  assert.equal(answers[10].code, 5);
  assert.deepEqual(answers[11], { id: 120, code: null, n: 0, why: "outside the raster", rule: null });
  assert.deepEqual(answers[12], { id: 130, code: null, n: 0, why: "no pixel centre inside", rule: null });

  // The next clean run takes the list away.
  assert.equal((await zonal({ out })).code, 0);
  assert.equal(existsSync(file("dirty-out.dirty.csv")), false);
});

test("background: code 0, the band's nodata and --nodata are not counted", async () => {
  const raster = gdal.open(file("nodata.tif"), "w", "GTiff", SIZE, SIZE, 1, gdal.GDT_Byte);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [X0, PIXEL, 0, Y0, 0, -PIXEL];
  raster.bands.get(1).noDataValue = 255;
  const pixels = new Uint8Array(SIZE * SIZE);
  pixels.set([0, 255, 7, 9], 0);
  pixels.set([255, 255, 255, 255], 4);
  raster.bands.get(1).pixels.write(0, 0, SIZE, SIZE, pixels);
  raster.close();
  const strip = (col) => polygonWkb([box(X0 + col * 30 + 1, Y0 - 1, X0 + (col + 4) * 30 - 1, Y0 - 29)]);
  await writeFields(file("strips.parquet"), [
    { id: 1, wkb: strip(0) },
    { id: 2, wkb: strip(4) },
  ]);
  const answer = async (args) => {
    assert.equal((await zonal({ fields: "strips.parquet", raster: "nodata.tif", args })).code, 0);
    return query(
      `select crop_code c, crop_pixels n, valid_pixels v, second_code s, null_reason why from '${file("out.parquet")}'`,
    );
  };
  assert.deepEqual(await answer([]), [
    { c: 7, n: 1, v: 2, s: 9, why: null },
    { c: null, n: 0, v: 0, s: null, why: "only background or nodata" },
  ]);
  assert.deepEqual((await answer(["--nodata", "7,0"]))[0], { c: 9, n: 1, v: 1, s: null, why: null });
  assert.deepEqual((await answer(["--nodata", ""]))[0], { c: 0, n: 1, v: 3, s: 7, why: null });
});

test("a full disk is named as such and leaves nothing", async (t) => {
  const disk = tinyDisk(t, "64k");
  if (disk === undefined) return t.skip("a small disk cannot be mounted here");
  const many = Array.from({ length: 20_000 }, (_, i) => ({ id: i, wkb: field(i % 190, i % 180) }));
  await writeFields(file("many.parquet"), many);
  const run = await zonal({ fields: "many.parquet", out: join(disk, "out.parquet") });
  assert.equal(run.code, 7, run.stderr);
  assert.match(run.stderr, /No space left/);
  assert.deepEqual(readdirSync(disk), []);
});

test("usage: missing and unknown options, wrong values", async () => {
  await fails(command("zonal", ["--fields", "a", "--raster", "b"]), 2, ["--out is missing"]);
  await fails(command("zonal", ["--feilds", "a"]), 2, ["--feilds", "did you mean fields"]);
  await fails(zonal({ args: ["--ties", "first"] }), 2, ["lowest, highest"]);
  await fails(zonal({ args: ["--max-dirty", "2"] }), 2, ["max-dirty", "from 0 to 1"]);
});
