import { GENERATOR, type Metadata } from "../archive/metadata.js";
import { CDL_LEGEND, cropName } from "../legend/cdl-legend.js";
import { FEATURE_FIELDS } from "./properties.js";

export const LAYERS = ["fields", "centroids"] as const;

const DESCRIPTIONS = { fields: "Field polygons", centroids: "A point inside every field" } as const;
const GREY = "#9e9e9e";

export interface ArchiveFactsForMetadata {
  readonly region: string;
  readonly year: number;
  /** Fingerprint of everything that the archive is made from. */
  readonly inputs: string;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** The tiler, with its version. */
  readonly engine: string;
  /** Codes that occur, ascending. */
  readonly crops: readonly number[];
}

/**
 * The archive's metadata: what TileJSON wants, and the crop legend. Nothing of the
 * time or place it was made in, so that the same inputs give the same bytes.
 */
export function archiveMetadata(facts: ArchiveFactsForMetadata): Metadata {
  const { region, year, inputs, minZoom, maxZoom, engine, crops } = facts;
  const colors = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
  return {
    name: `fields_${region}_${year}`,
    description: `Majority crop of every field, ${region}, ${year}`,
    version: "2",
    type: "overlay",
    format: "pbf",
    attribution: "Crops: USDA NASS Cropland Data Layer",
    generator: GENERATOR,
    engine,
    year,
    inputs,
    vector_layers: LAYERS.map((id) => ({
      id,
      description: DESCRIPTIONS[id],
      minzoom: minZoom,
      maxzoom: maxZoom,
      fields: FEATURE_FIELDS,
    })),
    legend: crops.map((code) => ({ code, name: cropName(code), color: colors.get(code) ?? GREY })),
  };
}
