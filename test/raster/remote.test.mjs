// Rasters at a URL: the same answers as from a file, by ranges of the blocks that are needed.
import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import http from "node:http";
import { basename, join } from "node:path";
import { test } from "node:test";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { writeFields } from "../support/duck.mjs";
import { motoMissing, startMoto } from "../support/moto.mjs";
import { Random } from "../support/random.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
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

async function zonal(folder, raster, env) {
  const out = join(folder, "out.parquet");
  const args = [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    raster,
    "--out",
    out,
  ];
  const { code, stderr } = await command("zonal", [...args, "--force"], { env });
  return { code, stderr, bytes: code === 0 ? readFileSync(out) : undefined };
}

/** A server of a folder's files that knows ranges; `sent` counts the bytes of bodies. */
async function serve(t, folder) {
  const state = { sent: 0, origin: "" };
  const server = http.createServer((request, response) => {
    const path = join(folder, basename(new URL(request.url, "http://x").pathname));
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined || request.url.endsWith("/")) {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const [first, last] = [Number(from ?? 0), Math.min(size - 1, to ? Number(to) : size - 1)];
    const ranged = from === undefined ? {} : { "content-range": `bytes ${first}-${last}/${size}` };
    response.writeHead(from === undefined ? 200 : 206, {
      "accept-ranges": "bytes",
      "content-length": last - first + 1,
      ...ranged,
    });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const bytes = Buffer.alloc(last - first + 1);
    const fd = openSync(path);
    readSync(fd, bytes, 0, bytes.length, first);
    closeSync(fd);
    state.sent += bytes.length;
    response.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  state.origin = `http://127.0.0.1:${server.address().port}`;
  return state;
}

test("http:// : the same table, and a fraction of the file is read", async (t) => {
  const folder = await makeWorld(t);
  const server = await serve(t, folder);
  const local = await zonal(folder, join(folder, "cog.tif"));
  assert.equal(local.code, 0, local.stderr);
  const remote = await zonal(folder, `${server.origin}/cog.tif`);
  assert.equal(remote.code, 0, remote.stderr);
  assert.deepEqual(remote.bytes, local.bytes);
  const { size } = statSync(join(folder, "cog.tif"));
  assert.ok(server.sent < size / 3, `${server.sent} of ${size} bytes`);
});

test("http:// : what is not there, and a URL with a password", async (t) => {
  const folder = await makeWorld(t);
  const server = await serve(t, folder);
  const gone = await zonal(folder, `${server.origin}/other.tif`);
  assert.equal(gone.code, 4, gone.stderr);
  assert.match(gone.stderr, /Raster cannot be opened \(path=http:.*other.tif/);
  const secret = await zonal(folder, "http://me:secret@127.0.0.1/cog.tif");
  assert.equal(secret.code, 2, secret.stderr);
  assert.doesNotMatch(secret.stderr, /secret/);
});

test("s3:// : the same table", { skip: motoMissing() }, async (t) => {
  const folder = await makeWorld(t);
  const moto = await startMoto();
  t.after(() => moto.stop());
  const client = clientOf(moto);
  await makeBucket(client, "rasters");
  const Body = readFileSync(join(folder, "cog.tif"));
  await client.send(new PutObjectCommand({ Bucket: "rasters", Key: "cdl/cog.tif", Body }));
  const local = await zonal(folder, join(folder, "cog.tif"));
  const remote = await zonal(folder, "s3://rasters/cdl/cog.tif", {
    ...credentialEnvironment(moto.credentials),
    AWS_S3_ENDPOINT: new URL(moto.endpoint).host,
    AWS_HTTPS: "NO",
    AWS_VIRTUAL_HOSTING: "FALSE",
  });
  assert.equal(remote.code, 0, remote.stderr);
  assert.deepEqual(remote.bytes, local.bytes);
});
