import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { scratchOf } from "../support/scratch.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";

async function sample(root, args, options) {
  const run = await command("sample", ["--root", root, "--json", ...args], options);
  assert.equal(run.code, 0, run.stderr);
  return run.json;
}

/** All files below a folder with their checksums. */
function checksums(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => [path.slice(folder.length + 1), createHash("sha256").update(readFileSync(path)).digest("hex")]);
}

function openZipped(zip, name) {
  return gdal.open(`/vsizip/${zip}/${name}`);
}

function pixelsOf(dataset) {
  const { x, y } = dataset.rasterSize;
  return dataset.bands.get(1).pixels.read(0, 0, x, y);
}

test("the same options give the same bytes, in any time zone; another seed another world", async (t) => {
  const root = tempFolder(t);
  const folders = ["a", "b", "c"].map((name) => join(root, name));
  const args = ["--fields", "700", "--years", "2019,2021"];
  await sample(folders[0], args, { env: { TZ: "America/Chicago" } });
  await sample(folders[1], args, { env: { TZ: "Asia/Tokyo" } });
  await sample(folders[2], [...args, "--seed", "2"]);
  const [a, b, c] = folders.map(checksums);
  assert.deepEqual(
    a.map(([name]) => name),
    [
      "cdl-source/2019_30m_cdls.zip",
      "cdl-source/2021_30m_cdls.zip",
      "data/fields_clean.parquet",
      "data/fields_raw.parquet",
      "data/truth.parquet",
    ],
  );
  assert.deepEqual(b, a);
  for (const [i, [name, sum]] of c.entries()) assert.notEqual(sum, a[i][1], name);
});

test("a year's raster is the same whichever other years are made", async (t) => {
  const root = tempFolder(t);
  await sample(join(root, "a"), ["--fields", "300", "--years", "2018-2020"]);
  await sample(join(root, "b"), ["--fields", "300", "--years", "2020"]);
  const zip = (name) => readFileSync(join(root, name, "cdl-source", "2020_30m_cdls.zip"));
  assert.ok(zip("a").equals(zip("b")));
});

test("every layout and format holds the same pixels, as the CDL has them", async (t) => {
  const root = tempFolder(t);
  const LAYOUTS = [
    { args: [], file: "2020_30m_cdls.tif", driver: "GTiff", block: { x: 512, y: 512 }, compression: "LZW" },
    {
      args: ["--tiled", "--block", "256"],
      file: "2020_30m_cdls.tif",
      driver: "GTiff",
      block: { x: 256, y: 256 },
      compression: "LZW",
    },
    { args: ["--strips"], file: "2020_30m_cdls.tif", driver: "GTiff", block: { y: 8 }, compression: "LZW" },
    {
      args: ["--strips", "--block", "1"],
      file: "2020_30m_cdls.tif",
      driver: "GTiff",
      block: { y: 1 },
      compression: "LZW",
    },
    {
      args: ["--format", "img"],
      file: "2020_30m_cdls.img",
      driver: "HFA",
      block: { x: 64, y: 64 },
      compression: "RLE",
    },
  ];
  const sums = new Set();
  for (const [i, { args, file, driver, block, compression }] of LAYOUTS.entries()) {
    const made = await sample(join(root, String(i)), ["--fields", "500", "--years", "2020", ...args]);
    const dataset = openZipped(made.files.cdl[2020], file);
    const band = dataset.bands.get(1);
    const { x: width, y: height } = dataset.rasterSize;
    assert.deepEqual([width, height], [made.raster.width, made.raster.height]);
    assert.equal(dataset.driver.description, driver);
    assert.deepEqual({ ...band.blockSize }, { x: width, ...block });
    assert.equal((driver === "HFA" ? band : dataset).getMetadata("IMAGE_STRUCTURE").COMPRESSION, compression);
    assert.equal(band.dataType, gdal.GDT_Byte);
    assert.ok(dataset.srs.isSame(gdal.SpatialReference.fromEPSG(5070)));
    const [x, dx, , y, , dy] = dataset.geoTransform;
    assert.deepEqual([dx, dy, Math.abs(x) % 30, Math.abs(y) % 30], [30, -30, 15, 15]);
    for (const { code, color } of CDL_LEGEND) {
      const { c1, c2, c3 } = band.colorTable.get(code);
      assert.equal(`#${[c1, c2, c3].map((c) => c.toString(16).padStart(2, "0")).join("")}`, color, `code ${code}`);
    }
    const pixels = pixelsOf(dataset);
    const known = new Set(CDL_LEGEND.map(({ code }) => code));
    assert.ok(pixels.every((code) => known.has(code)));
    sums.add(createHash("sha256").update(pixels).digest("hex"));
    dataset.close();
  }
  assert.equal(sums.size, 1);
});

test("field files are GeoParquet in longitude and latitude, several row groups, valid polygons", async (t) => {
  const { files } = await sample(tempFolder(t), ["--fields", "1100", "--years", "2020"]);
  for (const path of [files.raw, files.clean]) {
    const [{ geo }] = await query(
      `select decode(value) as geo from parquet_kv_metadata('${path}') where decode(key) = 'geo'`,
    );
    const { version, primary_column, columns } = JSON.parse(geo);
    assert.deepEqual([version, primary_column, columns.geometry.encoding], ["1.0.0", "geometry", "WKB"]);
    assert.deepEqual(columns.geometry.crs.id, { authority: "OGC", code: "CRS84" });
    const chunks = await query(
      `select distinct row_group_id::int as g, row_group_num_rows::int as n, compression from parquet_metadata('${path}') order by 1`,
    );
    assert.deepEqual(
      chunks,
      [0, 1, 2, 3].map((g) => ({ g, n: 275, compression: "ZSTD" })),
    );
  }
  const types = await query(`select column_name, column_type from (describe select * from '${files.clean}')`);
  assert.deepEqual(
    types.map((row) => row.column_type.replace(/\(.*/, "")),
    ["BIGINT", "DOUBLE", "GEOMETRY"],
  );
  const rows = await query(`select r.field_id = c.field_id as same, hex(st_aswkb(r.geometry)) as wkb
    from '${files.raw}' r positional join '${files.clean}' c`);
  assert.equal(rows.length, 1100);
  const kinds = new Set();
  for (const { same, wkb } of rows) {
    assert.equal(same, true);
    const geometry = gdal.Geometry.fromWKB(Buffer.from(wkb, "hex"));
    assert.ok(geometry.isValid() && !geometry.isEmpty());
    kinds.add(geometry.name);
    const { minX, maxX, minY, maxY } = geometry.getEnvelope();
    assert.ok(minX > -98 && maxX < -96.5 && minY > 38.5 && maxY < 40, `${minX} ${minY}`);
  }
  assert.deepEqual(kinds, new Set(["MULTIPOLYGON", "POLYGON"]));
});

test("--dirty adds one row of each fault, and nothing else changes", async (t) => {
  const root = tempFolder(t);
  const clean = await sample(join(root, "clean"), ["--fields", "300", "--years", "2020"]);
  const dirty = await sample(join(root, "dirty"), ["--fields", "300", "--years", "2020", "--dirty"]);
  assert.deepEqual(clean.rows, { raw: 300, clean: 300, truth: 300 });
  assert.deepEqual(dirty.rows, { raw: 309, clean: 309, truth: 310 });
  const faults = await query(`select fault from '${dirty.files.truth}' where fault is not null`);
  assert.deepEqual(
    faults.map((row) => row.fault),
    [
      "null geometry",
      "empty polygon",
      "truncated WKB",
      "not a polygon",
      "NaN coordinate",
      "infinite coordinate",
      "self-intersecting",
      "only in fields_raw",
      "only in fields_clean",
      "duplicate id",
    ],
  );
  // As blobs: DuckDB would refuse to read the broken geometries.
  const rowsOf = (path) =>
    query(
      `set enable_geoparquet_conversion = false; select field_id::varchar as id, hex(geometry) as wkb from '${path}'`,
    );
  for (const file of ["raw", "clean"]) {
    const [without, all] = [await rowsOf(clean.files[file]), await rowsOf(dirty.files[file])];
    assert.deepEqual(all.slice(0, 300), without, file);
    assert.equal(all.length, 309);
  }
  const raw = await rowsOf(dirty.files.raw);
  const byId = new Map(raw.slice(300).map(({ id, wkb }) => [Number(BigInt(id) - 99_999_000_000n), wkb]));
  assert.equal(byId.get(0), null);
  assert.equal(byId.get(1), "010300000000000000");
  assert.throws(() => gdal.Geometry.fromWKB(Buffer.from(byId.get(2), "hex")));
  assert.equal(gdal.Geometry.fromWKB(Buffer.from(byId.get(3), "hex")).name, "POINT");
  assert.equal(Buffer.from(byId.get(4), "hex").readDoubleLE(13 + 32), Number.NaN);
  assert.equal(Buffer.from(byId.get(5), "hex").readDoubleLE(13 + 32), Number.POSITIVE_INFINITY);
  assert.equal(gdal.Geometry.fromWKB(Buffer.from(byId.get(6), "hex")).isValid(), false);
  assert.equal(raw.at(-1).id, raw[0].id);
  assert.ok(readFileSync(clean.files.cdl[2020]).equals(readFileSync(dirty.files.cdl[2020])));
});

test("a second run replaces files whole, and leaves others alone", async (t) => {
  const root = tempFolder(t);
  await sample(root, ["--fields", "50", "--years", "2020"]);
  writeFileSync(join(root, "data", "note.txt"), "mine");
  const made = await sample(root, ["--fields", "60", "--years", "2021"]);
  const [{ n }] = await query(`select count(*)::int as n from '${made.files.raw}'`);
  assert.equal(n, 60);
  assert.deepEqual(readdirSync(join(root, "data")).sort(), [
    "fields_clean.parquet",
    "fields_raw.parquet",
    "note.txt",
    "truth.parquet",
  ]);
  assert.deepEqual(readdirSync(join(root, "cdl-source")).sort(), ["2020_30m_cdls.zip", "2021_30m_cdls.zip"]);
});

test("SIGTERM ends it with 143 and no scratch", async (t) => {
  const root = tempFolder(t);
  const run = await command("sample", ["--root", root, "--fields", "200000", "--years", "2020"], {
    onStart: (child) => {
      const timer = setInterval(() => {
        if (scratchOf(join(root, "data", "fields_raw.parquet")).length === 0) return;
        clearInterval(timer);
        child.kill("SIGTERM");
      }, 20);
    },
  });
  assert.equal(run.code, 143, run.stderr);
  assert.match(run.stderr, /Ended by SIGTERM/);
  assert.deepEqual(readdirSync(join(root, "data")), []);
});

test("a full disk is said to be full, in every file, and nothing half-made stays", async (t) => {
  // 2,000 fields take 270 + 280 + 16 KB, and a raster 115 KB or more, which GDAL cuts short without a word.
  const FULL = [
    // The tables are made side by side: which of them did not fit is not said.
    { size: "200k", args: [], where: /path=\S+\/data\)/, tables: true },
    { size: "400k", args: [], where: /path=\S+\/data\)/, tables: true },
    { size: "600k", args: ["--unzipped"], where: /2020_30m_cdls\.tif/ },
    { size: "640k", args: ["--unzipped", "--format", "img"], where: /2020_30m_cdls\.img/ },
    { size: "720k", args: [], where: /2020_30m_cdls\.zip/ },
  ];
  for (const { size, args, where, tables } of FULL) {
    const disk = tinyDisk(t, size);
    if (disk === undefined) return t.skip("no small file system may be mounted here");
    const run = await command("sample", ["--root", disk, "--years", "2020", ...args]);
    assert.equal(run.code, 7, `${size}: ${run.stderr}`);
    assert.match(run.stderr, where);
    const left = readdirSync(join(disk, "data")).sort();
    if (tables) {
      assert.ok(
        left.length < 3 && left.every((name) => /^(fields_raw|fields_clean|truth)\.parquet$/.test(name)),
        `${left}`,
      );
      for (const name of left) {
        const [{ n }] = await query(`select count(*)::int as n from parquet_scan('${join(disk, "data", name)}')`);
        assert.equal(n, 2000, name);
      }
      continue;
    }
    assert.deepEqual(left, ["fields_clean.parquet", "fields_raw.parquet", "truth.parquet"]);
    assert.deepEqual(readdirSync(join(disk, "cdl-source")), []);
  }
});

test("wrong options are refused by name", async (t) => {
  const root = tempFolder(t);
  const WRONG = [
    [["--fields", "0"], /Invalid --fields .*from 1 .*received=0/],
    [["--fields", "many"], /Invalid --fields .*received=many/],
    [["--fields", "900000000"], /do not fit into the country/],
    [["--years", "20"], /Not a year: "20"; use 2020/],
    [["--seed", "-1"], /seed/],
    [["--shapes", "round"], /drawn or csb.*received=round/],
    [["--format", "png"], /tif or img.*received=png/],
    [["--tiled", "--strips"], /exclude each other/],
    [["--format", "img", "--strips"], /always tiled/],
    [["--block", "100"], /multiple of 16.*received=100/],
    [["--format", "img", "--block", "96"], /power of two.*received=96/],
    [["here"], /Unexpected argument.*received=here/],
    [["--feilds", "10"], /Unknown option --feilds, did you mean fields/],
  ];
  const refuse = async ([args, message]) => {
    const run = await command("sample", ["--root", root, ...args]);
    assert.equal(run.code, 2, `${args}: ${run.stderr}`);
    assert.match(run.stderr, message);
  };
  for (let i = 0; i < WRONG.length; i += 3) await Promise.all(WRONG.slice(i, i + 3).map(refuse));
  assert.deepEqual(readdirSync(root), []);
});

test("any number of threads makes the same bytes, several parts and years at a time", async (t) => {
  const root = tempFolder(t);
  const args = [
    "--fields",
    "40000",
    "--years",
    "2016-2020",
    "--shapes",
    "csb",
    "--like",
    "us",
    "--dirty",
    "--unzipped",
  ];
  const made = await sample(join(root, "1"), [...args, "--threads", "1"]);
  await sample(join(root, "3"), [...args, "--threads", "3"]);
  assert.deepEqual(checksums(join(root, "3")), checksums(join(root, "1")));
  assert.equal(Object.keys(made.files.cdl).length, 5);
  const [{ n, groups, sure, dirty }] = await query(`select count(*)::int as n,
    (select count(distinct row_group_id)::int from parquet_metadata('${made.files.truth}')) as groups,
    (count(*) filter (sure))::int as sure, (count(*) filter (fault is not null))::int as dirty
    from '${made.files.truth}'`);
  assert.equal(n, made.rows.truth);
  assert.ok(groups > 2 && sure > 30_000 && dirty > 3, `${groups} row groups, ${sure} sure, ${dirty} dirty`);
});
