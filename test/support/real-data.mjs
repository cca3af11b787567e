import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of real rasters and fields beside the checkout; tests read it in place. */
const FOLDER = new URL("../../../shared/data/", import.meta.url);

export const realData = existsSync(FOLDER);

/** For a test's options: says why it is skipped where the data are absent. */
export const needsRealData = realData ? {} : { skip: `real data are not at ${fileURLToPath(FOLDER)}` };

export function realPath(name) {
  return fileURLToPath(new URL(name, FOLDER));
}

/** Fields and rasters that belong together, with answers from GeoPandas + rasterio. */
export const PAIRS = [
  { fields: "kansas2021", raster: "2021_30m_cdls.tif", year: 2021 },
  { fields: "kansas2021_lattice", raster: "2021_30m_cdls.tif", year: 2021 },
  { fields: "barton", raster: "barton_county_ks_2010.tif", year: 2010 },
  { fields: "barton", raster: "barton_county_ks_2019.tif", year: 2019 },
  { fields: "barton_lattice", raster: "barton_county_ks_2010.tif", year: 2010 },
  { fields: "barton_lattice", raster: "barton_county_ks_2019.tif", year: 2019 },
  { fields: "viscover", raster: "ames_2018.tif", year: 2018 },
];
