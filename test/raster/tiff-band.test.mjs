// GeoTIFF blocks decoded by the kernel, held against what GDAL reads of the same files.
import assert from "node:assert/strict";
import { closeSync, copyFileSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { nativeKernel } from "../../dist/kernel/native.js";
import { PIXEL_ARRAYS } from "../../dist/raster/pixels.js";
import { openRaster } from "../../dist/raster/raster.js";
import { openTiffBand } from "../../dist/raster/tiff-band.js";
import { Random } from "../support/random.mjs";
import { needsRealData, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const kernel = nativeKernel();
const WINDOWS = 30;

/** Pixels of all kinds of runs: noise fills LZW's table, one class makes its longest strings. */
function pixelsOf(type, width, height, random) {
  const pixels = new PIXEL_ARRAYS[type](width * height);
  const kind = random.integer(0, 4);
  let [value, left] = [0, 0];
  for (let i = 0; i < pixels.length; i++) {
    if (left-- <= 0) {
      value = random.integer(0, 250);
      left = [0, 3, 200, Infinity][kind] * random.next();
    }
    pixels[i] = value;
  }
  return pixels;
}

function write(path, type, width, height, pixels, options, { nodata, skipFrom = height } = {}) {
  const dataset = gdal.open(path, "w", "GTiff", width, height, 1, type, options);
  dataset.srs = gdal.SpatialReference.fromEPSG(5070);
  dataset.geoTransform = [0, 30, 0, 0, 0, -30];
  if (nodata !== undefined) dataset.bands.get(1).noDataValue = nodata;
  if (pixels) dataset.bands.get(1).pixels.write(0, 0, width, skipFrom, pixels.subarray(0, width * skipFrom));
  dataset.close();
  return path;
}

/** Random windows, and the whole; how many were compared. */
function assertAsGdal(path, random, windows = WINDOWS) {
  const raster = openRaster(path);
  const { width, height } = raster.grid;
  const band = openTiffBand(raster, kernel);
  assert.ok(band, `${path} is decoded by the kernel`);
  const dataset = gdal.open(path);
  try {
    for (let i = 0; i < windows; i++) {
      const [col, row] = i === 0 ? [0, 0] : [random.integer(0, width), random.integer(0, height)];
      const [w, h] =
        i === 0 ? [width, height] : [random.integer(1, width - col + 1), random.integer(1, height - row + 1)];
      // Something else lies there before, and behind it nothing may be written.
      const memory = new PIXEL_ARRAYS[raster.type](w * h + 64).fill(99);
      kernel.readBlocks(band, { col, row, width: w, height: h }, memory.subarray(0, w * h));
      const expected = dataset.bands.get(1).pixels.read(col, row, w, h);
      assert.deepEqual(
        Buffer.from(memory.buffer, 0, expected.byteLength),
        Buffer.from(expected.buffer),
        `${path} ${col},${row} ${w}×${h}`,
      );
      assert.ok(
        memory.subarray(w * h).every((value) => value === 99),
        "nothing is written behind the window",
      );
    }
  } finally {
    closeSync(band.fd);
    dataset.close();
  }
}

test("every layout, compression and type that the kernel knows: the pixels that GDAL reads", (t) => {
  const folder = tempFolder(t);
  const random = new Random(11);
  const types = Object.keys(PIXEL_ARRAYS).filter((type) => type !== "Int8");
  for (let i = 0; i < 120; i++) {
    const type = random.chance(0.5) ? "Byte" : random.pick(types);
    const [width, height] = [random.integer(1, 700), random.integer(1, 500)];
    const compression = random.pick(["NONE", "LZW", "LZW", "LZW", "DEFLATE", "ZSTD"]);
    const side = () => 16 * random.integer(1, 18);
    const layout = random.chance(0.5)
      ? ["TILED=YES", `BLOCKXSIZE=${side()}`, `BLOCKYSIZE=${side()}`]
      : // GDAL cuts a lone uncompressed strip into rows of its own.
        [`BLOCKYSIZE=${Math.ceil(height / random.integer(compression === "NONE" ? 2 : 1, 12))}`];
    const options = [`COMPRESS=${compression}`, ...layout, `BIGTIFF=${random.pick(["YES", "NO"])}`];
    if (type === "Byte" && random.chance(0.2)) options.push("ENDIANNESS=BIG");
    const path = write(join(folder, `${i}.tif`), type, width, height, pixelsOf(type, width, height, random), options);
    assertAsGdal(path, random, 8);
  }
});

test("blocks that the file does not have are nodata, or 0", (t) => {
  const folder = tempFolder(t);
  const random = new Random(12);
  for (const [name, nodata] of [
    ["zero", undefined],
    ["nodata", 255],
  ]) {
    for (const layout of [["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"], ["BLOCKYSIZE=16"]]) {
      const options = ["SPARSE_OK=TRUE", "COMPRESS=LZW", ...layout];
      const pixels = new Uint8Array(300 * 256).map((_, i) => 1 + (i % 7));
      const path = join(folder, `${name}-${layout.length}.tif`);
      assertAsGdal(write(path, "Byte", 300, 256, pixels, options, { nodata, skipFrom: 128 }), random);
    }
  }
});

test("what the kernel does not know is left to GDAL", (t) => {
  const folder = tempFolder(t);
  const random = new Random(13);
  const kinds = {
    predictor: ["Byte", ["COMPRESS=LZW", "PREDICTOR=2"]],
    packbits: ["Byte", ["COMPRESS=PACKBITS"]],
    "few-bits": ["Byte", ["NBITS=4"]],
    "other-order": ["UInt16", ["ENDIANNESS=BIG"]],
    "white-is-zero": ["Byte", ["PHOTOMETRIC=MINISWHITE"]],
  };
  for (const [name, [type, options]] of Object.entries(kinds)) {
    const path = write(join(folder, `${name}.tif`), type, 100, 90, pixelsOf(type, 100, 90, random), options);
    assert.equal(openTiffBand(openRaster(path), kernel), undefined, name);
  }
  const copy = (driver, name) => {
    const source = gdal.open(join(folder, "packbits.tif"));
    gdal.drivers.get(driver).createCopy(join(folder, name), source).close();
    source.close();
    return join(folder, name);
  };
  assert.equal(openTiffBand(openRaster(copy("HFA", "image.img")), kernel), undefined);
  assert.equal(openTiffBand(openRaster(copy("VRT", "other.vrt")), kernel), undefined);
});

test("blocks that the file does not have are GDAL's where nodata is not of the type", (t) => {
  const folder = tempFolder(t);
  for (const [type, nodata, left] of [
    ["Byte", -9999, true],
    ["Byte", 3.7, "masked"],
    ["UInt16", 70_000, "masked"],
    ["Int16", -32_768, false],
    ["Float32", Number.NaN, false],
    ["Float32", 0.1, "masked"],
  ]) {
    for (const skipFrom of [32, 100]) {
      const path = join(folder, `${type}${nodata}-${skipFrom}.tif`);
      const pixels = new PIXEL_ARRAYS[type](100 * 100).fill(5);
      write(path, type, 100, 100, pixels, ["SPARSE_OK=TRUE", "COMPRESS=LZW", "BLOCKYSIZE=16"], { nodata, skipFrom });
      // GDAL masks by the rounded nodata then.
      if (left === "masked" || (left && skipFrom < 100))
        assert.equal(openTiffBand(openRaster(path), kernel), undefined, path);
      else assertAsGdal(path, new Random(17), 3);
    }
  }
});

/** Changes an entry of the first directory by `change(view of its 12 bytes)`. */
function changeEntry(path, tag, change) {
  const bytes = readFileSync(path);
  const directory = bytes.readUInt32LE(4);
  const entries = Array.from({ length: bytes.readUInt16LE(directory) }, (_, i) => directory + 2 + 12 * i);
  const at = entries.find((entry) => bytes.readUInt16LE(entry) === tag);
  change(bytes.subarray(at, at + 12));
  writeFileSync(path, bytes);
}

test("a tag of another type, which libtiff takes, and a lone strip without a size, which it makes out, are GDAL's", (t) => {
  const folder = tempFolder(t);
  const pixels = new Uint8Array(100 * 90).map((_, i) => i % 9);
  const make = (name, options) => write(join(folder, name), "Byte", 100, 90, pixels, ["COMPRESS=DEFLATE", ...options]);
  const predictor = make("predictor.tif", ["PREDICTOR=2"]);
  changeEntry(predictor, 317, (entry) => entry.writeUInt16LE(1, 2));
  const size = make("size.tif", ["BLOCKYSIZE=90"]);
  changeEntry(size, 279, (entry) => entry.writeUInt32LE(0, 8));
  for (const path of [predictor, size]) {
    assert.equal(openTiffBand(openRaster(path), kernel), undefined, path);
    const dataset = gdal.open(path);
    assert.deepEqual(Uint8Array.from(dataset.bands.get(1).pixels.read(0, 0, 100, 90)), pixels);
    dataset.close();
  }
});

test("blocks larger than a worker is to hold, and a file that is gone, are GDAL's", (t) => {
  const path = join(tempFolder(t), "large.tif");
  const options = ["SPARSE_OK=TRUE", "COMPRESS=LZW", "BLOCKYSIZE=30000", "BIGTIFF=YES"];
  const raster = openRaster(write(path, "UInt16", 40_000, 60_000, undefined, options));
  assert.deepEqual(raster.block, { width: 40_000, height: 30_000 });
  assert.equal(openTiffBand(raster, kernel), undefined);
  rmSync(path);
  assert.equal(openTiffBand(raster, kernel), undefined);
});

test("headers with any bytes changed: refused, left to GDAL, or read as GDAL reads them", (t) => {
  const folder = tempFolder(t);
  const random = new Random(14);
  const path = write(join(folder, "whole.tif"), "Byte", 200, 150, pixelsOf("Byte", 200, 150, random), [
    "COMPRESS=LZW",
    "TILED=YES",
    "BLOCKXSIZE=64",
    "BLOCKYSIZE=64",
  ]);
  const whole = readFileSync(path);
  const directory = whole.readUInt32LE(4);
  const seen = { refused: 0, left: 0, undecoded: 0, alike: 0 };
  for (let i = 0; i < 400; i++) {
    const bytes = Buffer.from(whole);
    for (let n = random.integer(1, 4); n > 0; n--) bytes[directory + random.integer(0, 150)] = random.integer(0, 256);
    const damaged = join(folder, "damaged.tif");
    writeFileSync(damaged, bytes);
    let raster;
    try {
      raster = openRaster(damaged);
    } catch {
      seen.refused++;
      continue;
    }
    const band = openTiffBand(raster, kernel);
    if (band === undefined) {
      seen.left++;
      continue;
    }
    try {
      const { width, height } = raster.grid;
      if (width * height > 1e7) continue;
      const pixels = new PIXEL_ARRAYS[raster.type](width * height);
      kernel.readBlocks(band, { col: 0, row: 0, width, height }, pixels);
      const dataset = gdal.open(damaged);
      const expected = dataset.bands.get(1).pixels.read(0, 0, width, height);
      dataset.close();
      assert.deepEqual(Buffer.from(pixels.buffer), Buffer.from(expected.buffer));
      seen.alike++;
    } catch (error) {
      if (error.code !== "BLOCK") throw error;
      seen.undecoded++;
    } finally {
      closeSync(band.fd);
    }
  }
  t.diagnostic(JSON.stringify(seen));
  for (const [outcome, count] of Object.entries(seen)) assert.ok(count > 0, `${outcome}: ${count}`);
});

test("damaged blocks: told, or other pixels, but never anything beyond the window", (t) => {
  const folder = tempFolder(t);
  const random = new Random(15);
  let told = 0;
  for (const compression of ["LZW", "DEFLATE", "ZSTD"]) {
    const options = [`COMPRESS=${compression}`, "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"];
    const path = write(join(folder, "whole.tif"), "Byte", 200, 150, pixelsOf("Byte", 200, 150, random), options);
    const band = openTiffBand(openRaster(path), kernel);
    const damaged = join(folder, "damaged.tif");
    copyFileSync(path, damaged);
    const fd = openSync(damaged, "r+");
    for (let i = 0; i < 300; i++) {
      const block = random.integer(0, band.offsets.length);
      writeSync(
        fd,
        new Uint8Array([random.integer(0, 256)]),
        0,
        1,
        band.offsets[block] + random.integer(0, band.sizes[block]),
      );
      const memory = new Uint8Array(200 * 150 + 64).fill(99);
      try {
        kernel.readBlocks({ ...band, fd }, { col: 0, row: 0, width: 200, height: 150 }, memory.subarray(0, 200 * 150));
      } catch (error) {
        assert.equal(error.code, "BLOCK");
        assert.match(error.message, /^block \d+: does not decode$/);
        told++;
      }
      assert.ok(memory.subarray(200 * 150).every((value) => value === 99));
    }
    closeSync(fd);
    closeSync(band.fd);
  }
  assert.ok(told > 0);
});

test("a file that ends before its block is named by it", (t) => {
  const path = join(tempFolder(t), "short.tif");
  write(path, "Byte", 64, 64, new Uint8Array(64 * 64).fill(3), ["COMPRESS=NONE", "BLOCKYSIZE=8"]);
  const band = openTiffBand(openRaster(path), kernel);
  try {
    const sizes = Float64Array.from(band.sizes);
    const offsets = Float64Array.from(band.offsets).fill(1e6, 5);
    const all = { col: 0, row: 0, width: 64, height: 64 };
    const read = (changed) => kernel.readBlocks({ ...band, ...changed }, all, new Uint8Array(64 * 64));
    assert.throws(() => read({ offsets }), { code: "BLOCK", message: "block 5: the file ends before it" });
    assert.throws(() => read({ offsets: offsets.fill(-1, 2) }), {
      code: "BLOCK",
      message: "block 2: lies nowhere in the file",
    });
    assert.throws(() => read({ sizes: sizes.fill(17, 3) }), { code: "BLOCK", message: "block 3: does not decode" });
    assert.throws(() => read({ offsets: offsets.subarray(1) }), TypeError);
    assert.throws(() => read({ compression: 7 }), TypeError);
    assert.throws(() => kernel.readBlocks(band, { ...all, width: 65 }, new Uint8Array(65 * 64)), TypeError);
    assert.throws(() => kernel.readBlocks(band, all, new Uint8Array(64)), TypeError);
    assert.throws(() => kernel.readBlocks(band, all, new Uint16Array(64 * 64)), TypeError);
  } finally {
    closeSync(band.fd);
  }
});

test("real rasters: the pixels that GDAL reads, also once compressed", needsRealData, (t) => {
  const folder = tempFolder(t);
  const random = new Random(16);
  for (const name of [
    "2021_30m_cdls",
    "barton_county_ks_2010",
    "barton_county_ks_2019",
    "ames_2018",
    "peoria_nodata255",
  ]) {
    const path = realPath(`rasters/${name}.tif`);
    const source = gdal.open(path);
    for (const options of [["COMPRESS=LZW"], ["COMPRESS=LZW", "TILED=YES"], ["COMPRESS=DEFLATE", "TILED=YES"]]) {
      const copy = join(folder, `${name}-${options.join("-")}.tif`);
      gdal.drivers.get("GTiff").createCopy(copy, source, options).close();
      assertAsGdal(copy, random);
    }
    source.close();
    const band = openTiffBand(openRaster(path), kernel);
    t.diagnostic(`${name}: ${band ? `compression ${band.compression}` : "left to GDAL"}`);
    if (band === undefined) continue;
    closeSync(band.fd);
    assertAsGdal(path, random);
  }
});
