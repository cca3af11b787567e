import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import yazl from "yazl";
import { chooseRaster, extractRaster } from "../../dist/download/zip.js";
import { testContext } from "../support/context.mjs";
import { handmadeZip } from "../support/handmade-zip.mjs";
import { randomBytes } from "../support/random-bytes.mjs";
import { hfaBytes, tiffBytes } from "../support/raster-bytes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const TIF = tiffBytes();

async function yazlZip(files, options = {}) {
  const zip = new yazl.ZipFile();
  for (const [name, data] of Object.entries(files)) zip.addBuffer(data, name, options);
  zip.end(options);
  return buffer(zip.outputStream);
}

/** Extract, and read back what is in the folder then. */
async function extracted(t, zip, year = 2020) {
  const root = tempFolder(t);
  const path = join(root, "y.zip");
  writeFileSync(path, zip);
  const ctx = testContext();
  const folder = join(root, "out");
  const files = await extractRaster(path, year, folder, ctx);
  return {
    files,
    ctx,
    got: Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))])),
  };
}

/** The error of both looking and extracting; nothing may have been written. */
async function refusal(t, zip, year = 2020) {
  const root = tempFolder(t);
  const path = join(root, "y.zip");
  writeFileSync(path, zip);
  const folder = join(root, "a", "b", "out");
  const looked = await chooseRaster(path, year).then(
    () => assert.fail("chooseRaster accepted it"),
    (error) => error,
  );
  const error = await extractRaster(path, year, folder, testContext()).then(
    () => assert.fail("extractRaster accepted it"),
    (e) => e,
  );
  assert.equal(error.message, looked.message);
  assert.deepEqual(readdirSync(root), ["y.zip"], "nothing is written");
  assert.ok(error.message.includes(`path=${path}`) && error.message.includes(`year=${year}`), error.message);
  return error;
}

test("a GeoTIFF with what belongs to it, and nothing else", async (t) => {
  const files = {
    "2020_30m_cdls.tif": TIF,
    "2020_30m_cdls.tif.ovr": randomBytes(9_000, 3),
    "2020_30m_cdls.tif.aux.xml": Buffer.from("<PAMDataset/>"),
    "2020_30m_cdls.tfw": Buffer.from("30\n"),
    "2020_30m_cdls.tif.vat.dbf": randomBytes(500, 4),
  };
  const metadata = {
    "metadata_Cropland-Data-Layer-2020.htm": Buffer.from("<html>"),
    "2020_30m_cdls_readme.txt": Buffer.from("x"),
  };
  const { got, files: list, ctx } = await extracted(t, await yazlZip({ ...metadata, ...files }));
  assert.deepEqual(got, files);
  assert.deepEqual(list[0], { name: "2020_30m_cdls.tif", bytes: TIF.length });
  assert.deepEqual([ctx.tasks[0].label, ctx.tasks[0].ended], ["MiB extracted", true]);
});

test("an .img in a folder inside the zip, with its .ige", async (t) => {
  const [img, ige] = [hfaBytes(), randomBytes(70_000, 5)];
  const zip = await yazlZip({
    "cdl/2008_30m_cdls.ige": ige,
    "cdl/2008_30m_cdls.img": img,
    "other/2008_30m_cdls.rrd": Buffer.from("of another folder"),
    "__MACOSX/cdl/._2008_30m_cdls.img": Buffer.from("resource fork"),
  });
  assert.deepEqual((await extracted(t, zip, 2008)).got, { "2008_30m_cdls.img": img, "2008_30m_cdls.ige": ige });
});

test("a file of another name is taken where it is the only raster", async (t) => {
  assert.deepEqual((await extracted(t, await yazlZip({ "CDL_2020_clip_20210305.TIF": TIF }))).got, {
    "CDL_2020_clip_20210305.TIF": TIF,
  });
});

test("of several rasters the one named like the year is taken", async (t) => {
  const zip = await yazlZip({
    "2019_30m_cdls.tif": tiffBytes(100, 9),
    "2020_30m_cdls.tif": TIF,
    "2020_confidence.tif": tiffBytes(100, 8),
  });
  assert.deepEqual((await extracted(t, zip)).got, { "2020_30m_cdls.tif": TIF });
});

test("stored entries and zip64", async (t) => {
  for (const options of [
    { compress: false },
    { forceZip64Format: true },
    { forceZip64Format: true, compress: false },
  ]) {
    assert.deepEqual((await extracted(t, await yazlZip({ "2020_30m_cdls.tif": TIF }, options))).got, {
      "2020_30m_cdls.tif": TIF,
    });
  }
});

test("a zip by Python's zipfile: streamed, with data descriptors and zip64", async (t) => {
  const root = tempFolder(t);
  writeFileSync(join(root, "2020_30m_cdls.tif"), TIF);
  const script = `
import sys, zipfile
with zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED) as z:
    with z.open("2020_30m_cdls.tif", "w", force_zip64=True) as f:
        f.write(open("2020_30m_cdls.tif", "rb").read())`;
  let zip;
  try {
    zip = execFileSync("python3", ["-c", script], { cwd: root, maxBuffer: 2 ** 26 });
  } catch (error) {
    if (error.code === "ENOENT") return t.skip("python3 is not installed");
    throw error;
  }
  assert.deepEqual((await extracted(t, zip)).got, { "2020_30m_cdls.tif": TIF });
});

test("backslashes separate folders, as unzip has it", async (t) => {
  const zip = handmadeZip([
    { name: "cdl\\2020\\2020_30m_cdls.tif", data: TIF },
    { name: "cdl\\2020\\2020_30m_cdls.tfw", data: "30" },
    { name: "cdl\\2020\\", data: "" },
  ]);
  const { got } = await extracted(t, zip);
  assert.deepEqual(got, { "2020_30m_cdls.tif": TIF, "2020_30m_cdls.tfw": Buffer.from("30") });
});

test("one raster as .tif and as .img is no choice: the .tif is taken, without the other's pixels", async (t) => {
  const zip = await yazlZip({
    "c/2020_30m_cdls.img": hfaBytes(),
    "c/2020_30m_cdls.ige": Buffer.from("pixels"),
    "c/2020_30m_cdls.tif": TIF,
    "c/2020_30m_cdls.tif.aux.xml": Buffer.from("<PAMDataset/>"),
  });
  const { got } = await extracted(t, zip);
  assert.deepEqual(Object.keys(got).sort(), ["2020_30m_cdls.tif", "2020_30m_cdls.tif.aux.xml"]);
  assert.deepEqual(got["2020_30m_cdls.tif"], TIF);
});

test("a zip of 10 m rasters, by USDA's own name", async (t) => {
  const zip = await yazlZip({ "2024_10m_cdls.tif": TIF, "2024_overview.tif": tiffBytes(100, 4) });
  assert.deepEqual((await extracted(t, zip, 2024)).got, { "2024_10m_cdls.tif": TIF });
  assert.match((await refusal(t, zip, 2023)).message, /several rasters/);
  const other = await yazlZip({ "2024_10m_cdls.tif": TIF });
  assert.match((await refusal(t, other, 2023)).message, /another year's raster/);
});

/**
 * Deflate64 of one block with fixed codes: `head` as literals, then a match of 3 + `more` bytes at the
 * distance of head's length, which must be 256 or less. That length is what deflate has no code for.
 */
function deflate64(head, more) {
  const bits = [];
  const put = (value, count) => {
    for (let i = 0; i < count; i++) bits.push((value >> i) & 1);
  };
  const code = (value, count) => {
    for (let i = count - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(1, 1);
  put(1, 2);
  for (const byte of head) {
    if (byte < 144) code(0x30 + byte, 8);
    else code(0x190 + byte - 144, 9);
  }
  code(0xc0 + 285 - 280, 8);
  put(more, 16);
  // Distances 193 to 256.
  code(15, 5);
  put(head.length - 193, 6);
  code(0, 7);
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  for (const [i, bit] of bits.entries()) bytes[i >> 3] |= bit << (i & 7);
  return bytes;
}

test("deflate64, of lengths that deflate does not have; broken, it is refused", async (t) => {
  const head = tiffBytes(256);
  const data = Buffer.concat([head, Buffer.concat(Array(200).fill(head)).subarray(0, 3 + 40_000)]);
  const entry = { name: "2020_30m_cdls.tif", data, method: 9, packed: deflate64(head, 40_000) };
  assert.deepEqual((await extracted(t, handmadeZip([entry]))).got, { "2020_30m_cdls.tif": data });
  const broken = Buffer.from(entry.packed);
  broken[100] ^= 8;
  await assert.rejects(extracted(t, handmadeZip([{ ...entry, packed: broken }])), /Zip entry is corrupt/);
  const cut = entry.packed.subarray(0, 150);
  await assert.rejects(extracted(t, handmadeZip([{ ...entry, packed: cut }])), /Zip entry is corrupt/);
});

test("a bomb: what unpacks to more than its directory announces is refused, and no more than that is written", async (t) => {
  const head = tiffBytes(256);
  const zeros = Buffer.concat([head, Buffer.alloc(60_000_000)]);
  for (const packed of [
    { method: 8, packed: deflateRawSync(zeros) },
    { method: 9, packed: deflateRawSync(zeros, { strategy: constants.Z_HUFFMAN_ONLY }) },
    { method: 9, packed: deflate64(head, 60_000) },
  ]) {
    const root = tempFolder(t);
    const path = join(root, "y.zip");
    writeFileSync(path, handmadeZip([{ name: "2020_30m_cdls.tif", data: head, ...packed }]));
    await assert.rejects(extractRaster(path, 2020, join(root, "out"), testContext()), {
      kind: "input",
      message: /^Zip entry is corrupt .*entry="2020_30m_cdls.tif"/,
    });
    const written = readdirSync(join(root, "out")).map((name) => statSync(join(root, "out", name)).size);
    assert.ok(Math.max(0, ...written) <= head.length, `${written}`);
  }
});

const GOOD = { name: "2020_30m_cdls.tif", data: TIF };

for (const name of [
  "../2020_30m_cdls.tif",
  "a/../../evil.txt",
  "/etc/evil.tif",
  "C:/evil.tif",
  "a\\..\\..\\evil.txt",
  "evil\0.txt",
  "",
]) {
  test(`an entry named ${JSON.stringify(name)} spoils the whole zip`, async (t) => {
    const error = await refusal(t, handmadeZip([GOOD, { name, data: "evil" }]));
    assert.equal(error.kind, "input");
    assert.match(error.message, /^Zip refused, an entry's name leads out of the folder or is no file name/);
    assert.ok(error.message.includes(`entry=${JSON.stringify(name)}`), error.message);
  });
}

test("links and devices spoil the whole zip", async (t) => {
  const link = { name: "2020_30m_cdls.tfw", data: "/etc/passwd", mode: 0o120777 };
  assert.match(
    (await refusal(t, handmadeZip([GOOD, link]))).message,
    /an entry is a symbolic link.*entry="2020_30m_cdls.tfw"/,
  );
  const device = { name: "null", mode: 0o020666 };
  assert.match((await refusal(t, handmadeZip([GOOD, device]))).message, /an entry is a special file.*entry="null"/);
});

test("encrypted and unknown packing name the entry and what is known", async (t) => {
  const encrypted = await refusal(t, handmadeZip([{ ...GOOD, flags: 1 }]));
  assert.match(encrypted.message, /^Zip entry is encrypted .*entry="2020_30m_cdls.tif"/);
  const bzip2 = await refusal(t, handmadeZip([{ ...GOOD, method: 12 }]));
  assert.match(
    bzip2.message,
    /unzip it and pass the folder.*expected=stored, deflate or deflate64, received=bzip2 \(method 12\)/,
  );
});

test("no raster, several, another year's, one twice: each says what was there", async (t) => {
  const none = await refusal(
    t,
    await yazlZip({ "readme.txt": Buffer.from("x"), "2020_30m_cdls.tif.ovr": Buffer.from("x") }),
  );
  assert.match(
    none.message,
    /^Zip holds no raster .*expected=2020_30m_cdls.tif or .img, or one whose name holds 2020, received=readme.txt 2020_30m_cdls.tif.ovr\)/,
  );
  assert.match((await refusal(t, handmadeZip([]))).message, /received=an empty zip/);
  const several = await refusal(t, await yazlZip({ "a.tif": TIF, "b.img": hfaBytes() }));
  assert.match(several.message, /^Zip holds several rasters.*received=a.tif b.img/);
  const other = await refusal(t, await yazlZip({ "2019_30m_cdls.tif": TIF }));
  assert.match(other.message, /^Zip holds another year's raster.*received=2019_30m_cdls.tif/);
  assert.match((await refusal(t, handmadeZip([GOOD, GOOD]))).message, /several rasters/);
  const companion = { name: "2020_30m_cdls.tfw", data: "30" };
  assert.match(
    (await refusal(t, handmadeZip([GOOD, companion, companion]))).message,
    /an entry twice.*2020_30m_cdls.tfw/,
  );
});

test("no zip at all: the error shows its first bytes", async (t) => {
  const page = Buffer.from(`<!DOCTYPE html>\n<html><body>Service unavailable${" ".repeat(200)}</body>`);
  assert.match((await refusal(t, page)).message, /no zip at all.*received="<!DOCTYPE html> <html><body>Serv"/);
  assert.match((await refusal(t, Buffer.alloc(0))).message, /no zip at all.*received=an empty file/);
});

test("a missing zip", async () => {
  await assert.rejects(chooseRaster("/nowhere/y.zip", 2020), {
    kind: "input",
    message: /^Cannot open the zip .*ENOENT/,
  });
});

async function brokenExtraction(t, zip) {
  const root = tempFolder(t);
  const path = join(root, "y.zip");
  writeFileSync(path, zip);
  return extractRaster(path, 2020, join(root, "out"), testContext()).then(
    () => ({ bytes: readFileSync(join(root, "out", readdirSync(join(root, "out"))[0])) }),
    (error) => ({ error }),
  );
}

test("a wrong checksum or size in the directory, broken data", async (t) => {
  const { error: crc } = await brokenExtraction(t, handmadeZip([{ ...GOOD, crc: 1 }]));
  assert.match(
    crc.message,
    /checksum differs \(.*entry="2020_30m_cdls.tif", expected=00000001, received=[0-9a-f]{8}\)/,
  );
  for (const size of [TIF.length - 1, TIF.length + 1]) {
    const { error } = await brokenExtraction(t, handmadeZip([{ ...GOOD, size }]));
    assert.equal(error.kind, "input");
    assert.match(error.message, /^Zip entry is corrupt .*entry="2020_30m_cdls.tif"/);
  }
  const { error } = await brokenExtraction(t, handmadeZip([{ ...GOOD, packed: randomBytes(5_000, 6) }]));
  assert.equal(error.kind, "input");
});

test("a zip cut anywhere is refused", async (t) => {
  const zip = await yazlZip({ "2020_30m_cdls.tif": TIF, "readme.txt": Buffer.from("x") });
  for (let i = 0; i < 40; i++) {
    const { error } = await brokenExtraction(t, zip.subarray(0, Math.floor((zip.length * i) / 40)));
    assert.equal(error?.kind, "input", `cut at ${i}/40`);
  }
  const { error } = await brokenExtraction(t, zip.subarray(0, zip.length - 1));
  assert.equal(error?.kind, "input");
});

test("no flipped byte anywhere gives other pixels", async (t) => {
  const zip = await yazlZip({ "2020_30m_cdls.tif": tiffBytes(4_000) });
  const where = randomBytes(400 * 4, 11);
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const broken = Buffer.from(zip);
    // Half of them in the directory at the end, where most can go wrong.
    const position =
      i % 2 ? where.readUInt32LE(i * 4) % zip.length : zip.length - 1 - (where.readUInt32LE(i * 4) % 150);
    broken[position] ^= 1 << (i % 8);
    const { error, bytes } = await brokenExtraction(t, broken);
    if (error === undefined) {
      assert.deepEqual(bytes, tiffBytes(4_000), `byte ${position}`);
    } else {
      refused++;
      // A size of petabytes in the directory reads as a want of space.
      assert.ok(["input", "space"].includes(error.kind), `byte ${position}: ${error.stack}`);
    }
  }
  assert.ok(refused > 250, `${refused} of 400 refused`);
});

test("an abort ends the extraction with the signal's reason", async (t) => {
  const root = tempFolder(t);
  const path = join(root, "y.zip");
  writeFileSync(path, await yazlZip({ "2020_30m_cdls.tif": tiffBytes(4_000_000) }));
  const ctx = testContext();
  const reason = new Error("stop now");
  ctx.progress.start = () => ({ update: () => ctx.controller.abort(reason), end() {} });
  await assert.rejects(extractRaster(path, 2020, join(root, "out"), ctx), reason);
  assert.ok(existsSync(path));
});
