import { VectorTile, type VectorTileFeature } from "@mapbox/vector-tile";
import { addProtocol } from "maplibre-gl";
import { PbfReader } from "pbf";
import { PMTiles, Protocol } from "pmtiles";
import type { ViewerArchive } from "../viewer-api.js";

const LAYER = "fields";

const protocol = new Protocol();
const opened = new Map<string, PMTiles>();

export function registerProtocol(): void {
  addProtocol("pmtiles", protocol.tile);
}

/** The archive as the map reads it too: directories are fetched once. */
function open({ url }: ViewerArchive): PMTiles {
  const absolute = new URL(url, document.baseURI).href;
  let archive = opened.get(absolute);
  if (archive === undefined) {
    archive = new PMTiles(absolute);
    opened.set(absolute, archive);
    protocol.add(archive);
  }
  return archive;
}

/** URL of an archive for a source of the map. */
export function sourceUrl(archive: ViewerArchive): string {
  open(archive);
  return `pmtiles://${new URL(archive.url, document.baseURI).href}`;
}

/**
 * A field's feature, read from the tile of an archive that holds a place in it.
 *
 * @param zooms  of the tiles to look in, in this order: a field may lie just beside the place in a more detailed tile.
 * @returns undefined when it is in none of them.
 */
export async function readField(
  archive: ViewerArchive,
  row: number,
  { lng, lat }: { readonly lng: number; readonly lat: number },
  zooms: readonly number[],
): Promise<VectorTileFeature | undefined> {
  const pmtiles = open(archive);
  for (const zoom of zooms) {
    const z = Math.min(archive.maxZoom, Math.max(archive.minZoom, Math.floor(zoom)));
    const column = Math.floor(((lng + 180) / 360) * 2 ** z);
    const line = Math.floor((0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)) * 2 ** z);
    const tile = await pmtiles.getZxy(z, column, line);
    const layer = tile === undefined ? undefined : new VectorTile(new PbfReader(tile.data)).layers[LAYER];
    for (let i = 0; layer !== undefined && i < layer.length; i++) {
      const feature = layer.feature(i);
      if (feature.id === row) return feature;
    }
  }
  return undefined;
}
