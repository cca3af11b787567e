import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { command } from "../support/command.mjs";
import { writeFields } from "../support/duck.mjs";
import { multiPolygonWkb, polygonWkb } from "../support/shapes.mjs";

// The answer must not depend on how the raster lies in its file, on threads or on batches.
const [WIDTH, HEIGHT, PIXEL] = [4500, 1300, 30];
const [X0, Y0] = [-300015, 2000025];
let folder;
let reference;

function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function blob(next, cx, cy, radius) {
  const n = 5 + Math.floor(next() * 20);
  const ring = Array.from({ length: n }, (_, i) => {
    const r = radius * (0.4 + next());
    return [cx + r * Math.cos((2 * Math.PI * i) / n), cy + r * Math.sin((2 * Math.PI * i) / n)];
  });
  return [...ring, ring[0]];
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fields-layouts-"));
  const next = random(7);
  const pixels = new Uint8Array(WIDTH * HEIGHT);
  for (let row = 0; row < HEIGHT; row++) {
    for (let col = 0; col < WIDTH; col++) {
      const patch = ((row >> 5) * 31 + (col >> 5) * 17) % 11;
      pixels[row * WIDTH + col] = next() < 0.1 ? Math.floor(next() * 256) : patch * 20;
    }
  }
  const memory = gdal.open("memory", "w", "MEM", WIDTH, HEIGHT, 1, gdal.GDT_Byte);
  memory.srs = gdal.SpatialReference.fromEPSG(5070);
  memory.geoTransform = [X0, PIXEL, 0, Y0, 0, -PIXEL];
  memory.bands.get(1).pixels.write(0, 0, WIDTH, HEIGHT, pixels);
  const make = (name, options, driver = "GTiff") =>
    gdal.drivers.get(driver).createCopy(join(folder, name), memory, options).close();
  make("tiles-256.tif", ["TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "COMPRESS=LZW"]);
  make("tiles-512.tif", ["TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512", "COMPRESS=DEFLATE"]);
  make("tiles-128.tif", ["TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128", "COMPRESS=ZSTD"]);
  make("predictor.tif", ["TILED=YES", "COMPRESS=LZW", "PREDICTOR=2"]);
  make("strips-1.tif", ["BLOCKYSIZE=1", "COMPRESS=LZW"]);
  make("strips-8.tif", ["BLOCKYSIZE=8"]);
  make("strips-600.tif", ["BLOCKYSIZE=600", "COMPRESS=LZW"]);
  make("cog.tif", ["COMPRESS=LZW"], "COG");
  make("image.img", ["COMPRESSED=YES"], "HFA");

  const fields = Array.from({ length: 3000 }, (_, i) => {
    const [cx, cy] = [X0 + next() * WIDTH * PIXEL, Y0 - next() * HEIGHT * PIXEL];
    const radius = 40 + 1500 * next() ** 4;
    const one = blob(next, cx, cy, radius);
    return {
      id: i * 3,
      wkb: i % 7 === 0 ? multiPolygonWkb([[one], [blob(next, cx + radius, cy, radius)]]) : polygonWkb([one]),
    };
  });
  // One over most of the raster: more windows and chunks than any worker holds.
  fields.push({ id: 1e6, wkb: polygonWkb([blob(next, X0 + (WIDTH * PIXEL) / 2, Y0 - (HEIGHT * PIXEL) / 2, 30_000)]) });
  await writeFields(join(folder, "fields.parquet"), fields);
  reference = await zonal("tiles-256.tif", []);
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function zonal(raster, args, log = /^((?!WARN).)*$/s) {
  const out = join(folder, `${raster}${args.join("")}.parquet`);
  const base = [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    "EPSG:5070",
    "--raster",
    join(folder, raster),
    "--out",
    out,
  ];
  const run = await command("zonal", [...base, ...args]);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stderr, log);
  return createHash("sha256").update(readFileSync(out)).digest("hex");
}

for (const raster of [
  "tiles-512.tif",
  "tiles-128.tif",
  "predictor.tif",
  "strips-1.tif",
  "strips-8.tif",
  "strips-600.tif",
  "cog.tif",
  "image.img",
]) {
  test(`${raster} gives the same bytes as tiles of 256`, async () => assert.equal(await zonal(raster, []), reference));
}

test("a header that is a byte out: GDAL reads the raster, and the log says why", async () => {
  const bytes = readFileSync(join(folder, "strips-8.tif"));
  const directory = bytes.readUInt32LE(4);
  const entries = Array.from({ length: bytes.readUInt16LE(directory) }, (_, i) => directory + 2 + 12 * i);
  const sizes = entries.find((entry) => bytes.readUInt16LE(entry) === 279);
  assert.deepEqual([bytes.readUInt16LE(sizes + 2), bytes.readUInt32LE(sizes + 4)], [3, Math.ceil(HEIGHT / 8)]);
  const fifth = bytes.readUInt32LE(sizes + 8) + 2 * 5;
  bytes.writeUInt16LE(bytes.readUInt16LE(fifth) - 1, fifth);
  writeFileSync(join(folder, "byte-out.tif"), bytes);
  assert.equal(
    await zonal(
      "byte-out.tif",
      [],
      /WARN A block differs from the file header.*byte-out\.tif.*block 5: does not decode/,
    ),
    reference,
  );
});

for (const args of [
  ["--threads", "1"],
  ["--threads", "4"],
  ["--batch", "100"],
  ["--batch", "7"],
]) {
  test(`${args.join(" ")} gives the same bytes`, async () =>
    assert.equal(await zonal("tiles-256.tif", args), reference));
}
