import gdal from "gdal-async";
import { spatialReference } from "../fields/projection.js";
import { PipelineError } from "../pipeline/errors.js";
import type { ExportColumn } from "./export-columns.js";
import type { FieldRecord } from "./record-file.js";

/** Features between two looks at the event loop. */
const BREATHE_ROWS = 5000;

/**
 * Fields as FlatGeobuf or GeoPackage, by GDAL.
 *
 * @param records  all with a polygon, for FlatGeobuf: its spatial index takes no others.
 * @returns features written.
 * @throws {PipelineError} input: an id that GDAL's numbers would round.
 */
export async function writeVectorFile(
  path: string,
  format: "fgb" | "gpkg",
  records: AsyncIterable<FieldRecord[]>,
  columns: readonly ExportColumn[],
  textIds: boolean,
  crs: string,
): Promise<number> {
  const types = {
    id: textIds ? gdal.OFTString : gdal.OFTInteger64,
    area: gdal.OFTReal,
    crop: gdal.OFTInteger,
    share: gdal.OFTInteger,
    text: gdal.OFTString,
  };
  // The file is made in scratch, and the bindings have no transactions.
  for (const key of ["OGR_SQLITE_SYNCHRONOUS", "OGR_SQLITE_JOURNAL"]) gdal.config.set(key, "OFF");
  const dataset = gdal.drivers.get(format === "fgb" ? "FlatGeobuf" : "GPKG").create(path);
  let rows = 0;
  try {
    const layer = dataset.layers.create("fields", spatialReference(crs), gdal.wkbMultiPolygon);
    for (const { name, kind } of columns) layer.fields.add(new gdal.FieldDefn(name, types[kind]));
    for await (const piece of records) {
      for (const record of piece) {
        layer.features.add(featureOf(layer, record, columns, path));
        if (++rows % BREATHE_ROWS === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    layer.flush();
  } finally {
    dataset.close();
  }
  return rows;
}

function featureOf(
  layer: gdal.Layer,
  record: FieldRecord,
  columns: readonly ExportColumn[],
  path: string,
): gdal.Feature {
  const feature = new gdal.Feature(layer);
  columns.forEach(({ name, valueIn }, i) => {
    const value = valueIn(record);
    if (value === null) return;
    const plain = typeof value === "bigint" ? Number(value) : value;
    if (typeof plain === "number" && Number.isInteger(plain) && !Number.isSafeInteger(plain)) {
      throw new PipelineError("input", "An id has more than 53 bits; only the formats geoparquet and csv can hold it", {
        path,
        column: name,
        received: String(value),
      });
    }
    feature.fields.set(i, plain);
  });
  if (record.wkb.length > 0) feature.setGeometry(gdal.Geometry.fromWKB(Buffer.from(record.wkb)));
  return feature;
}

/** How many features a file has. */
export function countFeatures(path: string): number {
  const dataset = gdal.open(path);
  try {
    return dataset.layers.get(0).features.count();
  } finally {
    dataset.close();
  }
}
