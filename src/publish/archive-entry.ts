import { type FileHandle, open } from "node:fs/promises";
import { type Header, PMTiles, type Source } from "pmtiles";
import { PipelineError } from "../pipeline/errors.js";
import type { Facts } from "../pipeline/record.js";
import type { ArchiveEntry } from "./manifest.js";

/** What an archive's own header and metadata say of it. */
export type ArchiveDescription = Pick<
  ArchiveEntry,
  "bounds" | "center" | "minzoom" | "maxzoom" | "layers" | "featureCounts"
>;

/**
 * Describe a PMTiles archive for the manifest. Reads header and metadata only.
 *
 * @param facts  of the step that made the archive; `featureCounts` is taken from there.
 * @throws {PipelineError} input, when the file is missing, no PMTiles archive, or cut short.
 */
export async function describeArchive(path: string, facts: Facts): Promise<ArchiveDescription> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    throw new PipelineError("input", "Archive to publish not found", { path }, { cause });
  }
  try {
    const archive = new PMTiles(sourceOf(file, path));
    const header = await archive.getHeader();
    const { size } = await file.stat();
    const end = endOf(header);
    if (size < end)
      throw new PipelineError("input", "The archive is cut short", { path, expected: end, received: size });
    const { vector_layers: layers } = (await archive.getMetadata()) as { vector_layers?: { id: string }[] };
    const counts = facts.featureCounts as Record<string, number> | undefined;
    return {
      bounds: [header.minLon, header.minLat, header.maxLon, header.maxLat],
      center: [header.centerLon, header.centerLat, header.centerZoom],
      minzoom: header.minZoom,
      maxzoom: header.maxZoom,
      layers: (layers ?? []).map((layer) => layer.id),
      ...(counts !== undefined && { featureCounts: counts }),
    };
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError("input", "The archive cannot be read as PMTiles", { path }, { cause: error });
  } finally {
    await file.close();
  }
}

function endOf(header: Header): number {
  return Math.max(
    header.jsonMetadataOffset + header.jsonMetadataLength,
    header.leafDirectoryOffset + (header.leafDirectoryLength ?? 0),
    header.tileDataOffset + (header.tileDataLength ?? 0),
  );
}

function sourceOf(file: FileHandle, path: string): Source {
  return {
    getKey: () => path,
    getBytes: async (offset, length) => {
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
      return { data: buffer.buffer.slice(0, bytesRead) };
    },
  };
}
