import { inflateRawSync } from "node:zlib";
import { type Header, PMTiles, type Source } from "pmtiles";
import { type Metadata as ArchiveMetadata, listIn } from "../../archive/metadata.js";
import { type ColumnIndex, PRELUDE_BYTES, readColumnIndex, readPrelude } from "../../columns/column-file.js";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import type { ViewerArchive } from "../viewer-api.js";
import type { StoredArchive } from "./store.js";

const LAYER = "fields";
const VECTOR_TILES = 1;

interface Metadata {
  readonly vector_layers?: readonly { readonly id?: unknown; readonly fields?: Readonly<Record<string, unknown>> }[];
  readonly cells?: unknown;
  readonly columns?: unknown;
  readonly legend?: unknown;
}

/** The data that the page needs of an archive, in addition to its URL. */
export type ArchiveDescription = Omit<ViewerArchive, "url" | "fields" | "column">;

/** Attribute for a column's codes. */
const COLUMN_ATTRIBUTE = "crop_code";

/**
 * Read header and metadata of an archive.
 *
 * @param year  the year of the crops: in `crop_code`, or in `crop_2020` if the archive contains several years.
 * @throws {PipelineError} input, if it is not an archive of fields, has only other years, or is truncated.
 */
export async function describeStored(archive: StoredArchive, year: number): Promise<ArchiveDescription> {
  const { header, layer, metadata } = await readStored(archive);
  const attribute = ["crop_code", `crop_${year}`].find((name) => Object.hasOwn(layer.fields ?? {}, name));
  if (attribute === undefined) {
    const received = Object.keys(layer.fields ?? {}).join(" ");
    throw new PipelineError("input", `The archive has no crops of ${year}`, { received });
  }
  const codes = (listIn(metadata as ArchiveMetadata, "legend") ?? []).flatMap((entry) => {
    const { code } = (entry ?? {}) as { readonly code?: unknown };
    return typeof code === "number" ? [code] : [];
  });
  return { attribute, codes, ...describe(header, metadata) };
}

/**
 * Read header and index of a year's crop codes, and header and metadata of their base.
 *
 * @param fingerprint  of the base, from the manifest.
 * @throws {PipelineError} input, if one of them is damaged or belongs to another base.
 */
export async function describeColumn(
  column: StoredArchive,
  blocks: StoredArchive,
  archive: StoredArchive,
  fingerprint: string,
): Promise<ArchiveDescription> {
  const requireBase = (what: string, received: unknown) => {
    if (received === fingerprint) return;
    throw new PipelineError("input", `The ${what} is of another base than the manifest says`, {
      expected: fingerprint.slice(0, 12),
      received: String(received).slice(0, 12),
    });
  };
  const { codes } = await readStoredColumn(column, (found) => requireBase("column", found));
  const prelude = readPrelude(await bytesOf(blocks, 0, PRELUDE_BYTES), "blocks");
  requireBase("list of blocks", prelude.fingerprint);
  const { header, metadata } = await readStored(archive);
  requireBase("archive", (metadata.columns as { fingerprint?: unknown } | undefined)?.fingerprint);
  return { attribute: COLUMN_ATTRIBUTE, codes, ...describe(header, metadata) };
}

async function readStoredColumn(column: StoredArchive, check: (fingerprint: string) => void): Promise<ColumnIndex> {
  try {
    const prelude = readPrelude(await bytesOf(column, 0, PRELUDE_BYTES), "column");
    check(prelude.fingerprint);
    const { fileBytes, indexLength, indexSize } = prelude;
    if (fileBytes !== column.bytes)
      throw new PipelineError("input", "The column is cut short", { expected: fileBytes, received: column.bytes });
    const stored = await bytesOf(column, PRELUDE_BYTES, PRELUDE_BYTES + indexLength);
    return readColumnIndex(inflateRawSync(stored, { maxOutputLength: Math.max(1, indexSize) }), prelude);
  } catch (error) {
    throw asPipelineError(error, "input", "The column is damaged");
  }
}

async function readStored(archive: StoredArchive) {
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
  return { header, layer, metadata };
}

function describe(header: Header, metadata: Metadata) {
  return {
    bounds: [header.minLon, header.minLat, header.maxLon, header.maxLat],
    center: [header.centerLon, header.centerLat],
    cells: metadata.cells !== undefined,
    minZoom: header.minZoom,
    maxZoom: header.maxZoom,
  } as const;
}

function sourceOf(archive: StoredArchive): Source {
  return {
    getKey: () => archive.tag,
    getBytes: async (offset, length) => ({ data: (await bytesOf(archive, offset, offset + length)).buffer }),
  };
}

/** Bytes [start, end), or to the file's end. */
async function bytesOf(archive: StoredArchive, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const last = Math.min(end, archive.bytes);
  const parts: Uint8Array[] = [];
  if (start < last) for await (const part of archive.read(start, last)) parts.push(part as Uint8Array);
  return new Uint8Array(Buffer.concat(parts));
}
