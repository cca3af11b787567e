import { cropName } from "../legend/cdl-legend.js";
import type { ExportColumn } from "./export-columns.js";

/** The versions of the schemas that an export is valid by. */
const SCHEMAS = [
  "https://vecorel.org/specification/v0.1.0/schema.yaml",
  "https://fiboa.org/specification/v0.3.0/schema.yaml",
  "https://vecorel.org/geometry-metrics-extension/v0.1.0/schema.yaml",
  "https://fiboa.org/crop-extension/v0.2.0/schema.yaml",
];
const CODE_LIST = "https://github.com/fiboa/cli/blob/main/fiboa_cli/datasets/data-files/us_usda_cropland.csv";
const M2_PER_HA = 10_000;
/** The Cropland Data Layer's own class for pixels without data. */
const BACKGROUND = 0;

/**
 * Columns of the fiboa profile: fields with the crop of one year.
 *
 * @param year  its place among the years of the records.
 */
export function fiboaColumns(year: number): ExportColumn[] {
  const code = (crops: readonly (number | null)[]) => crops[year] ?? BACKGROUND;
  return [
    { name: "id", kind: "text", required: true, valueIn: ({ id }) => String(id) },
    {
      name: "metrics:area",
      kind: "area",
      valueIn: ({ areaHa }) => (areaHa > 0 ? areaHa * M2_PER_HA : null),
    },
    { name: "crop:code", kind: "text", required: true, valueIn: ({ crops }) => String(code(crops)) },
    { name: "crop:name", kind: "text", valueIn: ({ crops }) => cropName(code(crops)) },
  ];
}

/** What all fields have in common, as the file's metadata. */
export function fiboaMetadata(collection: string, year: number): Record<string, string> {
  return {
    collection: JSON.stringify({
      schemas: { [collection]: SCHEMAS },
      collection,
      "crop:code_list": CODE_LIST,
      "determination:method": "unknown",
      "determination:details": `Boundaries as given; crop: majority class of the field's pixels in the Cropland Data Layer of ${year}`,
    }),
  };
}
