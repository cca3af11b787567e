import { GENERATOR, type Metadata } from "../archive/metadata.js";
import { CDL_LEGEND, cropName } from "../legend/cdl-legend.js";

export const LAYERS = ["fields", "centroids"] as const;

const DESCRIPTIONS = { fields: "Field polygons", centroids: "A point inside every field" } as const;
const GREY = "#9e9e9e";

/** Names of the attributes that tell of a year's crop. */
export interface CropKeys {
  readonly code: string;
  /** Undefined where names stay in the legend. */
  readonly name: string | undefined;
}

/** @param year  of several in one archive; undefined where there is only one. */
export function cropKeys(cropNames: boolean, year?: number): CropKeys {
  const suffix = year === undefined ? "" : `_${year}`;
  return {
    code: year === undefined ? "crop_code" : `crop${suffix}`,
    name: cropNames ? `crop_name${suffix}` : undefined,
  };
}

export interface ArchiveFactsForMetadata {
  readonly region: string;
  /** Whose crops the archive holds, ascending; none in the base. */
  readonly years: readonly number[];
  /** Fingerprint of everything that the archive is made from. */
  readonly inputs: string;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** The tiler, with its version. */
  readonly engine: string;
  /** Type of the attribute `field_id`; undefined where ids are row numbers, which are the features' ids. */
  readonly idType: "Number" | "String" | undefined;
  readonly crops: readonly CropKeys[];
  /** Codes that occur, ascending. */
  readonly codes: readonly number[];
}

/**
 * The archive's metadata: what TileJSON wants, and the crop legend. Nothing of the
 * time or place it was made in, so that the same inputs give the same bytes.
 */
export function archiveMetadata(facts: ArchiveFactsForMetadata): Metadata {
  const { region, years, inputs, minZoom, maxZoom, engine, codes } = facts;
  const colors = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
  const [first, last] = [years[0], years.at(-1)];
  const span = first === last ? `${first}` : `${first}-${last}`;
  const ofYears = first === undefined ? {} : first === last ? { year: first } : { years };
  return {
    name: first === undefined ? `fields_${region}` : `fields_${region}_${span}`,
    description: first === undefined ? `Fields, ${region}` : `Majority crop of every field, ${region}, ${span}`,
    version: "2",
    type: "overlay",
    format: "pbf",
    ...(first !== undefined && { attribution: "Crops: USDA NASS Cropland Data Layer" }),
    generator: GENERATOR,
    engine,
    ...ofYears,
    inputs,
    vector_layers: LAYERS.map((id) => ({
      id,
      description: DESCRIPTIONS[id],
      minzoom: minZoom,
      maxzoom: maxZoom,
      fields: attributesOf(facts),
    })),
    ...(first !== undefined && {
      legend: codes.map((code) => ({ code, name: cropName(code), color: colors.get(code) ?? GREY })),
    }),
  };
}

/** Attributes by name and type. */
function attributesOf({ idType, crops }: ArchiveFactsForMetadata): Record<string, string> {
  return {
    ...(idType !== undefined && { field_id: idType }),
    area_ha: "Number",
    ...Object.fromEntries(crops.map(({ code }) => [code, "Number"])),
    ...Object.fromEntries(crops.flatMap(({ name }) => (name === undefined ? [] : [[name, "String"]]))),
  };
}
