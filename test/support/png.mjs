// A PNG's pixels as GDAL reads them.
import gdal from "gdal-async";

/** @returns {width, height, at(x, y)}: colors as "#rrggbb"; an opaque picture only. */
export function readPng(path) {
  const dataset = gdal.open(path);
  const { x: width, y: height } = dataset.rasterSize;
  const bands = dataset.bands.map((band) => band.pixels.read(0, 0, width, height));
  dataset.close();
  if (bands[3]?.some((alpha) => alpha !== 255)) throw new Error(`${path} is not opaque`);
  const at = (x, y) => {
    const bytes = bands.slice(0, 3).map((band) => band[y * width + x].toString(16).padStart(2, "0"));
    return `#${bytes.join("")}`;
  };
  return { width, height, at };
}

/** From lng, lat to the pixel of a map that a preview's JSON describes: web mercator by its formula. */
export function pixelOf(map, lng, lat) {
  const down = (degrees) => Math.asinh(Math.tan((degrees * Math.PI) / 180));
  const { west, south, east, north } = map.bounds;
  return [
    map.x + ((lng - west) / (east - west)) * map.width,
    map.y + ((down(north) - down(lat)) / (down(north) - down(south))) * map.height,
  ];
}
