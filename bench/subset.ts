import { writeFileSync } from "node:fs";
import { join } from "node:path";
import gdal from "gdal-async";
import { openFields } from "../dist/fields/fields-file.js";
import { spatialReference } from "../dist/fields/projection.js";
import { columnData, readSlice, wkbColumn } from "../dist/fields/read-slice.js";
import { planSlices } from "../dist/fields/slice.js";
import { openRaster } from "../dist/raster/raster.js";
import type { World } from "./world.js";

/** Stretches of neighboring rows that a subset is made of: a peer then finds blocks in its cache as it would in a full run. */
const STRETCHES = 10;
const BATCH = 16_384;

export interface Subset {
  readonly rows: readonly number[];
  /** Geometries as WKB in the file's CRS, by position in `rows`. */
  readonly wkb: readonly Buffer[];
  /** WKT. */
  readonly crs: string;
}

/** Read `count` fields in stretches spread evenly over the file. */
export async function readSubset(world: World, count: number): Promise<Subset> {
  const fields = await openFields(world.fieldsPath, {});
  const length = Math.ceil(count / STRETCHES);
  const rows = Array.from({ length: count }, (_, i) => {
    const stretch = Math.floor(i / length);
    return Math.floor((stretch * fields.rows) / Math.ceil(count / length)) + (i % length);
  });
  const wkb: Buffer[] = [];
  let at = 0;
  for (const slice of planSlices(fields, BATCH)) {
    const end = slice.firstRow + slice.rows;
    if (at >= rows.length || (rows[at] as number) >= end) continue;
    const { values, offsets } = wkbColumn(
      columnData(await readSlice(fields.path, slice, [fields.geometryColumn]), fields.geometryColumn),
    );
    for (; at < rows.length && (rows[at] as number) < end; at++) {
      const row = (rows[at] as number) - slice.firstRow;
      wkb.push(Buffer.from(values.subarray(offsets[row], offsets[row + 1])));
    }
  }
  return { rows, wkb, crs: spatialReference(fields.crs).toWKT() };
}

/** For rasterio_mask.py: each geometry behind its length, little-endian. */
export function writeWkb(path: string, subset: Subset): void {
  writeFileSync(
    path,
    Buffer.concat(subset.wkb.flatMap((wkb) => [Buffer.from(Uint32Array.of(wkb.length).buffer), wkb])),
  );
}

/** For exactextract: a FlatGeobuf in the raster's CRS, so that it need not reproject; `row` is the row. */
export function writeFlatGeobuf(folder: string, subset: Subset, rasterPath: string): string {
  const path = join(folder, `exactextract-${subset.rows.length}.fgb`);
  const source = gdal.SpatialReference.fromWKT(subset.crs);
  const target = gdal.SpatialReference.fromUserInput(openRaster(rasterPath).grid.crs);
  const transformation = new gdal.CoordinateTransformation(source, target);
  const dataset = gdal.open(path, "w", "FlatGeobuf");
  const layer = dataset.layers.create("fields", target, gdal.wkbMultiPolygon, ["SPATIAL_INDEX=NO"]);
  layer.fields.add(new gdal.FieldDefn("row", gdal.OFTInteger64));
  subset.wkb.forEach((wkb, i) => {
    const feature = new gdal.Feature(layer);
    const geometry = gdal.Geometry.fromWKB(wkb);
    geometry.transform(transformation);
    feature.setGeometry(geometry instanceof gdal.MultiPolygon ? geometry : asMulti(geometry));
    feature.fields.set("row", subset.rows[i]);
    layer.features.add(feature);
  });
  dataset.close();
  return path;
}

function asMulti(geometry: gdal.Geometry): gdal.MultiPolygon {
  const multi = new gdal.MultiPolygon();
  multi.children.add(geometry);
  return multi;
}
