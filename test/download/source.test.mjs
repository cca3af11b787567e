import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { OPTIONS } from "../../dist/config/options.js";
import { locateSource } from "../../dist/download/source.js";
import { tempFolder } from "../support/temp-folder.mjs";

test("the default is the national file of the year", () => {
  const source = locateSource(OPTIONS.cdlSource.default, 2020);
  assert.equal(source.place, "remote");
  assert.equal(source.form, "zip");
  assert.match(source.name, /^https:\/\/www\.nass\.usda\.gov\/.*\/2020_30m_cdls\.zip$/);
});

test("URLs: every {year} is filled in, a folder gets the file's name, a raster is seen by its ending", () => {
  const of = (template) => {
    const { name, form } = locateSource(template, 2020);
    return [name, form];
  };
  assert.deepEqual(of("http://h/{year}/{year}.zip?y={year}"), ["http://h/2020/2020.zip?y=2020", "zip"]);
  assert.deepEqual(of("https://h/cdl/"), ["https://h/cdl/", "folder"]);
  assert.deepEqual(of("s3://b/cdl/"), ["s3://b/cdl/", "folder"]);
  assert.deepEqual(of("s3://b"), ["s3://b/", "folder"]);
  assert.deepEqual(of("s3://b/a b/{year}.tif"), ["s3://b/a b/2020.tif", "raster"]);
  assert.deepEqual(of("https://h/{year}.TIF"), ["https://h/2020.TIF", "raster"]);
  assert.deepEqual(of("https://h/get?file={year}"), ["https://h/get?file=2020", "zip"]);
});

test("a folder, as path, relative path or file: URL; a raster in it wins over a zip", (t) => {
  const folder = tempFolder(t);
  const zip = join(folder, "2020_30m_cdls.zip");
  writeFileSync(zip, "");
  const spellings = [
    folder,
    relative(process.cwd(), folder),
    pathToFileURL(folder).href,
    `${pathToFileURL(folder).href}/`,
    `file:${folder}`,
    `file:${relative(process.cwd(), folder)}`,
  ];
  for (const text of spellings) {
    assert.deepEqual(locateSource(text, 2020), { place: "local", name: folder, form: "zip", file: zip }, text);
  }
  for (const name of ["2020_30m_cdls.img", "2020_30M_CDLS.TIF"]) {
    writeFileSync(join(folder, name), "");
    assert.deepEqual(locateSource(folder, 2020), {
      place: "local",
      name: folder,
      form: "raster",
      file: join(folder, name),
    });
  }
});

test("a template names the file, or the folder of the year", (t) => {
  const folder = tempFolder(t);
  mkdirSync(join(folder, "y2020"));
  const inside = join(folder, "y2020", "2020_30m_cdls.tif");
  const file = join(folder, "crops of 2020.img");
  for (const path of [inside, file]) writeFileSync(path, "");
  assert.equal(locateSource(join(folder, "y{year}"), 2020).file, inside);
  assert.equal(locateSource(join(folder, "crops of {year}.img"), 2020).file, file);
  assert.equal(locateSource(`${pathToFileURL(folder).href}/crops%20of%20{year}.img`, 2020).file, file);
});

test("what is not there is told, with what was looked for and what there is instead", (t) => {
  const folder = tempFolder(t);
  for (const year of [2018, 2019]) writeFileSync(join(folder, `${year}_30m_cdls.zip`), "");
  writeFileSync(join(folder, "notes.txt"), "");
  assert.deepEqual(locateSource(folder, 2020), {
    place: "missing",
    name: folder,
    sentence: "No raster of this year at the source",
    expected: "2020_30m_cdls.zip, .tif or .img, or one file whose name holds 2020",
    received: "2018_30m_cdls.zip 2019_30m_cdls.zip",
  });
  const gone = locateSource(join(folder, "{year}.zip"), 2020);
  assert.deepEqual(
    [gone.place, gone.name, gone.received],
    ["missing", join(folder, "2020.zip"), "no such file or folder"],
  );
});

test("in a folder, the one file whose name holds the year; several are named", (t) => {
  const taken = (names, year = 2024) => {
    const folder = tempFolder(t);
    for (const name of names) writeFileSync(join(folder, name), "");
    const { place, file, received } = locateSource(folder, year);
    return place === "local" ? basename(file) : received;
  };
  assert.equal(taken(["2023_10m_cdls.zip", "2024_10m_cdls.zip"]), "2024_10m_cdls.zip");
  assert.equal(taken(["CDL_2024.tif", "CDL_2024.tif.aux.xml", "CDL_2024.tfw", "CDL_2023.tif"]), "CDL_2024.tif");
  assert.equal(taken(["kansas-2024-clip.img", "kansas-2024-clip.zip"]), "kansas-2024-clip.img");
  assert.equal(taken(["CDL_2024_clip_20240131093000_123.tif"]), "CDL_2024_clip_20240131093000_123.tif");
  assert.equal(taken(["2024_30m_cdls.tif", "2024_kansas.tif"]), "2024_30m_cdls.tif");
  assert.equal(taken(["12024.tif", "20241.tif"]), "12024.tif 20241.tif");
  assert.equal(taken(["2024_kansas.tif", "2024_iowa.tif", "2023.tif"]), "2024_iowa.tif 2024_kansas.tif");
  assert.equal(taken(["2024_10m_cdls.tif", "2024_30m_cdls.tif"]), "2024_10m_cdls.tif 2024_30m_cdls.tif");
});

for (const [template, complaint] of [
  ["http://h/cdl.zip", /must contain \{year\}/],
  ["/data/cdl.tif", /must contain \{year\}/],
  ["ftp://h/{year}.zip", /must be http\(s\):\/\/, s3:\/\/, file:\/\/ or a path/],
  ["http://", /is not a URL/],
  ["http://me:secret@h/{year}.zip", /must not carry a user name or password/],
  ["file://otherhost/{year}.zip", /not a usable file:\/\/ URL/],
]) {
  test(`${template} is refused`, () => {
    assert.throws(
      () => locateSource(template, 2020),
      (error) => {
        assert.equal(error.kind, "usage");
        assert.match(error.message, complaint);
        assert.ok(!error.message.includes("secret"));
        return true;
      },
    );
  });
}

test("a file that is neither zip nor raster is refused", (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "2020.7z"), "");
  assert.throws(() => locateSource(join(folder, "{year}.7z"), 2020), {
    kind: "usage",
    message: /\.zip, \.tif or \.img/,
  });
});
