// A year whose raster and fields lie on a server: by ranges where that is less, from folders that list their files.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { writeFields } from "../support/duck.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { Random } from "../support/random.mjs";
import { startRangeServer } from "../support/range-server.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

const SIDE = 2048;

/** COGs of two years in `served`, and fields in a corner of them. */
async function makeWorld(t) {
  const folder = tempFolder(t);
  const served = join(folder, "served");
  mkdirSync(served);
  const random = new Random(8);
  const plain = gdal.open(join(folder, "plain.tif"), "w", "GTiff", SIDE, SIDE, 1, "Byte");
  plain.srs = gdal.SpatialReference.fromEPSG(5070);
  plain.geoTransform = [0, 30, 0, 1_800_000, 0, -30];
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, () => random.integer(1, 250));
  plain.bands.get(1).pixels.write(0, 0, SIDE, SIDE, pixels);
  const options = ["COMPRESS=LZW", "BLOCKSIZE=256", "OVERVIEWS=NONE"];
  gdal.drivers.get("COG").createCopy(join(served, "cdl_2020.tif"), plain, options).close();
  plain.close();
  copyFileSync(join(served, "cdl_2020.tif"), join(served, "cdl_2021.tif"));
  const rows = Array.from({ length: 20 }, (_, id) => {
    const [x, y] = [300 * (id % 5) + 7, 1_800_000 - 300 * id - 11];
    const ring = [
      [x, y],
      [x + 250, y],
      [x + 250, y - 250],
      [x, y - 250],
      [x, y],
    ];
    return { id, wkb: writeWkb([ring]) };
  });
  await writeFields(join(served, "fields.parquet"), rows);
  return { folder, served };
}

async function year(root, args, env) {
  const fixed = ["2020", "--root", root, "--fields-crs", "EPSG:5070", "--until", "zonal", "--retries", "1"];
  const { code, stderr } = await command("year", [...fixed, ...args], { env });
  const table = join(root, "outputs/zonal/zonal_us_2020.parquet");
  return { code, stderr, table: code === 0 ? readFileSync(table) : undefined };
}

test("year.js: a COG by ranges, fields from a URL; the same table; nothing left, nothing done twice", async (t) => {
  const { folder, served } = await makeWorld(t);
  const server = await startRangeServer(t, served);
  const fields = join(served, "fields.parquet");
  const local = await year(join(folder, "local"), [
    "--cdl-source",
    join(served, "cdl_{year}.tif"),
    "--fields-raw",
    fields,
  ]);
  assert.equal(local.code, 0, local.stderr);
  const root = join(folder, "remote");
  const args = ["--cdl-source", `${server.origin}/cdl_{year}.tif`, "--fields-raw", `${server.origin}/fields.parquet`];
  const remote = await year(root, args);
  assert.equal(remote.code, 0, remote.stderr);
  assert.match(remote.stderr, /raster is read by range/);
  assert.deepEqual(remote.table, local.table);
  assert.ok(server.sent < statSync(join(served, "cdl_2020.tif")).size / 2, `${server.sent} bytes`);
  assert.deepEqual(
    readdirSync(join(root, "data/cdl")).filter((name) => !name.startsWith(".")),
    [],
  );
  const asked = server.requests.length;
  const again = await year(root, []);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(server.requests.length, asked);
});

test("year.js --keep-cdl and download.js keep the whole raster", async (t) => {
  const { folder, served } = await makeWorld(t);
  const server = await startRangeServer(t, served);
  const source = ["--cdl-source", `${server.origin}/cdl_{year}.tif`];
  const kept = await year(join(folder, "kept"), [
    ...source,
    "--keep-cdl",
    "--fields-raw",
    join(served, "fields.parquet"),
  ]);
  assert.equal(kept.code, 0, kept.stderr);
  const one = await command("download", ["2020", "--root", join(folder, "one"), ...source]);
  assert.equal(one.code, 0, one.stderr);
  for (const root of ["kept", "one"])
    assert.deepEqual(
      readFileSync(join(folder, root, "data/cdl/us_2020/2020_30m_cdls.tif")),
      readFileSync(join(served, "cdl_2020.tif")),
    );
});

test("year.js: a raster replaced between its header and its blocks fails the year; the next run takes the new one", async (t) => {
  const { folder, served } = await makeWorld(t);
  let gets = 0;
  const server = await startRangeServer(t, served, {
    before: (name) => {
      if (name === "cdl_2020.tif" && ++gets === 3) copyFileSync(join(served, "cdl_2021.tif"), join(served, name));
    },
  });
  const root = join(folder, "root");
  const args = ["--cdl-source", `${server.origin}/cdl_{year}.tif`, "--fields-raw", join(served, "fields.parquet")];
  const first = await year(root, args);
  assert.equal(first.code, 4, first.stderr);
  assert.match(first.stderr, /File was replaced on the server while it was read/);
  assert.ok(!existsSync(join(root, "outputs/zonal/zonal_us_2020.parquet")));
  const second = await year(root, []);
  assert.equal(second.code, 0, second.stderr);
});

/** A folder's page as Apache and nginx make it, and the files. */
async function startListing(t, names) {
  const server = createServer((request, response) => {
    if (request.url !== "/cdl/") return response.writeHead(404).end();
    const links = ["../", "?C=N;O=D", ...names].map((name) => `<a href="${name}">x</a>`);
    response.writeHead(200, { "content-type": "text/html" }).end(`<html>${links.join("\n")}</html>`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/cdl/`;
}

test("a folder on a web server: the year's one file is taken, several are listed", async (t) => {
  const root = tempFolder(t);
  const download = async (names) => {
    const folder = await startListing(t, names);
    return command("download", ["2024", "--root", root, "--cdl-source", folder, "--retries", "0"]);
  };
  const taken = await download(["2023_30m_cdls.zip", "2024_10m_cdls.zip", "notes.html"]);
  assert.equal(taken.code, 9);
  assert.match(taken.stderr, /raster of 2024: 2024_10m_cdls\.zip/);
  const several = await download(["2024_10m_cdls.zip", "2024_30m_cdls.zip"]);
  assert.equal(several.code, 4);
  assert.match(several.stderr, /Several rasters of this year.*2024_10m_cdls\.zip 2024_30m_cdls\.zip/);
  const none = await download(["2023_30m_cdls.zip"]);
  assert.equal(none.code, 4);
  assert.match(none.stderr, /No raster of this year.*2023_30m_cdls\.zip/);
  const silent = await download([]);
  assert.match(silent.stderr, /2024_30m_cdls\.zip.*HTTP 404/);
});

test("s3://: a bucket's folder, its zip or COG", { skip: motoMissing() }, async (t) => {
  const { folder, served } = await makeWorld(t);
  const moto = await startMoto();
  t.after(() => moto.stop());
  const client = clientOf(moto);
  await makeBucket(client, "cdl");
  const put = (Key, Body) => client.send(new PutObjectCommand({ Bucket: "cdl", Key, Body }));
  await put("us/clip 2020.tif", readFileSync(join(served, "cdl_2020.tif")));
  await put("us/2021/other_2020.tif", "x");
  await put("fields.parquet", readFileSync(join(served, "fields.parquet")));
  const env = credentialEnvironment(moto.credentials);
  const args = ["--cdl-source", "s3://cdl/us/", "--fields-raw", "s3://cdl/fields.parquet", "--endpoint", moto.endpoint];
  const root = join(folder, "root");
  const remote = await year(root, args, env);
  assert.equal(remote.code, 0, remote.stderr);
  assert.match(remote.stderr, /raster of 2020: clip 2020\.tif/);
  assert.match(remote.stderr, /raster is read by range/);
  await put("us/2020_30m_cdls.zip", "not a zip");
  await put("us/2020_10m_cdls.zip", "not a zip");
  const several = await year(root, ["--force", "download"], env);
  assert.equal(several.code, 4, several.stderr);
  assert.match(several.stderr, /Several rasters of this year.*2020_10m_cdls\.zip 2020_30m_cdls\.zip/);
});
