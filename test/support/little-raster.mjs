// A raster of random classes, and squares on it: small enough that every answer is counted by hand.
import gdal from "gdal-async";
import { Random } from "./random.mjs";

/** @returns {path, at: (col, row) => class}; north-up, `size` pixels a side. */
export function littleRaster(path, { x0 = -100_005, y0 = 1_900_005, pixel = 30, size = 64, srs = "EPSG:5070" } = {}) {
  const random = new Random(5);
  const pixels = Uint8Array.from({ length: size * size }, () => 1 + Math.floor(6 * random.next() ** 2));
  const raster = gdal.open(path, "w", "GTiff", size, size, 1, gdal.GDT_Byte);
  raster.srs = gdal.SpatialReference.fromUserInput(srs);
  raster.geoTransform = [x0, pixel, 0, y0, 0, -pixel];
  raster.bands.get(1).pixels.write(0, 0, size, size, pixels);
  raster.close();
  return { path, x0, y0, pixel, size, at: (col, row) => pixels[row * size + col] };
}

/** Squares of 5 × 5 pixels, one beside the other along diagonals: {ring, majority, pixels}. */
export function littleSquares({ x0, y0, pixel, at }, count) {
  return Array.from({ length: count }, (_, i) => {
    const [col, row] = [1 + 6 * (i % 9), 1 + 6 * Math.floor(i / 9)];
    const [left, top, side] = [x0 + col * pixel, y0 - row * pixel, 5 * pixel];
    const [right, bottom] = [left + side, top - side];
    const ring = [
      [left, top],
      [right, top],
      [right, bottom],
      [left, bottom],
      [left, top],
    ];
    const counts = new Map();
    for (let k = 0; k < 25; k++) {
      const code = at(col + (k % 5), row + Math.floor(k / 5));
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
    const [[majority, pixels]] = [...counts].sort(([a, n], [b, m]) => m - n || a - b);
    return { ring, majority, pixels };
  });
}
