// A small raster of few classes and random fields on it, over chunk edges too: ties are many.
import { join } from "node:path";
import gdal from "gdal-async";
import { command } from "./command.mjs";
import { query, writeFields } from "./duck.mjs";
import { Random } from "./random.mjs";
import { onGrid } from "./random-polygons.mjs";
import { writeWkb } from "./wkb.mjs";

export const GRID = { a: 30, c: -300015, e: -30, f: 2000025, width: 2300, height: 600 };

/** Write classes 0 to 5, in patches of a few pixels. */
export function writeClasses(path, { grid = GRID, epsg = 5070 } = {}) {
  const random = new Random(7);
  const { a, c, e, f, width, height } = grid;
  const raster = gdal.open(path, "w", "GTiff", width, height, 1, gdal.GDT_Byte, ["TILED=YES", "COMPRESS=LZW"]);
  raster.srs = gdal.SpatialReference.fromEPSG(epsg);
  raster.geoTransform = [c, a, 0, f, 0, e];
  const pixels = new Uint8Array(width * height);
  let code = 1;
  for (let i = 0; i < pixels.length; i++) {
    if (random.chance(0.3)) code = random.integer(0, 6);
    pixels[i] = code;
  }
  raster.bands.get(1).pixels.write(0, 0, width, height, pixels);
  raster.close();
}

/** A world in a folder: classes.tif and fields.parquet of these geometries (in pixels), ids counting up. */
export async function writeWorld(folder, geometries, { grid = GRID, epsg = 5070 } = {}) {
  writeClasses(join(folder, "classes.tif"), { grid, epsg });
  const placed = geometries.map((geometry) => onGrid(geometry, grid));
  await writeFields(
    join(folder, "fields.parquet"),
    placed.map((geometry, id) => ({ id, wkb: writeWkb(geometry) })),
  );
  return placed;
}

/** Run dist/zonal.js on the world; the table's path and the run. */
export async function zonalOf(folder, name, args = [], crs = "EPSG:5070") {
  const out = join(folder, `${name}.parquet`);
  const run = await command("zonal", [
    "--fields",
    join(folder, "fields.parquet"),
    "--fields-crs",
    crs,
    "--raster",
    join(folder, "classes.tif"),
    "--out",
    out,
    ...args,
  ]);
  return { out, ...run };
}

export function rowsOf(path) {
  return query(`select * from read_parquet('${path}', file_row_number = true) order by file_row_number`);
}
