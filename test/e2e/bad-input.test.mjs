// Everything that can be wrong with a year's inputs, tools and disks, through the year's own command: one clear
// error, the right exit code, and what was valid before lies there as it was.
import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import gdal from "gdal-async";
import { decodeArchive } from "../support/archive-features.mjs";
import { query } from "../support/duck.mjs";
import { startFolderServer } from "../support/folder-server.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { credentialEnvironment } from "../support/s3.mjs";
import { leftovers, makeWorld, newRoot, outputsOf, runYear } from "../support/sample-world.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";
import { leaveFree, tinyDisk } from "../support/tiny-disk.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const YEAR = 2019;
let world;
/** A root whose year is done, and its outputs; every failing run must leave them. */
let root;
let good;
/** The year's raster. */
let raster;
const file = (name) => join(world.folder, name);

describe("bad input", { skip: noTippecanoe }, () => {
  before(async () => {
    world = await makeWorld({ fields: 300, years: [YEAR], seed: 5 });
    root = newRoot(world, "root");
    const run = await runYear(root, YEAR, world.source, ["--keep-cdl"]);
    assert.equal(run.code, 0, run.stderr);
    good = outputsOf(root, YEAR);
    raster = file("raster.tif");
    copyFileSync(join(root, `data/cdl/us_${YEAR}/${YEAR}_30m_cdls.tif`), raster);
  });
  after(() => world?.remove());

  /** Runs the year on the finished root; it ends with `code` and says all of `words` in its one line of error. */
  async function fails(code, words, args, { source = world.source, env } = {}) {
    // What the last run was given, and the root has kept, is not part of this one.
    rmSync(join(root, "fields.json"), { force: true });
    const run = await runYear(root, YEAR, source, ["--keep-cdl", "--json", ...args], env && { env });
    assert.equal(run.code, code, run.stderr);
    assert.equal(typeof JSON.parse(run.stdout).error, "string", "stdout is one JSON object");
    const errors = run.stderr.split("\n").filter((line) => /(^|\] )ERROR /.test(line));
    assert.equal(errors.length, 1, run.stderr);
    for (const word of ["2019", ...words])
      assert.ok(errors[0].includes(word), `${JSON.stringify(word)} is not in: ${errors[0]}`);
    assert.doesNotMatch(run.stderr, /^ {4}at /m, "no stack");
    assert.deepEqual(outputsOf(root, YEAR), good);
    assert.deepEqual(
      leftovers(root, YEAR).filter((path) => !/\.(us_2019|us_2019_published)\.json\.\w+\.scratch/.test(path)),
      [],
    );
  }

  describe("download", () => {
    /** A folder whose zip of the year is `bytes`. */
    const withZip = (name, bytes) => {
      mkdirSync(file(name));
      writeFileSync(file(`${name}/${YEAR}_30m_cdls.zip`), bytes);
      return { source: file(name) };
    };
    const zip = () => readFileSync(world.files.cdl[YEAR]);

    test("no zip of this year", async () => {
      mkdirSync(file("empty"));
      await fails(4, ["No raster of this year", file("empty"), "30m_cdls"], [], { source: file("empty") });
      await fails(2, ["--cdl-source", "nowhere"], [], { source: file("nowhere") });
    });

    test("a zip that is cut short, damaged, no zip, without a raster, or reaches out of its folder", async () => {
      const cut = zip().subarray(0, zip().length - 200);
      await fails(4, [`cut/${YEAR}_30m_cdls.zip`], [], withZip("cut", cut));
      const flipped = Buffer.from(zip());
      flipped[Math.floor(flipped.length / 2)] ^= 0xff;
      await fails(4, [`flipped/${YEAR}_30m_cdls.zip`], [], withZip("flipped", flipped));
      await fails(4, [`text/${YEAR}_30m_cdls.zip`], [], withZip("text", "<html>Not found</html>"));
      await fails(4, [`bare/${YEAR}_30m_cdls.zip`], [], withZip("bare", ""));
      const readme = handmadeZip([{ name: "readme.txt", data: "no raster" }]);
      await fails(4, [`readme/${YEAR}_30m_cdls.zip`, "readme.txt"], [], withZip("readme", readme));
      const climbing = handmadeZip([{ name: "../../escaped.tif", data: "II*\0" }]);
      await fails(4, [`climbing/${YEAR}_30m_cdls.zip`, "escaped.tif"], [], withZip("climbing", climbing));
      assert.ok(!existsSync(file("escaped.tif")));
    });

    test("a server that has no such year", async (t) => {
      const server = await startFolderServer(file("empty"));
      t.after(server.close);
      await fails(9, ["404", server.template.replace("{year}", YEAR)], ["--retries", "1"], { source: server.template });
      await fails(9, ["127.0.0.1:1/"], ["--retries", "0"], { source: "http://127.0.0.1:1/{year}_30m_cdls.zip" });
    });
  });

  describe("zonal", () => {
    /** A folder with a raster of the year's name, made by `change` from a dataset like the sample's. */
    function withRaster(name, { crs = 5070, type = gdal.GDT_Byte, shift = 0, cut = 0, options = [] } = {}) {
      mkdirSync(file(name));
      const path = file(`${name}/${YEAR}_30m_cdls.tif`);
      const from = gdal.open(raster);
      const { x: width, y: height } = from.rasterSize;
      const to = gdal.open(path, "w", "GTiff", width, height, 1, type, options);
      if (crs !== null) to.srs = gdal.SpatialReference.fromEPSG(crs);
      const [x, ...rest] = from.geoTransform;
      to.geoTransform = [x + shift, ...rest];
      if (type === gdal.GDT_Byte) {
        to.bands.get(1).pixels.write(0, 0, width, height, from.bands.get(1).pixels.read(0, 0, width, height));
      }
      to.close();
      from.close();
      if (cut > 0) truncateSync(path, cut);
      return { source: file(name) };
    }

    test("a raster without CRS, of the wrong type, elsewhere, or cut off", async () => {
      const tif = (name) => `${name}/${YEAR}_30m_cdls.tif`;
      await fails(4, ["no CRS", tif("nocrs")], [], withRaster("nocrs", { crs: null }));
      await fails(4, ["band type", "CFloat32", tif("complex")], [], withRaster("complex", { type: gdal.GDT_CFloat32 }));
      await fails(4, ["None of the fields overlaps the raster", tif("far")], [], withRaster("far", { shift: 1e6 }));
      await fails(4, [tif("cut-raster")], [], withRaster("cut-raster", { cut: 20_000, options: ["BLOCKYSIZE=1"] }));
      await fails(4, [tif("cut-head")], [], withRaster("cut-head", { cut: 100 }));
    });

    test("fields that are missing, cut short, without id, geometry, area or CRS", async () => {
      const raw = (name) => ["--fields-raw", file(name)];
      copyFileSync(world.files.raw, file("cut.parquet"));
      truncateSync(file("cut.parquet"), 5000);
      const copy = (name, select, from = world.files.raw) =>
        query(
          `set enable_geoparquet_conversion = false; copy (select ${select} from '${from}') to '${file(name)}' (format parquet)`,
        );
      await copy("noid.parquet", "geometry");
      await copy("nogeometry.parquet", "field_id");
      await copy("plain.parquet", "*");
      await copy("noarea.parquet", "field_id", world.files.clean);
      await copy("textid.parquet", "field_id::varchar as field_id, area_ha", world.files.clean);
      await copy("textarea.parquet", "field_id, 'large' as area_ha", world.files.clean);
      await fails(4, ["File not found", "none.parquet"], raw("none.parquet"));
      await fails(4, ["PAR1", "cut.parquet"], raw("cut.parquet"));
      await fails(4, ["id is missing", "noid.parquet", "geometry"], raw("noid.parquet"));
      await fails(4, ["geometry is missing", "nogeometry.parquet", "field_id"], raw("nogeometry.parquet"));
      await fails(4, ["--fields-crs", "plain.parquet"], raw("plain.parquet"));
      await fails(4, ["Unknown CRS", "EPSG:12345"], [...raw("plain.parquet"), "--fields-crs", "EPSG:12345"]);
      const clean = (name) => ["--fields-clean", file(name)];
      await fails(4, ["File of field areas not found", "none.parquet"], clean("none.parquet"));
      await fails(4, ["PAR1", "cut.parquet"], clean("cut.parquet"));
      await fails(4, ["area is missing", "noarea.parquet", "area_ha"], clean("noarea.parquet"));
      await fails(4, ["Id type differs", "textid.parquet", "Int64", "Utf8"], clean("textid.parquet"));
      await fails(4, ["numbers", "textarea.parquet", "area_ha", "Utf8"], clean("textarea.parquet"));
    });

    test("pages of the fields that are damaged", async () => {
      const bytes = readFileSync(world.files.raw);
      bytes.fill(0xff, 2000, Math.floor(bytes.length / 2));
      writeFileSync(file("pages.parquet"), bytes);
      await fails(4, ["pages.parquet", "rows="], ["--fields-raw", file("pages.parquet")]);
    });

    test("dirty rows above --max-dirty fail with the reasons and the first ids; below it they are listed", async () => {
      await query(`set enable_geoparquet_conversion = false;
      copy (select field_id, case when field_id % 50 = 1 then null when field_id % 50 = 2 then geometry[1:30] else geometry end as geometry
        from '${world.files.raw}') to '${file("dirty.parquet")}' (format parquet)`);
      const args = ["--fields-raw", file("dirty.parquet"), "--fields-crs", "EPSG:4326"];
      const [{ n }] = await query(`select count(*)::int as n from '${world.files.raw}' where field_id % 50 in (1, 2)`);
      await fails(
        5,
        ["Too many dirty rows", `dirty=${n}`, "1 %", "null geometry", "truncated WKB", "firstIds=2"],
        args,
      );
      const other = newRoot(world, "dirty");
      const run = await runYear(other, YEAR, world.source, [...args, "--max-dirty", "0.2"]);
      assert.equal(run.code, 0, run.stderr);
      const list = readFileSync(join(other, `outputs/zonal/zonal_us_${YEAR}.dirty.csv`), "utf8")
        .trim()
        .split("\n");
      assert.equal(list.length, n + 1);
      const { fields } = await decodeArchive(join(other, `outputs/tiles/fields_us_${YEAR}_full.pmtiles`), 14);
      for (const line of list.slice(1)) assert.ok(!fields.has(Number(line.split(",")[0])), line);
    });
  });

  describe("ids", () => {
    const cases = {
      INTEGER: ["(n - 5)::integer", (n) => n - 5],
      BIGINT: ["(9007199254740990 + n)::bigint", (n) => 9007199254740990n + BigInt(n)],
      VARCHAR: [`'field "' || n || '" é\\'`, (n) => `field "${n}" é\\`],
    };
    for (const [type, [expression, idOf]] of Object.entries(cases)) {
      test(`${type} ids go into the table and the tiles as they are`, async () => {
        const other = newRoot(world, type);
        const raw = file(`${type}.parquet`);
        const clean = file(`${type}-clean.parquet`);
        const numbered = (path) =>
          `(select file_row_number as n, * from read_parquet('${path}', file_row_number = true))`;
        await query(`set enable_geoparquet_conversion = false;
        copy (select ${expression} as field_id, geometry from ${numbered(world.files.raw)} order by n) to '${raw}' (format parquet);
        copy (select ${expression} as field_id, area_ha from ${numbered(world.files.clean)} order by n desc) to '${clean}' (format parquet)`);
        const args = ["--fields-raw", raw, "--fields-clean", clean, "--fields-crs", "EPSG:4326"];
        const run = await runYear(other, YEAR, world.source, args);
        assert.equal(run.code, 0, run.stderr);
        const table = join(other, `outputs/zonal/zonal_us_${YEAR}.parquet`);
        const rows = await query(`select field_id as id, typeof(field_id) as type, crop_code as crop from '${table}'`);
        const areas = await query(`select area_ha as area from '${world.files.clean}'`);
        const { fields, centroids, text } = await decodeArchive(
          join(other, `outputs/tiles/fields_us_${YEAR}_full.pmtiles`),
          14,
        );
        assert.deepEqual([rows.length, fields.size, centroids.size], [300, 300, 300]);
        rows.forEach((row, n) => {
          assert.deepEqual([row.id, row.type], [idOf(n), type]);
          for (const layer of [fields, centroids]) {
            const { properties } = layer.get(n);
            assert.equal(properties.crop_code ?? null, row.crop);
            assert.ok(Math.abs(properties.area_ha - areas[n].area) < 0.00501, `row ${n}: ${properties.area_ha}`);
            if (type === "BIGINT")
              assert.ok(text.includes(`"field_id": ${idOf(n)},`), `${idOf(n)} is not in the tiles`);
            else assert.equal(properties.field_id, idOf(n));
          }
        });
      });
    }
  });

  /** A stand-in that says the real one's version, and then does as told; the real one's arguments are "$@". */
  function standIn(name, text) {
    const path = file(name);
    writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && exec tippecanoe --version\n${text}\n`);
    chmodSync(path, 0o755);
    return ["--tiles=full", "--force", "tiles", "--tippecanoe", path];
  }

  describe("tippecanoe", () => {
    test("not found, not executable, too old", async () => {
      await fails(
        8,
        ["tippecanoe not found", "/nowhere/tippecanoe"],
        ["--tiles=full", "--force", "tiles", "--tippecanoe", "/nowhere/tippecanoe"],
      );
      writeFileSync(file("no-program"), "text");
      await fails(
        8,
        ["tippecanoe not found", "no-program"],
        ["--tiles=full", "--force", "tiles", "--tippecanoe", file("no-program")],
      );
      writeFileSync(file("old"), "#!/bin/sh\necho tippecanoe v1.36.0 >&2\n");
      chmodSync(file("old"), 0o755);
      await fails(8, ["too old", "v1.36.0"], ["--tiles=full", "--force", "tiles", "--tippecanoe", file("old")]);
    });

    test("fails with its own exit codes, after reading its input or without", async () => {
      await fails(
        8,
        ["incomplete", "exitCode=100", "oh"],
        standIn("exit-100", "cat > /dev/null; echo oh >&2; exit 100"),
      );
      await fails(8, ["power of two", "exitCode=106"], standIn("exit-106", "cat > /dev/null; exit 106"));
      await fails(8, ["exitCode=7"], standIn("exit-7", "exit 7"));
    });

    test("calls it success: nothing written, nothing read, half of it read", async () => {
      await fails(8, [], standIn("nothing-written", "cat > /dev/null"));
      await fails(8, [], standIn("nothing-read", "exit 0"));
      await fails(
        8,
        ["archive"],
        standIn(
          "no-archive",
          'for a; do case $a in --output=*) echo text > "$(expr "$a" : "--output=\\(.*\\)")";; esac; done; cat > /dev/null',
        ),
      );
    });

    test("dies by a signal", async () => {
      await fails(8, ["killed by SIGKILL"], standIn("killed", "head -c 1000 > /dev/null; kill -9 $$"));
      await fails(8, ["killed by SIGSEGV"], standIn("segfault", "cat > /dev/null; kill -SEGV $$"));
    });

    test("loses features, changes crops, adds features: the count of the tiles tells", async () => {
      await fails(8, ["lost", "centroids", "expected=300"], standIn("loses", `grep -v '"id":7,' | tippecanoe "$@"`));
      await fails(
        8,
        ["attribute differs", "crop_code"],
        standIn("swaps", `sed -E 's/"crop_code":1([,}])/"crop_code":5\\1/' | tippecanoe "$@"`),
      );
      await fails(8, ["row number"], standIn("adds", `sed 's/"id":7,/"id":70000,/' | tippecanoe "$@"`));
    });
  });

  describe("publish", () => {
    test("a target that is a file, a manifest that is none of ours", async () => {
      writeFileSync(file("a-file"), "in the way");
      await fails(10, ["a-file"], ["--target", `file:${file("a-file")}`]);
      mkdirSync(file("foreign"));
      writeFileSync(file("foreign/us_full_years.json"), '{"something": "else"}');
      await fails(10, ["not written by this program", "us_full_years.json"], ["--target", `file:${file("foreign")}`]);
      assert.equal(readFileSync(file("foreign/us_full_years.json"), "utf8"), '{"something": "else"}');
    });

    test("S3 that is down", async () => {
      const args = ["--target", "s3://bucket/tiles", "--endpoint", "http://127.0.0.1:1", "--retries", "1"];
      const env = credentialEnvironment({ accessKeyId: "key", secretAccessKey: "secret" });
      await fails(10, ["Cannot reach the S3 server", "s3://bucket/tiles", "127.0.0.1:1"], args, { env });
      await fails(10, ["No AWS credentials"], args, { env: credentialEnvironment(undefined) });
    });

    test("S3 that refuses the credentials, or has no such bucket", { skip: swiftMissing() }, async (t) => {
      const swift = await startSwift();
      t.after(swift.stop);
      const args = ["--target", "s3://nosuch/tiles", "--endpoint", swift.endpoint, "--retries", "1"];
      const wrong = { ...swift.credentials, secretAccessKey: "wrong" };
      await fails(10, ["refuses the credentials", "s3://nosuch/tiles"], args, { env: credentialEnvironment(wrong) });
      await fails(10, ["no such bucket", "s3://nosuch/tiles"], args, { env: credentialEnvironment(swift.credentials) });
    });
  });

  describe("a full disk", () => {
    const KIB = 1024;
    const MIB = 2 ** 20;

    test("every stage in turn runs out of space, names it, and goes on once there is some", async (t) => {
      const disk = tinyDisk(t, "64m");
      if (disk === undefined) return t.skip("a small disk cannot be mounted here");
      // A zip that is fetched and kept, so that the disk holds it beside the raster.
      const server = await startFolderServer(world.source);
      t.after(server.close);
      const at = join(disk, "root");
      mkdirSync(at);
      const inputs = ["--fields-raw", world.files.raw, "--fields-clean", world.files.clean, "--keep-cdl"];
      const year = (args) => runYear(at, YEAR, server.template, [...inputs, ...args]);
      const first = await year([]);
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual(outputsOf(at, YEAR), good);
      const fill = `dd if=/dev/zero of=${disk}/filler bs=4k 2> /dev/null`;

      /** With so many bytes free the stage fails for want of space; then, with enough, it does not. */
      async function runsOut(stage, freeBytes, args) {
        leaveFree(disk, freeBytes);
        const run = await year(args);
        const what = `${stage} ${args.join(" ")}: ${run.stderr}`;
        assert.equal(run.code, 7, what);
        const errors = run.stderr.split("\n").filter((line) => /(^|\] )ERROR /.test(line));
        assert.equal(errors.length, 1, what);
        assert.match(errors[0], /space/i, what);
        assert.match(errors[0], new RegExp(`year=${YEAR}, step=${stage}\\b`), what);
        assert.ok(errors[0].includes(`=${disk}`) || errors[0].includes("/dev/shm"), `no path: ${what}`);
        assert.deepEqual(outputsOf(at, YEAR), good, what);
        rmSync(join(disk, "filler"), { force: true });
        leaveFree(disk, 32 * MIB);
        // Without --force the table stands as it was, and nobody asks for the index.
        const rerun = await year(stage === "zones" ? args : stage === "tiles" ? ["--tiles", "rewrite"] : []);
        assert.equal(rerun.code, 0, rerun.stderr);
        assert.deepEqual(outputsOf(at, YEAR), good, what);
        assert.deepEqual(leftovers(at, YEAR), [], what);
      }

      const zipBytes = statSync(world.files.cdl[YEAR]).size;
      await runsOut("download", 8 * KIB, ["--force", "download"]);
      await runsOut("download", zipBytes + 16 * KIB, ["--force", "download"]);
      rmSync(join(at, "data/zones"), { recursive: true });
      await runsOut("zones", 12 * KIB, ["--force", "zonal"]);
      await runsOut("zonal", 8 * KIB, ["--force", "zonal"]);
      await runsOut("tiles", 64 * KIB, ["--force", "tiles"]);
      await runsOut("tiles", 20 * MIB, standIn("fills-before", `${fill}; exec tippecanoe "$@"`));
      await runsOut("tiles", 20 * MIB, standIn("fills-after", `tippecanoe "$@" && ${fill}; exit 0`));
      await runsOut("publish", 4 * KIB, ["--force", "publish"]);
    });

    test("nothing at all is free: the lock cannot be made", async (t) => {
      const disk = tinyDisk(t, "4m");
      if (disk === undefined) return t.skip("a small disk cannot be mounted here");
      writeFileSync(join(disk, "filler"), Buffer.alloc(MIB));
      leaveFree(disk, 0);
      const run = await runYear(join(disk, "root"), YEAR, world.source, []);
      assert.equal(run.code, 7, run.stderr);
      assert.match(run.stderr, /^ERROR No space left.*us_2019\.lock/m);
    });

    test("tippecanoe's scratch is full, at once or while it works", async (t) => {
      const disk = tinyDisk(t, "64m");
      if (disk === undefined) return t.skip("a small disk cannot be mounted here");
      leaveFree(disk, 64 * KIB);
      await fails(7, ["--scratch", disk], ["--tiles=full", "--force", "tiles", "--scratch", disk]);
      leaveFree(disk, 20 * MIB);
      const fill = `dd if=/dev/zero of=${disk}/filler bs=4k 2> /dev/null`;
      await fails(
        7,
        ["space", disk],
        [...standIn("fills-scratch", `${fill}; exec tippecanoe "$@"`), "--scratch", disk],
      );
    });

    test("the target's disk is full: the archive, or the manifest", async (t) => {
      const disk = tinyDisk(t, "64m");
      if (disk === undefined) return t.skip("a small disk cannot be mounted here");
      const target = ["--target", `file:${disk}`];
      leaveFree(disk, 64 * KIB);
      await fails(7, [disk], target);
      const { size } = statSync(join(root, `outputs/tiles/fields_us_${YEAR}_full.pmtiles`));
      leaveFree(disk, size + 4 * KIB);
      await fails(7, [disk], target);
      leaveFree(disk, 8 * MIB);
      const run = await runYear(root, YEAR, world.source, ["--keep-cdl", ...target]);
      assert.equal(run.code, 0, run.stderr);
      assert.deepEqual(JSON.parse(readFileSync(join(disk, "us_full_years.json"), "utf8")).years, [YEAR]);
    });
  });
});
