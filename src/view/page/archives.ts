import { VectorTile, type VectorTileFeature } from "@mapbox/vector-tile";
import { type CropColumns, registerCropColumns } from "fields-pipeline/maplibre";
import { addProtocol, type VectorSourceSpecification } from "maplibre-gl";
import { PbfReader } from "pbf";
import { PMTiles, Protocol, type Source } from "pmtiles";
import type { ViewerArchive, ViewerColumn } from "../viewer-api.js";

const LAYER = "fields";
/** From this zoom on, every field is in its tiles. */
export const FULL_ZOOM = 9;
const protocol = new Protocol();
const opened = new Map<string, PMTiles>();

export function registerProtocol(): void {
  addProtocol("pmtiles", protocol.tile);
}

/** The archive that the map also reads: directories are fetched once. */
function open({ url }: ViewerArchive): PMTiles {
  const absolute = new URL(url, document.baseURI).href;
  let archive = opened.get(absolute);
  if (archive === undefined) {
    archive = new PMTiles(rangesOf(absolute));
    opened.set(absolute, archive);
    protocol.add(archive);
  }
  return archive;
}

/**
 * Ranges of an archive, without the browser's cache, which serializes the requests for one URL and fails some of
 * them if many are pending. Decoded directories and tiles are cached in any case.
 */
function rangesOf(url: string): Source {
  return {
    getKey: () => url,
    getBytes: async (offset, length, signal) => {
      const headers = { range: `bytes=${offset}-${offset + length - 1}` };
      const response = await fetch(url, { headers, cache: "no-store", signal: signal ?? null });
      if (response.status !== 206) throw new Error(`${url}: ${response.status} ${await response.text()}`);
      return { data: await response.arrayBuffer() };
    },
  };
}

/** A source of the map. */
export function sourceOf(archive: ViewerArchive): VectorSourceSpecification {
  const { column, url } = archive;
  // Its crops are drawn by a layer of their own.
  if (column !== undefined) return columnsOf(archive, column).crops.source("fields");
  open(archive);
  return { type: "vector", url: `pmtiles://${new URL(url, document.baseURI).href}` };
}

/** A base, with the columns of its years as they become known. */
interface Base {
  readonly crops: CropColumns;
  readonly columns: Record<number, string>;
}

const bases = new Map<string, Base>();

/**
 * Years that are published as columns of the same base: their codes are inserted into its tiles here.
 *
 * @returns also the year, if its column has replaced another one.
 */
export function columnsOf(
  archive: ViewerArchive,
  column: ViewerColumn,
): { readonly crops: CropColumns; readonly replaced: number | undefined } {
  const { url, minZoom, maxZoom, bounds, attribute } = archive;
  const key = baseKey(column);
  let base = bases.get(key);
  if (base === undefined) {
    const columns: Record<number, string> = {};
    const extent = { minzoom: minZoom, maxzoom: maxZoom, bounds };
    base = { columns, crops: registerCropColumns({ addProtocol }, [{ ...column, columns }], extent, { attribute }) };
    bases.set(key, base);
  }
  const before = base.columns[column.year];
  base.columns[column.year] = url;
  return { crops: base.crops, replaced: before === undefined || before === url ? undefined : column.year };
}

/** Equal for columns of the same base. */
export function baseKey({ archive, blocks, fingerprint }: ViewerColumn): string {
  return `columns ${archive} ${blocks} ${fingerprint}`;
}

async function readTile(archive: ViewerArchive, z: number, x: number, y: number): Promise<Uint8Array | undefined> {
  const { column } = archive;
  if (column !== undefined) return columnsOf(archive, column).crops.tile(column.year, { z, x, y });
  const tile = await open(archive).getZxy(z, x, y);
  return tile && new Uint8Array(tile.data);
}

/** Reads integers beyond 2^53 as bigints, although the types do not say so: ids may be that large. */
class ExactReader extends PbfReader {
  override readVarint(isSigned?: boolean): number {
    const start = this.pos;
    const rounded = super.readVarint(isSigned);
    if (Number.isSafeInteger(rounded)) return rounded;
    let exact = 0n;
    for (let at = start; at < this.pos; at++)
      exact |= BigInt((this.buf[at] as number) & 127) << BigInt(7 * (at - start));
    return (isSigned ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact)) as unknown as number;
  }

  override readSVarint(): number {
    const number64 = this.readVarint() as number | bigint;
    if (typeof number64 === "number") return number64 % 2 === 1 ? (number64 + 1) / -2 : number64 / 2;
    const exact = (number64 >> 1n) ^ -(number64 & 1n);
    const number = Number(exact);
    return Number.isSafeInteger(number) ? number : (exact as unknown as number);
  }
}

/** Position in units of tiles, from the northwest. */
function tileAt(lng: number, lat: number, zoom: number): [number, number] {
  const down = 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);
  return [((lng + 180) / 360) * 2 ** zoom, down * 2 ** zoom];
}

async function readLayer(archive: ViewerArchive, name: string, zoom: number, column: number, line: number) {
  const tile = await readTile(archive, zoom, column, line);
  return tile === undefined ? undefined : new VectorTile(new ExactReader(tile)).layers[name];
}

/**
 * A field's feature, read from the archive's tile that contains a point of the field.
 *
 * @param zooms  zooms of the tiles to search, in this order: in a more detailed tile the field may be just next to the point.
 * @returns undefined if it is in none of them.
 */
export async function readField(
  archive: ViewerArchive,
  row: number,
  { lng, lat }: { readonly lng: number; readonly lat: number },
  zooms: readonly number[],
): Promise<VectorTileFeature | undefined> {
  for (const zoom of zooms) {
    const z = Math.min(archive.maxZoom, Math.max(archive.minZoom, Math.floor(zoom)));
    const [column, line] = tileAt(lng, lat, z).map(Math.floor) as [number, number];
    const layer = await readLayer(archive, LAYER, z, column, line);
    for (let i = 0; layer !== undefined && i < layer.length; i++) {
      const feature = layer.feature(i);
      if (feature.id === row) return feature;
    }
  }
  return undefined;
}
