// Vector files written by GDAL: .gpkg, .fgb, .shp, .geojson and whatever else it writes.
import gdal from "gdal-async";

/**
 * Write layers, each {name, rows, crs: EPSG code or null, srs: any other name of it, fields: {name: OGR type}}; a row is {wkt: text or null, ...values}.
 * Values of a field that a row lacks are null.
 */
export function writeVector(path, driver, layers, options = []) {
  const dataset = gdal.drivers.get(driver).create(path, 0, 0, 0, gdal.GDT_Byte, options);
  for (const {
    name,
    rows,
    crs = 5070,
    srs: text,
    fields = { id: gdal.OFTInteger },
    type = gdal.wkbUnknown,
  } of layers) {
    const known = crs === null ? null : gdal.SpatialReference.fromEPSG(crs);
    const srs = text === undefined ? known : gdal.SpatialReference.fromUserInput(text);
    const layer = dataset.layers.create(name, srs, type);
    for (const [field, kind] of Object.entries(fields)) layer.fields.add(new gdal.FieldDefn(field, kind));
    for (const { wkt, fid, ...values } of rows) {
      const feature = new gdal.Feature(layer);
      if (fid !== undefined) feature.fid = fid;
      for (const [field, value] of Object.entries(values)) feature.fields.set(field, value);
      if (wkt !== null) feature.setGeometry(gdal.Geometry.fromWKT(wkt));
      layer.features.add(feature);
    }
    layer.flush();
  }
  dataset.close();
}

/** What GDAL itself reads, feature by feature: {fid, id: a field's value, wkb: hex in two dimensions, or null}. */
export function readVector(path, idField, layerName) {
  const dataset = gdal.open(path);
  const layer = layerName === undefined ? dataset.layers.get(0) : dataset.layers.get(layerName);
  const rows = layer.features.map((feature) => {
    const geometry = feature.getGeometry();
    geometry?.flattenTo2D();
    const wkb = geometry?.toWKB(gdal.wkbNDR).toString("hex").toUpperCase() ?? null;
    return { fid: feature.fid, id: idField === undefined ? null : feature.fields.get(idField), wkb };
  });
  dataset.close();
  return rows;
}
