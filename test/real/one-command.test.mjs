// From USDA's crop sequence boundaries (.gdb.zip) and from a fiboa file to a published map, by one command each.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { featuresOf, readArchive } from "../support/archive-features.mjs";
import { command } from "../support/command.mjs";
import { query } from "../support/duck.mjs";
import { pixelOf, readPng } from "../support/png.mjs";
import { needsRealData, realPath } from "../support/real-data.mjs";
import { tempFolder } from "../support/temp-folder.mjs";
import { writeVector } from "../support/vector-file.mjs";

const FIELDS = 2604;
const ACRE = 4046.8564224;
/** Meters inside a field where a map's pixel has its color and no border. */
const INSIDE = 120;

/** Real fields of Kansas with the crop that rasterio finds: id, polygon in Conus Albers, square meters, crop. */
async function kansas() {
  const rows = await query(`
    set enable_geoparquet_conversion = false;
    select field_id::int as id, geometry as wkb, crop_code::int as crop
    from '${realPath("kansas2021_lattice/fields_raw.parquet")}'
      join read_csv('${realPath("kansas2021_lattice/expected_2021.csv")}') using (field_id) order by id`);
  return rows.map(({ id, wkb, crop }) => {
    const polygon = gdal.Geometry.fromWKB(Buffer.from(wkb));
    return { id, polygon, area: polygon.getArea(), crop };
  });
}

/** Points well inside the large fields, with their crop. */
function insidePoints(fields) {
  const albers = gdal.SpatialReference.fromEPSG(5070);
  const degrees = gdal.SpatialReference.fromUserInput("OGC:CRS84");
  const way = new gdal.CoordinateTransformation(albers, degrees);
  return fields.flatMap(({ polygon, crop }) => {
    const inner = polygon.buffer(-INSIDE, 4);
    if (inner.isEmpty()) return [];
    const center = inner.centroid();
    if (!inner.contains(center)) return [];
    const { x: lng, y: lat } = way.transformPoint(center.x, center.y);
    return [{ lng, lat, crop }];
  });
}

function writeCsb(folder, fieldsOfKansas) {
  const rows = fieldsOfKansas.map(({ id, polygon, area, crop }) => ({
    wkt: polygon.toWKT().replace(/^POLYGON (.*)$/, "MULTIPOLYGON ($1)"),
    CSBID: `201724${String(id).padStart(9, "0")}`,
    CSBYEARS: "1724",
    CSBACRES: area / ACRE,
    CDL2021: crop,
    CNTY: "Kingman",
  }));
  const fields = {
    CSBID: gdal.OFTString,
    CSBYEARS: gdal.OFTString,
    CSBACRES: gdal.OFTReal,
    CDL2021: gdal.OFTInteger,
    CNTY: gdal.OFTString,
  };
  const layer = { name: "national1724", rows, crs: 5070, fields, type: gdal.wkbMultiPolygon };
  writeVector(join(folder, "csb.gpkg"), "GPKG", [layer]);
  const layers = gdal.open(join(folder, "csb.gpkg"));
  gdal.vectorTranslate(join(folder, "CSB1724.gdb"), layers, ["-f", "OpenFileGDB"]).close();
  layers.close();
  const zip = spawnSync("python3", ["-m", "zipfile", "-c", "NationalCSB_2017-2024_rev23.gdb.zip", "CSB1724.gdb"], {
    cwd: folder,
  });
  assert.equal(zip.status, 0, String(zip.stderr));
  return { file: join(folder, "NationalCSB_2017-2024_rev23.gdb.zip"), ids: rows.map(({ CSBID }) => CSBID) };
}

/** With the metadata of fiboa 0.3 and areas in square meters. */
async function writeFiboa(folder, fieldsOfKansas) {
  const file = join(folder, "fiboa.parquet");
  const collection = {
    schemas: { kansas: ["https://fiboa.org/specification/v0.3.0/schema.yaml"] },
    fiboa_version: "0.3.0",
    fiboa_extensions: [],
    collection: "kansas",
  };
  const column = { encoding: "WKB", geometry_types: ["Polygon"], bbox: [-98, 37, -97, 38] };
  const geo = { version: "1.1.0", primary_column: "geometry", columns: { geometry: column } };
  const areas = fieldsOfKansas.map(({ id, area }) => `(${id}, ${area})`);
  await query(`
    set enable_geoparquet_conversion = false;
    copy (
      select 'ks-' || field_id as id, geometry, 'kansas' as collection, area::float as "metrics:area",
        timestamp '2021-06-01' as "determination:datetime", 'auto-imagery' as "determination:method"
      from '${realPath("kansas2021/fields_raw.parquet")}' join (values ${areas.join(",")}) a(field_id, area) using (field_id)
      order by field_id
    ) to '${file}' (format parquet, compression zstd, geoparquet_version 'NONE', kv_metadata {
      collection: '${JSON.stringify(collection)}', geo: '${JSON.stringify(geo)}'
    })`);
  return { file, ids: fieldsOfKansas.map(({ id }) => `ks-${id}`) };
}

for (const [name, write] of [
  ["crop sequence boundaries as .gdb.zip", writeCsb],
  ["a fiboa file", writeFiboa],
]) {
  test(`${name}: published with every crop, area and id, and drawn in the crops' colors`, needsRealData, async (t) => {
    const folder = tempFolder(t);
    const rows = await kansas();
    const { file, ids } = await write(folder, rows);
    const site = join(folder, "site");
    const source = `${realPath("rasters/")}{year}_30m_cdls.tif`;
    const run = await command("year", [
      "2021",
      "--root",
      join(folder, "root"),
      "--fields-raw",
      file,
      "--cdl-source",
      source,
      "--target",
      `file:${site}`,
    ]);
    assert.equal(run.code, 0, run.stderr);
    const manifest = readFileSync(join(site, "us_full_years.json"), "utf8");
    const [, published] = /"([^"]+\.pmtiles)"/.exec(manifest);
    const archive = join(site, basename(published));

    const { maxZoom } = (await readArchive(t, archive, [0, 0])).header;
    const features = featuresOf(await readArchive(t, archive, [maxZoom, maxZoom]), "centroids", maxZoom);
    assert.equal(features.size, FIELDS);
    for (const [row, { properties }] of features) {
      const { crop, area } = rows[row];
      assert.deepEqual([properties.field_id, properties.crop_code], [ids[row], crop || undefined]);
      assert.ok(Math.abs(properties.area_ha - area / 1e4) < 0.006 + area * 1e-7, `${properties.area_ha} ${area}`);
    }

    const out = join(folder, "map.png");
    const drawn = await command("preview", ["--archive", archive, "--out", out, "--width", "1800", "--json"]);
    assert.equal(drawn.code, 0, drawn.stderr);
    const [map, png] = [drawn.json.maps[0], readPng(out)];
    const colors = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
    const points = insidePoints(rows);
    assert.ok(points.length > 100, `${points.length}`);
    const wrong = points.filter(({ lng, lat, crop }) => {
      const [x, y] = pixelOf(map, lng, lat);
      return crop !== 0 && png.at(Math.floor(x), Math.floor(y)) !== colors.get(crop).toLowerCase();
    });
    // The plate of the scale lies over some.
    assert.ok(wrong.length < points.length * 0.03, `${wrong.length} of ${points.length}`);
    assert.ok(new Set(points.map(({ crop }) => crop)).size > 5);
  });
}
