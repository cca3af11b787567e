import gdal from "gdal-async";

/**
 * A CRS as GeoParquet has it: PROJJSON; null where there is none.
 *
 * The bindings have no function for it, but GDAL (3.6 and newer) describes a raster so; an older one
 * leaves WKT, which is not GeoParquet's way, yet fields-file.ts reads it.
 */
export function toProjjson(srs: gdal.SpatialReference | null): object | string | null {
  if (srs === null) return null;
  try {
    const raster = gdal.open("", "w", "MEM", 1, 1, 1, gdal.GDT_Byte);
    raster.srs = srs;
    const { stac } = JSON.parse(gdal.info(raster, ["-json"])) as { stac?: { "proj:projjson"?: object } };
    raster.close();
    return stac?.["proj:projjson"] ?? srs.toWKT();
  } catch {
    return srs.toWKT();
  }
}
