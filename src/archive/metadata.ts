import { gzipSync } from "node:zlib";
import { PipelineError } from "../pipeline/errors.js";
import { gunzip, METADATA_LIMIT } from "./gunzip.js";
import type { Tilestats } from "./tilestats.js";

/** `generator` of the archives that are made here. */
export const GENERATOR = "fields-pipeline";

/** One layer as viewers need it to offer styling: name, attributes with their types, zooms. */
export interface VectorLayer {
  readonly id: string;
  readonly description?: string;
  readonly minzoom?: number;
  readonly maxzoom?: number;
  readonly fields: Readonly<Record<string, string>>;
}

/** The archive's JSON: what TileJSON knows, and whatever else the maker wants to say. */
export interface Metadata {
  readonly vector_layers?: readonly VectorLayer[];
  readonly tilestats?: Tilestats;
  readonly [key: string]: unknown;
}

/** A list in the metadata: as JSON in a string, as archives of MBTiles' kind have it, or as it is. Undefined for none. */
export function listIn(metadata: Metadata, key: string): readonly unknown[] | undefined {
  let value = metadata[key];
  if (typeof value === "string") {
    try {
      value = JSON.parse(value) as unknown;
    } catch {
      return undefined;
    }
  }
  return Array.isArray(value) ? value : undefined;
}

export function encodeMetadata(metadata: Metadata): Uint8Array {
  return gzipSync(JSON.stringify(metadata), { level: 9 });
}

/** @throws {PipelineError} input, when it is not gzip of one JSON object. */
export function decodeMetadata(compressed: Uint8Array): Metadata {
  let value: unknown;
  try {
    value = JSON.parse(gunzip(compressed, METADATA_LIMIT).toString("utf8"));
  } catch (cause) {
    throw new PipelineError("input", "Metadata cannot be read", {}, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PipelineError("input", "Metadata is not a JSON object");
  }
  return value as Metadata;
}
