import { GENERATOR, type Metadata } from "../archive/metadata.js";
import { CDL_LEGEND, cropName } from "../legend/cdl-legend.js";

export const LAYERS = ["fields", "centroids"] as const;

const DESCRIPTIONS = { fields: "Field polygons", centroids: "A point inside every field" } as const;
const GRAY = "#9e9e9e";

/** Names of the attributes with a year's crop. */
export interface CropKeys {
  readonly code: string;
  /** Undefined if names are only in the legend. */
  readonly name: string | undefined;
}

/** @param year  undefined if the archive has only one year. */
export function cropKeys(cropNames: boolean, year?: number): CropKeys {
  const suffix = year === undefined ? "" : `_${year}`;
  return {
    code: year === undefined ? "crop_code" : `crop${suffix}`,
    name: cropNames ? `crop_name${suffix}` : undefined,
  };
}

/** Zooms whose layer `fields` has squares that represent the fields under them. */
export interface CellZooms {
  readonly minzoom: number;
  readonly maxzoom: number;
}

export interface ArchiveFactsForMetadata {
  readonly region: string;
  /** Years whose crops the archive contains, ascending; none in the base. */
  readonly years: readonly number[];
  /** Fingerprint of everything that the archive is made from. */
  readonly inputs: string;
  readonly minZoom: number;
  readonly maxZoom: number;
  /** The tiler, with its version. */
  readonly engine: string;
  /** Zooms with cells instead of every field; undefined if there are none. */
  readonly cells: CellZooms | undefined;
  /** Type of the attribute `field_id`; undefined if ids are row numbers, which are the features' ids. */
  readonly idType: "Number" | "String" | undefined;
  /** Columns of `--include`, by name their type. */
  readonly included?: Readonly<Record<string, string>> | undefined;
  readonly crops: readonly CropKeys[];
  /** Codes that occur, ascending. */
  readonly codes: readonly number[];
}

/**
 * The archive's metadata: the keys of TileJSON and the crop legend. Additional values are strings, as in MBTiles;
 * lists are JSON. It contains no time, host or path, so the same inputs give the same bytes.
 */
export function archiveMetadata(facts: ArchiveFactsForMetadata): Metadata {
  const { region, years, inputs, minZoom, maxZoom, engine, cells, codes } = facts;
  const colors = new Map(CDL_LEGEND.map(({ code, color }) => [code, color]));
  const [first, last] = [years[0], years.at(-1)];
  const span = first === last ? `${first}` : `${first}-${last}`;
  const ofYears =
    first === undefined ? {} : first === last ? { year: String(first) } : { years: JSON.stringify(years) };
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
    ...(cells !== undefined && { cells }),
    vector_layers: LAYERS.map((id) => ({
      id,
      description: describeLayer(id, cells),
      minzoom: id === "centroids" && cells !== undefined ? cells.maxzoom + 1 : minZoom,
      maxzoom: maxZoom,
      fields: attributesOf(facts),
    })),
    ...(first !== undefined && {
      legend: JSON.stringify(codes.map((code) => ({ code, name: cropName(code), color: colors.get(code) ?? GRAY }))),
    }),
  };
}

function describeLayer(layer: (typeof LAYERS)[number], cells: CellZooms | undefined): string {
  if (layer !== "fields" || cells === undefined) return DESCRIPTIONS[layer];
  const { minzoom, maxzoom } = cells;
  const zooms = minzoom === maxzoom ? `zoom ${minzoom}` : `zooms ${minzoom} to ${maxzoom}`;
  return `${DESCRIPTIONS.fields}; at ${zooms} squares that cover as much as the fields under them, each with the id of one of them`;
}

/** Attributes by name and type. */
function attributesOf({ idType, included, crops }: ArchiveFactsForMetadata): Record<string, string> {
  return {
    ...(idType !== undefined && { field_id: idType }),
    area_ha: "Number",
    ...included,
    ...Object.fromEntries(crops.map(({ code }) => [code, "Number"])),
    ...Object.fromEntries(crops.flatMap(({ name }) => (name === undefined ? [] : [[name, "String"]]))),
  };
}
