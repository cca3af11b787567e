import { PMTiles, type Source } from "pmtiles";
import { type Metadata as ArchiveMetadata, listIn } from "../../archive/metadata.js";
import { PipelineError } from "../../pipeline/errors.js";
import type { ViewerArchive } from "../viewer-api.js";
import type { StoredArchive } from "./store.js";

const LAYER = "fields";
const VECTOR_TILES = 1;

interface Metadata {
  readonly vector_layers?: readonly { readonly id?: unknown; readonly fields?: Readonly<Record<string, unknown>> }[];
  readonly cells?: unknown;
  readonly legend?: unknown;
}

/** What the page needs to know of an archive beside its URL. */
export type ArchiveDescription = Omit<ViewerArchive, "url" | "fields">;

/**
 * Read header and metadata of an archive.
 *
 * @param year  whose crops are looked for: in `crop_code`, or where the archive holds many years in `crop_2020`.
 * @throws {PipelineError} input, when it is no archive of fields, holds other years only, or is cut short.
 */
export async function describeStored(archive: StoredArchive, year: number): Promise<ArchiveDescription> {
  const pmtiles = new PMTiles(sourceOf(archive));
  const header = await pmtiles.getHeader();
  const end = header.tileDataOffset + (header.tileDataLength ?? 0);
  if (archive.bytes < end) {
    throw new PipelineError("input", "The archive is cut short", { expected: end, received: archive.bytes });
  }
  const metadata = (await pmtiles.getMetadata()) as Metadata;
  const layer = metadata.vector_layers?.find(({ id }) => id === LAYER);
  if (header.tileType !== VECTOR_TILES || layer === undefined) {
    throw new PipelineError("input", `The archive has no layer ${LAYER}`);
  }
  const attribute = ["crop_code", `crop_${year}`].find((name) => Object.hasOwn(layer.fields ?? {}, name));
  if (attribute === undefined) {
    const received = Object.keys(layer.fields ?? {}).join(" ");
    throw new PipelineError("input", `The archive has no crops of ${year}`, { received });
  }
  return {
    attribute,
    bounds: [header.minLon, header.minLat, header.maxLon, header.maxLat],
    center: [header.centerLon, header.centerLat],
    cells: metadata.cells !== undefined,
    minZoom: header.minZoom,
    maxZoom: header.maxZoom,
    codes: (listIn(metadata as ArchiveMetadata, "legend") ?? []).flatMap((entry) => {
      const { code } = (entry ?? {}) as { readonly code?: unknown };
      return typeof code === "number" ? [code] : [];
    }),
  };
}

function sourceOf(archive: StoredArchive): Source {
  return {
    getKey: () => archive.tag,
    getBytes: async (offset, length) => {
      const end = Math.min(offset + length, archive.bytes);
      const parts: Uint8Array[] = [];
      if (offset < end) for await (const part of archive.read(offset, end)) parts.push(part as Uint8Array);
      const bytes = new Uint8Array(Buffer.concat(parts));
      return { data: bytes.buffer };
    },
  };
}
