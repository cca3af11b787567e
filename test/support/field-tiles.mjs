// Small archives written tile by tile, whose vector tiles are encoded by pbf and not by the project.
import { gzipSync } from "node:zlib";
import { PbfWriter } from "pbf";
import { tileId } from "../../dist/archive/tile-id.js";
import { ArchiveWriter } from "../../dist/archive/writer.js";

/** One vector tile, plain. layers: {name: [{id, type, geometry, properties}]}; values are numbers or strings. */
export function vectorTile(layers) {
  const tile = new PbfWriter();
  for (const [name, features] of Object.entries(layers)) {
    tile.writeMessage(3, writeLayer, { name, features });
  }
  return Buffer.from(tile.finish());
}

function writeLayer({ name, features }, layer) {
  const keys = [...new Set(features.flatMap(({ properties = {} }) => Object.keys(properties)))];
  const values = [...new Set(features.flatMap(({ properties = {} }) => Object.values(properties)))];
  layer.writeVarintField(15, 2);
  layer.writeStringField(1, name);
  for (const feature of features) {
    layer.writeMessage(
      2,
      ({ id, type, geometry, properties = {} }, pbf) => {
        if (id !== undefined) pbf.writeVarintField(1, id);
        const tags = Object.entries(properties).flatMap(([k, v]) => [keys.indexOf(k), values.indexOf(v)]);
        pbf.writePackedVarint(2, tags);
        pbf.writeVarintField(3, type);
        pbf.writePackedVarint(4, geometry);
      },
      feature,
    );
  }
  for (const key of keys) layer.writeStringField(3, key);
  for (const value of values) {
    layer.writeMessage(
      4,
      (v, pbf) => {
        if (typeof v === "string") pbf.writeStringField(1, v);
        else if (Number.isInteger(v) && v >= 0) pbf.writeVarintField(5, v);
        else if (Number.isInteger(v)) pbf.writeSVarintField(6, v);
        else pbf.writeDoubleField(3, v);
      },
      value,
    );
  }
  layer.writeVarintField(5, 4096);
}

export const SQUARE = { type: 3, geometry: [9, 200, 200, 26, 100, 0, 0, 100, 99, 0, 15] };
export const POINT = { type: 1, geometry: [9, 250, 250] };
export const BOUNDS = { west: -98, south: 38, east: -96, north: 39.5 };
export const FIELDS = { field_id: "Number", area_ha: "Number", crop_code: "Number" };
export const LAYERS = ["fields", "centroids"];

const column = (lng, z) => Math.floor(((lng + 180) / 360) * 2 ** z);
const row = (lat, z) => Math.floor(((1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2) * 2 ** z);

/** Addresses of all tiles over `bounds`, in tile id order. */
export function tilesOver(bounds, minZoom, maxZoom) {
  const tiles = [];
  for (let z = minZoom; z <= maxZoom; z++) {
    for (let x = column(bounds.west, z); x <= column(bounds.east, z); x++) {
      for (let y = row(bounds.north, z); y <= row(bounds.south, z); y++) tiles.push({ z, x, y });
    }
  }
  return tiles.sort((a, b) => tileId(a) - tileId(b));
}

export const cropOf = (rowNumber) => (rowNumber % 7 === 0 ? -1 : (rowNumber * 37) % 250);

/**
 * An archive of one field and its centroid in every tile of the highest zoom (ids 0, 1, 2 ... in tile order), and
 * field 0 in the tiles above. `change(tile, layers)` may replace a tile's layers, or leave the tile out (null).
 */
export function writeFields(path, { minZoom = 6, maxZoom = 9, bounds = BOUNDS, change, metadata } = {}) {
  const writer = new ArchiveWriter(path);
  let rows = 0;
  for (const tile of tilesOver(bounds, minZoom, maxZoom)) {
    const id = tile.z === maxZoom ? rows++ : 0;
    const crop = cropOf(id);
    const properties = { field_id: id, area_ha: 1.5 + id, ...(crop >= 0 && { crop_code: crop }) };
    let layers = { fields: [{ id, ...SQUARE, properties }], centroids: [{ id, ...POINT, properties }] };
    if (change !== undefined) layers = change(tile, layers);
    if (layers === null) continue;
    const content = Buffer.isBuffer(layers) ? layers : gzipSync(vectorTile(layers));
    writer.write(tileId(tile), content);
  }
  writer.finish({
    metadata: metadata ?? {
      name: "test",
      vector_layers: LAYERS.map((id) => ({ id, fields: FIELDS })),
    },
    bounds,
    center: { zoom: minZoom, lng: (bounds.west + bounds.east) / 2, lat: (bounds.south + bounds.north) / 2 },
  });
  return rows;
}
