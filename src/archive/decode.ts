import { VectorTile } from "@mapbox/vector-tile";
import { PbfReader } from "pbf";
import { PipelineError } from "../pipeline/errors.js";
import type { Archive } from "./reader.js";
import { type Tile, tileId, tileName } from "./tile-id.js";

/** One feature as GeoJSON in lng, lat, with the layer it comes from as `tippecanoe.layer`. */
export interface DecodedFeature {
  readonly type: "Feature";
  readonly id?: string | number | undefined;
  readonly properties: unknown;
  readonly geometry: unknown;
  readonly tippecanoe: { readonly layer: string };
}

/**
 * All features of one tile, layer by layer, as tippecanoe would take them back. Geometry is as in
 * the tile: clipped to it and its buffer, rounded to its grid.
 *
 * @throws {PipelineError} input, when the archive has no such tile or it cannot be read.
 */
export function decodeTile(archive: Archive, tile: Tile): { type: "FeatureCollection"; features: DecodedFeature[] } {
  const where = { path: archive.path, tile: tileName(tileId(tile)) };
  const bytes = archive.find(tile);
  if (bytes === undefined) throw new PipelineError("input", "The archive has no such tile", where);
  try {
    const { layers } = new VectorTile(new PbfReader(bytes));
    const features = Object.entries(layers).flatMap(([name, layer]) =>
      Array.from({ length: layer.length }, (_, i): DecodedFeature => {
        const { type, id, properties, geometry } = layer.feature(i).toGeoJSON(tile.x, tile.y, tile.z);
        return { type, ...(id !== undefined && { id }), tippecanoe: { layer: name }, properties, geometry };
      }),
    );
    return { type: "FeatureCollection", features };
  } catch (cause) {
    throw new PipelineError("input", "Tile cannot be read", where, { cause });
  }
}
