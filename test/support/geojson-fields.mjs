// Seeded fields as tippecanoe takes them: a polygon and a centroid each, newline-delimited, ids 0, 1, 2 ...
import { Random } from "./random.mjs";

const SIDE_DEG = 0.006;
export const CROPS = [1, 5, 24, 36, 61, 176];

/** Chunks of about `perChunk` fields. */
export function* fieldChunks(count, { seed = 1, perChunk = 500, west = -98, south = 38 } = {}) {
  const random = new Random(seed);
  const across = Math.ceil(Math.sqrt(count));
  let text = "";
  for (let id = 0; id < count; id++) {
    const [x, y] = [west + (id % across) * SIDE_DEG, south + Math.floor(id / across) * SIDE_DEG];
    const corners = random.integer(4, 9);
    const ring = Array.from({ length: corners }, (_, k) => {
      const angle = (2 * Math.PI * k) / corners;
      const radius = random.between(0.36, 0.47) * SIDE_DEG;
      return `[${(x + radius * Math.cos(angle)).toFixed(7)},${(y + radius * Math.sin(angle)).toFixed(7)}]`;
    });
    const properties = `{"field_id":${id},"area_ha":${random.between(20, 40).toFixed(2)},"crop_code":${cropOf(id)}}`;
    const feature = (layer, type, coordinates) =>
      `{"type":"Feature","id":${id},"tippecanoe":{"layer":"${layer}"},"properties":${properties},` +
      `"geometry":{"type":"${type}","coordinates":${coordinates}}}\n`;
    text += feature("fields", "Polygon", `[[${[...ring, ring[0]].join(",")}]]`);
    text += feature("centroids", "Point", `[${x.toFixed(7)},${y.toFixed(7)}]`);
    if (id % perChunk === perChunk - 1 || id === count - 1) {
      yield Buffer.from(text);
      text = "";
    }
  }
}

export function cropOf(id) {
  return CROPS[(id * 7 + (id >> 3)) % CROPS.length];
}

export async function* fieldStream(count, options) {
  yield* fieldChunks(count, options);
}
