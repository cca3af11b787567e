import type { OptionName } from "./options.js";

// Options that commands take together, by what they are about.

export const OUTPUT = ["json", "quiet"] as const satisfies readonly OptionName[];

export const ROOT = ["root", "region"] as const satisfies readonly OptionName[];

/** How polygons are read from a file. */
export const POLYGONS = ["layer", "idColumn", "geometryColumn", "fieldsCrs"] as const satisfies readonly OptionName[];

/** The root's fields. */
export const FIELDS = ["fieldsRaw", ...POLYGONS] as const satisfies readonly OptionName[];

export const AREAS = ["fieldsClean", "areaColumn", "areaUnit"] as const satisfies readonly OptionName[];

export const WORKERS = ["batch", "threads"] as const satisfies readonly OptionName[];

export const NETWORK = ["retries", "proxy", "endpoint", "s3Region", "profile"] as const satisfies readonly OptionName[];

/** Where results are published. */
export const TARGET = [
  "target",
  "publicUrl",
  "s3Checksums",
  "manifestFormat",
  "allowRace",
  "distribution",
  "waitInvalidation",
  ...NETWORK,
] as const satisfies readonly OptionName[];
