// Everything by which GDAL masks a band's pixels, held against rasterio.mask.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import gdal from "gdal-async";
import { openFields, openRaster, ZonalEngine } from "../../dist/index.js";
import { command } from "../support/command.mjs";
import { Random } from "../support/random.mjs";
import { rowsOf, writeWorld } from "../support/random-fields.mjs";
import { randomShape } from "../support/random-polygons.mjs";
import { rasterioHistograms, rasterioMissing } from "../support/rasterio.mjs";

const skip = rasterioMissing();
const GRID = { a: 30, c: -300015, e: -30, f: 2000025, width: 2100, height: 560 };
const { width, height } = GRID;
const PER_DATASET = 2;

let folder;
let geometries;
let fields;
let engine;
const classes = new Uint8Array(width * height);
/** 0 in patches: there the pixel does not count. */
const mask = new Uint8Array(width * height).fill(255);

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "masks-"));
  const random = new Random(83);
  const shapes = Array.from({ length: 60 }, () => {
    const at = [random.pick([random.between(0, width), 2048]), random.pick([random.between(0, height), 512])];
    return [randomShape(random, "blob", [...at, random.pick([0.5, 2, 10, 30])])];
  });
  geometries = await writeWorld(folder, shapes, { grid: GRID });
  for (let i = 0; i < classes.length; i++) classes[i] = random.chance(0.3) ? random.integer(0, 9) : classes[i - 1];
  for (let i = 0; i < mask.length; ) {
    const [length, value] = [random.integer(1, 12), random.pick([0, 0, 1, 128, 255])];
    mask.fill(value, i, i + length);
    i += length;
  }
  fields = await openFields(join(folder, "fields.parquet"), { fieldsCrs: "EPSG:5070" });
  engine = new ZonalEngine({ threads: 2 });
});
after(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const typed = (dataset, data) => {
  const arrays = { UInt16: Uint16Array, Int16: Int16Array, Float32: Float32Array };
  return new (arrays[dataset.bands.get(1).dataType] ?? Uint8Array)(data);
};

/** A GeoTIFF of the classes in every band; `finish` gives it what masks it. */
function write(name, { type = "Byte", bands = 1, options = [], internal = false, data = classes } = {}, finish) {
  const path = join(folder, name);
  gdal.config.set("GDAL_TIFF_INTERNAL_MASK", internal ? "YES" : "NO");
  const created = gdal.open(path, "w", "GTiff", width, height, bands, type, ["TILED=YES", "COMPRESS=LZW", ...options]);
  created.srs = gdal.SpatialReference.fromEPSG(5070);
  created.geoTransform = [GRID.c, GRID.a, 0, GRID.f, 0, GRID.e];
  for (const band of created.bands) band.pixels.write(0, 0, width, height, typed(created, data));
  finish?.(created);
  created.close();
  return path;
}

const withMask =
  (flags, rows = height) =>
  (dataset) => {
    dataset.bands.get(1).createMaskBand(flags);
    const band = dataset.bands.get(1).getMaskBand();
    band.pixels.write(0, 0, width, rows, mask.subarray(0, width * rows));
  };
const withAlpha =
  (scale = 1) =>
  (dataset) => {
    const alpha = dataset.bands.get(dataset.bands.count());
    alpha.colorInterpretation = "Alpha";
    alpha.pixels.write(
      0,
      0,
      width,
      height,
      typed(
        dataset,
        Float64Array.from(mask, (value) => value * scale),
      ),
    );
  };

function copy(driver, name, from, options = []) {
  const source = gdal.open(from);
  gdal.drivers.get(driver).createCopy(join(folder, name), source, options).close();
  source.close();
  return join(folder, name);
}

function sideFile(path, content) {
  writeFileSync(`${path}.aux.xml`, `<PAMDataset>${content}</PAMDataset>`);
  return path;
}

/** What is masked and by what; each gives the raster's path. */
const KINDS = {
  "internal mask": () => write("internal.tif", { internal: true }, withMask(PER_DATASET)),
  "internal mask of strips": () =>
    write("strips.tif", { internal: true, options: ["TILED=NO", "BLOCKYSIZE=16"] }, withMask(PER_DATASET)),
  "mask file": () => write("beside.tif", {}, withMask(PER_DATASET)),
  "mask file with blocks that were never written": () => write("sparse.tif", {}, withMask(PER_DATASET, 300)),
  "mask file of every band its own": () => write("each.tif", { bands: 2 }, withMask(0)),
  "mask of three bands": () => write("three.tif", { bands: 3, internal: true }, withMask(PER_DATASET)),
  "alpha band": () => write("alpha.tif", { bands: 2, options: ["ALPHA=YES"] }, withAlpha()),
  "alpha band of 16 bits": () =>
    write("alpha16.tif", { bands: 2, type: "UInt16", options: ["ALPHA=YES"] }, withAlpha(257)),
  "red, green, blue and alpha": () => write("rgba.tif", { bands: 4, options: ["ALPHA=YES"] }, withAlpha()),
  "mask and nodata: the mask decides": () =>
    write("both.tif", { internal: true }, (dataset) => {
      dataset.bands.get(1).noDataValue = 3;
      withMask(PER_DATASET)(dataset);
    }),
  "nodata and alpha: nodata decides": () =>
    write("nodata-alpha.tif", { bands: 2, options: ["ALPHA=YES"] }, (dataset) => {
      dataset.bands.get(1).noDataValue = 3;
      withAlpha()(dataset);
    }),
  nodata: () => write("nodata.tif", {}, (dataset) => (dataset.bands.get(1).noDataValue = 3)),
  "nodata that the type does not hold": () =>
    write("beyond.tif", {}, (dataset) => (dataset.bands.get(1).noDataValue = -9999)),
  "nodata between two classes": () => write("half.tif", {}, (dataset) => (dataset.bands.get(1).noDataValue = 3.7)),
  "nodata that a float rounds": () =>
    write("float.tif", { type: "Float32", data: Float32Array.from(classes, (value) => value / 10) }, (dataset) => {
      dataset.bands.get(1).noDataValue = 0.3;
    }),
  "neighbors of a float's nodata": () => {
    const data = Float32Array.from(classes, (value) => [-9999.001, -9999, -9998.99][value] ?? value);
    return write("neighbors.tif", { type: "Float32", data }, (dataset) => (dataset.bands.get(1).noDataValue = -9999));
  },
  "nodata in a file beside it": () =>
    sideFile(write("pam.tif"), '<PAMRasterBand band="1"><NoDataValue>4</NoDataValue></PAMRasterBand>'),
  "another nodata in a file beside it": () => {
    const path = write("pam-other.tif", {}, (dataset) => (dataset.bands.get(1).noDataValue = 3));
    return sideFile(path, '<PAMRasterBand band="1"><NoDataValue>4</NoDataValue></PAMRasterBand>');
  },
  "NODATA_VALUES of one band": () =>
    sideFile(write("values.tif"), '<Metadata><MDI key="NODATA_VALUES">5</MDI></Metadata>'),
  "NODATA_VALUES of three bands": () =>
    sideFile(write("values3.tif", { bands: 3 }), '<Metadata><MDI key="NODATA_VALUES">5 5 5</MDI></Metadata>'),
  "VRT of an internal mask": () => copy("VRT", "internal.vrt", write("in-vrt.tif", { internal: true }, withMask(2))),
  "VRT of an alpha band": () =>
    copy("VRT", "alpha.vrt", write("in-vrt-alpha.tif", { bands: 2, options: ["ALPHA=YES"] }, withAlpha())),
  "cloud-optimized copy": () =>
    copy("COG", "cog.tif", write("to-cog.tif", { internal: true }, withMask(2)), ["COMPRESS=DEFLATE"]),
  "ERDAS Imagine with a mask file": () => {
    const path = copy("HFA", "image.img", write("to-img.tif"));
    const dataset = gdal.open(path, "r+");
    withMask(PER_DATASET)(dataset);
    dataset.close();
    return path;
  },
  "signed bytes": () =>
    write("signed.tif", { options: ["PIXELTYPE=SIGNEDBYTE"], data: classes.map((value) => value - 4) }),
  "four bits a pixel": () => write("nbits.tif", { options: ["NBITS=4"], internal: true }, withMask(PER_DATASET)),
  "white is zero": () => write("white.tif", { options: ["PHOTOMETRIC=MINISWHITE"] }),
  "scale and offset, which do not change a class": () =>
    write("scaled.tif", {}, (dataset) => {
      dataset.bands.get(1).scale = 0.5;
      dataset.bands.get(1).offset = 10;
    }),
};

/** The others differ in where the mask comes from alone. */
const TOUCHED_TOO = new Set(["internal mask", "alpha band", "nodata"]);

/** Rows of the engine's answer as {class: pixels}; null where the field has none. */
async function histograms(path, options = {}) {
  const rows = [];
  for await (const batch of engine.zonal(fields, openRaster(path), { classes: true, ...options })) {
    for (const row of batch) {
      const [codes, pixels] = [row.class_codes, row.class_pixels].map((list) => [...(list ?? [])]);
      rows.push(Object.fromEntries(codes.map((code, i) => [Number(code), Number(pixels[i])])));
    }
  }
  return rows;
}

const numbered = (list) =>
  list.map((histogram) =>
    Object.fromEntries(
      Object.entries(histogram ?? {})
        .map(([code, n]) => [Number(code), n])
        .sort(([a], [b]) => a - b),
    ),
  );

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind}: rasterio.mask's pixels`, { skip }, async () => {
    const path = make();
    for (const allTouched of TOUCHED_TOO.has(kind) ? [false, true] : [false]) {
      const expected = numbered(rasterioHistograms(geometries, path, allTouched));
      assert.ok(expected.filter((histogram) => Object.keys(histogram).length > 0).length > 5);
      assert.deepEqual(numbered(await histograms(path, allTouched ? { allTouched } : {})), expected);
    }
  });
}

test("coverage and area weights: as of a raster that has nodata in those places", async () => {
  const masked = write("weighed.tif", { type: "Int16", internal: true }, withMask(PER_DATASET));
  const data = Int16Array.from(classes, (code, i) => (mask[i] === 0 ? -1 : code));
  const plain = write("plain.tif", { type: "Int16", data }, (dataset) => (dataset.bands.get(1).noDataValue = -1));
  assert.deepEqual(await histograms(masked, { coverage: true }), await histograms(plain, { coverage: true }));
  assert.notDeepEqual(await histograms(masked), await histograms(join(folder, "classes.tif")));
});

test("several years in one pass, with an index and without, masked or not", async () => {
  write("year-2001.tif", { internal: true }, withMask(PER_DATASET));
  write("year-2002.tif");
  write("year-2003.tif", {}, withMask(PER_DATASET));
  const base = ["--fields", join(folder, "fields.parquet"), "--fields-crs", "EPSG:5070"];
  const index = join(folder, "fields.zones");
  const made = await command("prepare", [...base, "--raster", join(folder, "year-2002.tif"), "--out", index]);
  assert.equal(made.code, 0, made.stderr);
  const tables = async (name, args) => {
    const out = join(folder, `${name}-{year}.parquet`);
    const raster = join(folder, "year-{year}.tif");
    const years = ["--years", "2001-2003", "--raster", raster, "--out", out];
    const run = await command("zonal", [...base, ...years, ...args]);
    assert.equal(run.code, 0, run.stderr);
    return [2001, 2002, 2003].map((year) => out.replace("{year}", year));
  };
  const [burned, indexed] = [await tables("burned", []), await tables("indexed", ["--index", index])];
  for (const [i, path] of burned.entries()) assert.deepEqual(readFileSync(path), readFileSync(indexed[i]));
  for (const [i, path] of burned.entries()) {
    const alone = await histograms(join(folder, `year-${2001 + i}.tif`), { nodata: [0] });
    const sums = alone.map((histogram) => Object.values(histogram).reduce((sum, n) => sum + n, 0));
    const rows = await rowsOf(path);
    assert.deepEqual(
      rows.map((row) => row.valid_pixels),
      sums,
    );
  }
  const [first, , third] = await Promise.all(burned.map(rowsOf));
  assert.deepEqual(first, third);
});
