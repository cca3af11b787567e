import gdal from "gdal-async";
import { PipelineError } from "../pipeline/errors.js";
import type { Raster } from "./raster.js";

/**
 * Area of a pixel of each row on the ellipsoid of the raster's CRS, m².
 *
 * The area between two parallels is exact (Snyder, Map Projections: A Working Manual, 3-12);
 * all pixels of a row have the same area.
 *
 * @throws {PipelineError} usage, if the raster is not in degrees.
 */
export function rowAreas({ path, grid }: Pick<Raster, "path" | "grid">): Float64Array {
  const srs = gdal.SpatialReference.fromWKT(grid.crs);
  const [semiMajor, inverseFlattening] = [1, 2].map((i) => Number(srs.getAttrValue("SPHEROID", i))) as [number, number];
  if (!srs.isGeographic() || Math.abs(srs.getAngularUnits().value - RADIANS) > 1e-9 || !(semiMajor > 0)) {
    throw new PipelineError(
      "usage",
      "--weights area needs a raster in degrees; on other rasters all pixels have the same area",
      {
        path,
      },
    );
  }
  const [, dx, , y0, , dy] = grid.geotransform;
  const flattening = inverseFlattening > 0 ? 1 / inverseFlattening : 0;
  const e2 = flattening * (2 - flattening);
  const e = Math.sqrt(e2);
  const scale = (semiMajor * semiMajor * (1 - e2) * Math.abs(dx) * RADIANS) / 2;
  const fromEquator = (lat: number): number => {
    const s = Math.sin(Math.min(Math.max(lat, -90), 90) * RADIANS);
    return scale * (s / (1 - e2 * s * s) + (e > 0 ? Math.atanh(e * s) / e : s));
  };
  return Float64Array.from({ length: grid.height }, (_, row) =>
    Math.abs(fromEquator(y0 + (row + 1) * dy) - fromEquator(y0 + row * dy)),
  );
}

const RADIANS = Math.PI / 180;
