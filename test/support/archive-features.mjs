// What is in an archive, by two readers that the project did not write: npm's pmtiles with
// @mapbox/vector-tile, and tippecanoe-decode.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { VectorTile } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";
import { openPmtiles } from "./pmtiles-file.mjs";

const column = (lng, z) => Math.floor(((lng + 180) / 360) * 2 ** z);
const row = (lat, z) => Math.floor(((1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2) * 2 ** z);

/** Header, metadata, and every tile over the header's bounds: {z, x, y, bytes, layers}. */
export async function readArchive(t, path, zooms) {
  const archive = await openPmtiles(t, path);
  const header = await archive.getHeader();
  const tiles = [];
  for (let z = zooms?.[0] ?? header.minZoom; z <= (zooms?.[1] ?? header.maxZoom); z++) {
    for (let x = column(header.minLon, z); x <= column(header.maxLon, z); x++) {
      for (let y = row(header.maxLat, z); y <= row(header.minLat, z); y++) {
        const tile = await archive.getZxy(z, x, y);
        if (tile === undefined) continue;
        const bytes = new Uint8Array(tile.data);
        tiles.push({ z, x, y, bytes, layers: new VectorTile(new PbfReader(bytes)).layers });
      }
    }
  }
  return { header, metadata: await archive.getMetadata(), tiles };
}

/** A layer's features at one zoom: id → {properties, pieces: [{tile, feature}]}; a feature is in every tile it reaches. */
export function featuresOf({ tiles }, name, zoom) {
  const features = new Map();
  for (const tile of tiles) {
    const layer = tile.z === zoom ? tile.layers[name] : undefined;
    for (let i = 0; i < (layer?.length ?? 0); i++) {
      const feature = layer.feature(i);
      addPiece(features, feature.id, feature.properties, { tile, feature });
    }
  }
  return features;
}

/** The same of both layers, by tippecanoe-decode: {fields: Map, centroids: Map, text}; `text` for ids beyond 53 bits. */
export async function decodeArchive(path, zoom) {
  const run = promisify(execFile);
  const args = [`-Z${zoom}`, `-z${zoom}`, path];
  const { stdout } = await run("tippecanoe-decode", args, { maxBuffer: 2 ** 30 });
  const layers = { fields: new Map(), centroids: new Map() };
  for (const tile of JSON.parse(stdout).features) {
    for (const { properties, features } of tile.features) {
      for (const { id, properties: values, geometry } of features) {
        addPiece(layers[properties.layer], id, values, { tile: tile.properties, geometry });
      }
    }
  }
  return { ...layers, text: stdout };
}

function addPiece(features, id, properties, piece) {
  const known = features.get(id);
  if (known === undefined) features.set(id, { properties: { ...properties }, pieces: [piece] });
  else if (JSON.stringify(known.properties) === JSON.stringify(properties)) known.pieces.push(piece);
  else throw new Error(`feature ${id} has ${JSON.stringify(known.properties)} and ${JSON.stringify(properties)}`);
}
