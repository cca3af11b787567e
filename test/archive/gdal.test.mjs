// GDAL's PMTiles driver (3.8 and newer) as a judge of what is written.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { writeFields } from "../support/field-tiles.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const formats = spawnSync("ogrinfo", ["--formats"], { encoding: "utf8" });
const missing =
  formats.error !== undefined
    ? "ogrinfo is not installed"
    : /PMTiles/.test(formats.stdout)
      ? false
      : `${spawnSync("ogrinfo", ["--version"], { encoding: "utf8" }).stdout.trim()} has no PMTiles driver`;

test("GDAL reads both layers, their attributes and every field of the highest zoom", { skip: missing }, (t) => {
  const path = join(tempFolder(t), "a.pmtiles");
  const rows = writeFields(path);
  const output = join(tempFolder(t), "fields.geojson");
  for (const layer of ["fields", "centroids"]) {
    execFileSync("ogr2ogr", ["-f", "GeoJSONSeq", output, path, layer]);
    const text = execFileSync("cat", [output], { encoding: "utf8" });
    const ids = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).properties.field_id);
    assert.equal(new Set(ids).size, rows);
  }
});
