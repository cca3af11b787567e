// Rasters at a URL: the same answers as from a file, by ranges of the blocks that are needed.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { writeFields } from "../support/duck.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { freePorts } from "../support/ports.mjs";
import { Random } from "../support/random.mjs";
import { startRangeServer } from "../support/range-server.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeWkb } from "../support/wkb.mjs";

const SIDE = 4096;

/** A cloud-optimized raster of noise, and fields in one corner of it. */
async function makeWorld(t) {
  const folder = tempFolder(t);
  const random = new Random(3);
  const plain = gdal.open(join(folder, "plain.tif"), "w", "GTiff", SIDE, SIDE, 1, "Byte", ["TILED=YES"]);
  plain.srs = gdal.SpatialReference.fromEPSG(5070);
  plain.geoTransform = [0, 30, 0, 0, 0, -30];
  plain.bands.get(1).pixels.write(
    0,
    0,
    SIDE,
    SIDE,
    Uint8Array.from({ length: SIDE * SIDE }, () => random.integer(0, 250)),
  );
  gdal.drivers.get("COG").createCopy(join(folder, "cog.tif"), plain, ["COMPRESS=LZW", "OVERVIEWS=NONE"]).close();
  plain.close();
  const square = (x, y) => [
    [
      [x, y],
      [x + 250, y],
      [x + 250, y - 250],
      [x, y - 250],
      [x, y],
    ],
  ];
  const rows = Array.from({ length: 30 }, (_, id) => ({
    id,
    wkb: writeWkb(square(300 * (id % 6) + 7, -300 * id - 11)),
  }));
  await writeFields(join(folder, "fields.parquet"), rows);
  return folder;
}

async function zonal(folder, raster, { args = [], fields = join(folder, "fields.parquet"), env } = {}) {
  const out = join(folder, "out.parquet");
  const fixed = ["--fields", fields, "--fields-crs", "EPSG:5070", "--raster", raster, "--out", out, "--force"];
  const { code, stderr } = await command("zonal", [...fixed, "--retries", "1", ...args], { env });
  const left = readdirSync(folder).filter((name) => name.includes("out.parquet") && name !== "out.parquet");
  assert.deepEqual(left, []);
  return { code, stderr, bytes: code === 0 ? readFileSync(out) : undefined };
}

test("a COG is read by ranges: the same table, and a fraction of the file", async (t) => {
  const folder = await makeWorld(t);
  const server = await startRangeServer(t, folder);
  const local = await zonal(folder, join(folder, "cog.tif"));
  assert.equal(local.code, 0, local.stderr);
  const remote = await zonal(folder, `${server.origin}/cog.tif`);
  assert.equal(remote.code, 0, remote.stderr);
  assert.match(remote.stderr, /raster is read by range: [\d.]+ of [\d.]+ MiB/);
  assert.deepEqual(remote.bytes, local.bytes);
  const { size } = statSync(join(folder, "cog.tif"));
  assert.ok(server.sent < size / 3, `${server.sent} of ${size} bytes`);
});

test("the raster is downloaded where ranges are of no use, and the reason is reported", async (t) => {
  const folder = await makeWorld(t);
  const cog = join(folder, "cog.tif");
  const source = gdal.open(cog);
  const make = (driver, name, options) =>
    gdal.drivers.get(driver).createCopy(join(folder, name), source, options).close();
  make("HFA", "image.img", ["COMPRESSED=YES"]);
  make("GTiff", "masked.tif", ["TILED=YES", "COMPRESS=LZW"]);
  source.close();
  gdal.drivers
    .get("GTiff")
    .create(join(folder, "masked.tif.msk"), SIDE, SIDE, 1, "Byte", ["TILED=YES", "COMPRESS=DEFLATE"])
    .close();
  const cases = [
    ["cog.tif", { ranges: false }, /the server does not answer ranges/],
    ["cog.tif", { etag: false }, /the server does not name its version/],
    ["image.img", {}, /it is no GeoTIFF/],
    ["masked.tif", {}, /it has a mask/],
  ];
  for (const [name, options, reason] of cases) {
    const server = await startRangeServer(t, folder, options);
    const local = await zonal(folder, join(folder, name));
    const remote = await zonal(folder, `${server.origin}/${name}`);
    assert.equal(remote.code, 0, remote.stderr);
    assert.match(remote.stderr, /raster is downloaded/);
    assert.match(remote.stderr, reason);
    assert.deepEqual(remote.bytes, local.bytes, name);
  }
});

test("fields over most of the raster: half of it or more is downloaded in one go", async (t) => {
  const folder = await makeWorld(t);
  const rows = [
    {
      id: 1,
      wkb: writeWkb([
        [
          [15, -15],
          [30 * SIDE, -15],
          [30 * SIDE, -30 * SIDE],
          [15, -30 * SIDE],
          [15, -15],
        ],
      ]),
    },
  ];
  const fields = join(folder, "all.parquet");
  await writeFields(fields, rows);
  const server = await startRangeServer(t, folder);
  const local = await zonal(folder, join(folder, "cog.tif"), { fields });
  const remote = await zonal(folder, `${server.origin}/cog.tif`, { fields });
  assert.match(remote.stderr, /raster is downloaded, as half of it or more is needed/);
  assert.deepEqual(remote.bytes, local.bytes);
});

test("layouts: strips, BigTIFF, overviews and a header at the end of the file", async (t) => {
  const folder = await makeWorld(t);
  const source = gdal.open(join(folder, "cog.tif"));
  const kinds = {
    strips: ["GTiff", ["COMPRESS=LZW"]],
    big: ["GTiff", ["BIGTIFF=YES", "TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=2"]],
    overviews: ["COG", ["COMPRESS=ZSTD", "BLOCKSIZE=256", "OVERVIEWS=AUTO"]],
    endian: ["GTiff", ["ENDIANNESS=BIG", "TILED=YES", "COMPRESS=LZW"]],
  };
  for (const [name, [driver, options]] of Object.entries(kinds))
    gdal.drivers
      .get(driver)
      .createCopy(join(folder, `${name}.tif`), source, options)
      .close();
  source.close();
  // Written anew, the directory of a TIFF goes to its end.
  copyFileSync(join(folder, "big.tif"), join(folder, "end.tif"));
  const edited = gdal.open(join(folder, "end.tif"), "r+");
  edited.setMetadata({ AREA_OR_POINT: "Area", NOTE: "x".repeat(5000) });
  edited.close();
  const server = await startRangeServer(t, folder);
  for (const name of [...Object.keys(kinds), "end"]) {
    const path = join(folder, `${name}.tif`);
    const before = server.sent;
    const local = await zonal(folder, path);
    const remote = await zonal(folder, `${server.origin}/${name}.tif`);
    assert.equal(remote.code, 0, remote.stderr);
    assert.deepEqual(remote.bytes, local.bytes, name);
    assert.match(remote.stderr, /read by range/, name);
    assert.ok(server.sent - before < statSync(path).size / 2, name);
  }
});

test("what is not there, a URL with a password, and a host that does not answer", async (t) => {
  const folder = await makeWorld(t);
  const server = await startRangeServer(t, folder);
  const gone = await zonal(folder, `${server.origin}/other.tif?X-Amz-Signature=deadbeef`);
  assert.equal(gone.code, 9, gone.stderr);
  assert.match(gone.stderr, /Download refused by the server \(url=http:.*other.tif.*HTTP 404 Not Found/);
  assert.doesNotMatch(gone.stderr, /deadbeef/);
  const secret = await zonal(folder, "http://me:secret@127.0.0.1/cog.tif");
  assert.equal(secret.code, 2, secret.stderr);
  assert.doesNotMatch(secret.stderr, /secret/);
  const [port] = await freePorts(1);
  const dead = await zonal(folder, `http://127.0.0.1:${port}/cog.tif`, { args: ["--retries", "0"] });
  assert.equal(dead.code, 9, dead.stderr);
  assert.match(dead.stderr, /Download failed after 1 attempts .*ECONNREFUSED/);
});

test("a raster that is replaced while it is read is noticed", async (t) => {
  const folder = await makeWorld(t);
  let gets = 0;
  const server = await startRangeServer(t, folder, {
    before: (name) => {
      if (name !== "cog.tif" || ++gets !== 2) return;
      copyFileSync(join(folder, "cog.tif"), join(folder, "new.tif"));
      renameSync(join(folder, "new.tif"), join(folder, "cog.tif"));
    },
  });
  const remote = await zonal(folder, `${server.origin}/cog.tif`);
  assert.equal(remote.code, 4, remote.stderr);
  assert.match(remote.stderr, /File was replaced on the server while it was read.*cog.tif/);
  assert.ok(!existsSync(join(folder, "out.parquet")));
});

test("several years at one server", async (t) => {
  const folder = await makeWorld(t);
  for (const year of [2019, 2020]) copyFileSync(join(folder, "cog.tif"), join(folder, `cdl_${year}.tif`));
  const server = await startRangeServer(t, folder);
  const args = ["--fields", join(folder, "fields.parquet"), "--fields-crs", "EPSG:5070", "--years", "2019-2020"];
  const files = ["--raster", `${server.origin}/cdl_{year}.tif`, "--out", join(folder, "table_{year}.parquet")];
  const { code, stderr } = await command("zonal", [...args, ...files]);
  assert.equal(code, 0, stderr);
  const tables = [2019, 2020].map((year) => readFileSync(join(folder, `table_${year}.parquet`)));
  assert.deepEqual(tables[0], tables[1]);
});

test("prepare.js reads the header alone", async (t) => {
  const folder = await makeWorld(t);
  const server = await startRangeServer(t, folder);
  const args = (raster, out) => [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    raster,
    "--out",
    out,
  ];
  for (const [raster, out] of [
    [join(folder, "cog.tif"), "local.zones"],
    [`${server.origin}/cog.tif`, "remote.zones"],
  ]) {
    const { code, stderr } = await command("prepare", args(raster, join(folder, out)));
    assert.equal(code, 0, stderr);
  }
  assert.deepEqual(readFileSync(join(folder, "remote.zones")), readFileSync(join(folder, "local.zones")));
  assert.ok(server.sent <= 2 ** 17, `${server.sent} bytes`);
});

test("fields at a URL", async (t) => {
  const folder = await makeWorld(t);
  const server = await startRangeServer(t, folder);
  const local = await zonal(folder, join(folder, "cog.tif"));
  const remote = await zonal(folder, join(folder, "cog.tif"), { fields: `${server.origin}/fields.parquet?sig=abc` });
  assert.equal(remote.code, 0, remote.stderr);
  assert.match(remote.stderr, /downloading fields/);
  assert.doesNotMatch(remote.stderr, /sig=abc/);
  assert.deepEqual(remote.bytes, local.bytes);
});

for (const [name, missing, start] of [
  ["Swift", swiftMissing(), startSwift],
  ["moto", motoMissing(), startMoto],
]) {
  test(`s3:// on ${name}: the same table by ranges; wrong keys, wrong names`, { skip: missing }, async (t) => {
    const folder = await makeWorld(t);
    const server = await start();
    t.after(() => server.stop());
    const client = clientOf(server);
    await makeBucket(client, "rasters");
    for (const file of ["cog.tif", "fields.parquet"]) {
      const Body = readFileSync(join(folder, file));
      await client.send(new PutObjectCommand({ Bucket: "rasters", Key: `cdl of 2020/${file}`, Body }));
    }
    const url = (file) => `s3://rasters/cdl of 2020/${file}`;
    const env = credentialEnvironment(server.credentials);
    const args = ["--endpoint", server.endpoint];
    const local = await zonal(folder, join(folder, "cog.tif"));
    const remote = await zonal(folder, url("cog.tif"), { env, args, fields: url("fields.parquet") });
    assert.equal(remote.code, 0, remote.stderr);
    assert.match(remote.stderr, /raster is read by range/);
    assert.deepEqual(remote.bytes, local.bytes);
    const gone = await zonal(folder, url("other.tif"), { env, args });
    assert.equal(gone.code, 9, gone.stderr);
    assert.match(gone.stderr, /HTTP 404 Not Found/);
    const bucket = await zonal(folder, "s3://nowhere/cog.tif", { env, args });
    assert.equal(bucket.code, 9, bucket.stderr);
    assert.match(bucket.stderr, /HTTP 404|no such bucket/);
    if (name === "moto") return;
    const wrong = credentialEnvironment({ ...server.credentials, secretAccessKey: "not the secret" });
    const denied = await zonal(folder, url("cog.tif"), { env: wrong, args });
    assert.equal(denied.code, 9, denied.stderr);
    assert.match(denied.stderr, /refuses the credentials|denies access/);
    assert.doesNotMatch(denied.stderr, /not the secret/);
  });
}

test("s3:// of a public bucket, without credentials", { skip: motoMissing() }, async (t) => {
  const folder = await makeWorld(t);
  const moto = await startMoto();
  t.after(() => moto.stop());
  const client = clientOf(moto);
  await makeBucket(client, "public");
  await client.send(
    new PutObjectCommand({
      ACL: "public-read",
      Bucket: "public",
      Key: "cog.tif",
      Body: readFileSync(join(folder, "cog.tif")),
    }),
  );
  const remote = await zonal(folder, "s3://public/cog.tif", {
    env: { ...credentialEnvironment(), AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" },
    args: ["--endpoint", moto.endpoint],
  });
  assert.equal(remote.code, 0, remote.stderr);
});
