// An archive of rectangular fields in one zoom, cut at tile sides as a tiler cuts them.
import { gzipSync } from "node:zlib";
import { tileId } from "../../dist/archive/tile-id.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";
import { vectorTile } from "./field-tiles.mjs";

const EXTENT = 4096;

/**
 * @param fields  [{box: [left, top, right, bottom], holes: [box], properties}], in units of 1/4096 of a tile from
 *   the north-west corner of tile `origin`.
 * @param buffer  units that a tile's content reaches beyond its sides.
 * @returns the bounds as [west, south, east, north].
 */
export function writeSquareFields(path, fields, options = {}) {
  const { z = 12, origin = [940, 1580], buffer = 80, layer = "fields", metadata = {} } = options;
  const tiles = new Map();
  for (const [id, { box, holes = [], properties = {} }] of fields.entries()) {
    const first = box.slice(0, 2).map((side) => Math.floor((side - buffer) / EXTENT));
    const last = box.slice(2).map((side) => Math.floor((side + buffer) / EXTENT));
    for (let x = first[0]; x <= last[0]; x++) {
      for (let y = first[1]; y <= last[1]; y++) {
        const rings = [box, ...holes].map((ring) => cut(ring, x, y, buffer));
        if (rings[0] === undefined) continue;
        const geometry = encode(rings.filter(Boolean));
        const address = { z, x: origin[0] + x, y: origin[1] + y };
        const known = tiles.get(tileId(address)) ?? [];
        tiles.set(tileId(address), [...known, { id, type: 3, geometry, properties }]);
      }
    }
  }
  const sides = fields.map(({ box }) => box);
  const [west, north] = degrees(z, origin, Math.min(...sides.map((s) => s[0])), Math.min(...sides.map((s) => s[1])));
  const [east, south] = degrees(z, origin, Math.max(...sides.map((s) => s[2])), Math.max(...sides.map((s) => s[3])));
  const writer = new ArchiveWriter(path);
  for (const id of [...tiles.keys()].sort((a, b) => a - b)) {
    writer.write(id, gzipSync(vectorTile({ [layer]: tiles.get(id) })));
  }
  const center = { zoom: z, lng: (west + east) / 2, lat: (south + north) / 2 };
  writer.finish({ metadata, bounds: { west, south, east, north }, center });
  return [west, south, east, north];
}

function cut([left, top, right, bottom], x, y, buffer) {
  const within = (side, tile) => Math.min(Math.max(side - tile * EXTENT, -buffer), EXTENT + buffer);
  const box = [within(left, x), within(top, y), within(right, x), within(bottom, y)];
  return box[0] < box[2] && box[1] < box[3] ? box : undefined;
}

/** Rings as MVT commands; the first clockwise on the screen, holes the other way. */
function encode(boxes) {
  let [x, y] = [0, 0];
  const zigzag = (value) => (value << 1) ^ (value >> 31);
  return boxes.flatMap(([left, top, right, bottom], i) => {
    const corners = [
      [left, top],
      [right, top],
      [right, bottom],
      [left, bottom],
    ];
    if (i > 0) corners.reverse();
    const steps = corners.map(([cx, cy]) => {
      const step = [zigzag(cx - x), zigzag(cy - y)];
      [x, y] = [cx, cy];
      return step;
    });
    return [9, ...steps[0], 26, ...steps.slice(1).flat(), 15];
  });
}

function degrees(z, [column, row], x, y) {
  const [wx, wy] = [(column + x / EXTENT) / 2 ** z, (row + y / EXTENT) / 2 ** z];
  return [wx * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * wy))) * 180) / Math.PI];
}
