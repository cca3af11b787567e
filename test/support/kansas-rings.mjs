import { littleRaster } from "./little-raster.mjs";
import { Random } from "./random.mjs";

/** A raster in Kansas, in EPSG:5070, for the rings below. */
export function kansasRaster(path) {
  return littleRaster(path, { srs: "EPSG:5070", x0: -152_985, y0: 1_685_125, size: 200 });
}

/** Rings of fields in degrees, within 2 km of the raster's middle. */
export function kansasRings(count) {
  const random = new Random(17);
  return Array.from({ length: count }, () => {
    const [lon, lat] = [-97.735 + random.between(-0.02, 0.02), 38.17 + random.between(-0.016, 0.016)];
    const corners = 5 + Math.floor(random.next() * 6);
    const ring = Array.from({ length: corners }, (_, k) => {
      const [angle, r] = [(-2 * Math.PI * k) / corners, random.between(0.001, 0.004)];
      return [lon + r * Math.cos(angle), lat + 0.8 * r * Math.sin(angle)];
    });
    return [...ring, ring[0]];
  });
}
