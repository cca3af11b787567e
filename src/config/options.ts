/**
 * Every option of every command, once: its default, unit and meaning. The
 * command line (`--max-dirty 0.02`) and the configuration file
 * (`{"maxDirty": 0.02}`) are both read by this table, and the README's table is
 * printed from it.
 */
export interface OptionSpec {
  readonly type: "string" | "number" | "integer" | "boolean" | "numbers";
  /** Undefined when the option has no default. */
  readonly default?: string | number | boolean | readonly number[];
  /** Allowed values, for a closed choice. */
  readonly choices?: readonly string[];
  /** Part of file names: letters, digits, `_` and `-`. */
  readonly isName?: boolean;
  /** Smallest value allowed, for numbers. */
  readonly min?: number;
  readonly max?: number;
  readonly help: string;
}

export const OPTIONS = {
  // Where everything lies
  root: { type: "string", default: "./work", help: "folder that holds data/, outputs/ and logs/" },
  region: { type: "string", default: "us", isName: true, help: "region's name, part of every output's file name" },
  // Download
  cdlSource: {
    type: "string",
    default: "https://www.nass.usda.gov/Research_and_Science/Cropland/Release/datasets/{year}_30m_cdls.zip",
    help: "the year's raster: http(s)://, s3:// or file:// template with {year}, or a folder (there too) that holds one zip, .tif or .img per year with the year in its name",
  },
  keepCdl: { type: "boolean", default: false, help: "keep the zip and the raster after the zonal output is verified" },
  retries: { type: "integer", default: 8, min: 0, help: "attempts after a failed request, with backoff" },
  // Network
  proxy: {
    type: "string",
    help: "URL of the web proxy for downloads and uploads, or none (default: HTTPS_PROXY and HTTP_PROXY); not for hosts in NO_PROXY",
  },
  // Fields
  fieldsRaw: {
    type: "string",
    help: "field polygons: parquet, a folder of parquet files, or any vector source that GDAL reads, zipped too; a path or a URL (default: data/fields_raw.parquet under the root)",
  },
  layer: { type: "string", help: "layer of a vector source that has several" },
  fieldsClean: { type: "string", help: "field areas (default: data/fields_clean.parquet under the root)" },
  idColumn: {
    type: "string",
    help: "column of the field id (default: field_id, id, fid or CSBID, whichever is there)",
  },
  geometryColumn: {
    type: "string",
    help: "column of WKB polygons (default: from the geo metadata, else geometry or wkb)",
  },
  areaColumn: {
    type: "string",
    help: "column of the area, in the clean file or the fields' own (default: area_ha, metrics:area or CSBACRES, whichever is there; else areas are computed)",
  },
  areaUnit: {
    type: "string",
    choices: ["ha", "m2", "acres"],
    help: "unit of the area column (default: as its name says, else ha)",
  },
  fieldsCrs: { type: "string", help: "CRS of the fields, as EPSG:4326, instead of what the file says" },
  include: {
    type: "string",
    help: "columns of the fields to carry into the zonal table and the tiles, with commas between: CNTY,STATEFIPS",
  },
  maxDirty: {
    type: "number",
    default: 0.01,
    min: 0,
    max: 1,
    help: "share of dirty rows above which the zonal step fails",
  },
  verifyInputs: {
    type: "string",
    default: "quick",
    choices: ["quick", "full"],
    help: "how files are compared with their records: quick (inode, size, time, samples of large files) or full (every byte)",
  },
  // Zonal
  nodata: {
    type: "numbers",
    default: [0],
    help: "codes that are background, not counted, in addition to the raster's own nodata or mask (none: '')",
  },
  allTouched: {
    type: "boolean",
    default: false,
    help: "a pixel belongs to a field that touches it, not only where its center lies inside",
  },
  smallFields: {
    type: "string",
    choices: ["touched"],
    help: "fallback for fields that contain no pixel center: count touched pixels (default: null)",
  },
  coverage: {
    type: "boolean",
    default: false,
    help: "pixels count by the share of them that the field covers",
  },
  weights: {
    type: "string",
    choices: ["area"],
    help: "pixels count by their area on the ellipsoid, for rasters in degrees (default: all alike)",
  },
  ties: {
    type: "string",
    default: "lowest",
    choices: ["lowest", "highest"],
    help: "the class that wins where several have as many pixels",
  },
  batch: { type: "integer", default: 16384, min: 1, help: "fields a worker takes at a time" },
  threads: {
    type: "integer",
    min: 1,
    max: 128,
    help: "worker threads (default: SLURM_CPUS_PER_TASK, else physical cores this process may use)",
  },
  // Tiles
  tiles: {
    type: "string",
    default: "rewrite",
    choices: ["rewrite", "full"],
    help: "how a year is tiled: its attributes put into the base's tiles, or everything by tippecanoe",
  },
  base: {
    type: "string",
    help: "base of the same fields: a file from data/base of another root (default: in data/base under the root, made where there is none)",
  },
  cropNames: {
    type: "boolean",
    default: false,
    help: "crop names in the tiles too, not only in the legend of the metadata",
  },
  minZoom: { type: "integer", default: 4, min: 0, max: 16, help: "lowest zoom" },
  maxZoom: { type: "integer", default: 14, min: 0, max: 16, help: "highest zoom" },
  tiler: {
    type: "string",
    default: "native",
    choices: ["native", "tippecanoe"],
    help: "what tiles the fields: this program, or tippecanoe",
  },
  tippecanoe: { type: "string", default: "tippecanoe", help: "the tippecanoe program" },
  scratch: {
    type: "string",
    help: "folder for tippecanoe's temporary files (default: /dev/shm where it fits, else a local disk)",
  },
  stallSeconds: {
    type: "integer",
    default: 600,
    min: 0,
    help: "time without any movement (CPU, input, files) after which tippecanoe is ended with a diagnosis; 0: never",
  },
  // Publish
  publishAs: {
    type: "string",
    default: "archives",
    choices: ["archives", "columns", "both"],
    help: "what a year is published as: an archive, a file of crop codes next to one archive of all years' fields, or both",
  },
  target: { type: "string", help: "s3://bucket/prefix or file:folder (default: file:outputs/web under the root)" },
  endpoint: { type: "string", help: "URL of an S3-compatible server other than AWS, to read from and to publish to" },
  s3Region: { type: "string", help: "S3 region (default: as the AWS configuration says, else us-east-1)" },
  s3Checksums: {
    type: "string",
    default: "auto",
    choices: ["auto", "off"],
    help: "send checksum headers: auto leaves them out where the server refuses them",
  },
  profile: { type: "string", help: "AWS credentials profile" },
  publicUrl: {
    type: "string",
    help: "URL under which the target is served; prefixed to the archive's name in the manifest",
  },
  manifestFormat: {
    type: "string",
    default: "full",
    choices: ["full", "list"],
    help: "the manifest: years with all that is known of their archives, or the bare JSON list of years",
  },
  allowRace: {
    type: "boolean",
    default: false,
    help: "where the server refuses conditional writes, write the manifest without a lock object",
  },
  distribution: { type: "string", help: "CloudFront distribution to invalidate after publishing" },
  waitInvalidation: { type: "boolean", default: false, help: "end only when CloudFront says the invalidation is done" },
  // Clusters
  cluster: { type: "string", help: "the cluster: betzy, saga, laptop, or a name of one's own with --cluster-profile" },
  clusterProfile: { type: "string", help: "JSON file of what differs from the cluster's built-in profile" },
  account: { type: "string", help: "account that jobs are billed to (default: FIELDS_ACCOUNT of the environment)" },
  container: {
    type: "string",
    help: "image that jobs run in (default: FIELDS_CONTAINER; without one, the node's own programs)",
  },
  // How it speaks
  json: { type: "boolean", default: false, help: "result as one JSON object on stdout" },
  quiet: { type: "boolean", default: false, help: "only warnings and errors on stderr" },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;

type ValueOf<S extends OptionSpec> = S extends { type: "boolean" }
  ? boolean
  : S extends { type: "number" | "integer" }
    ? number
    : S extends { type: "numbers" }
      ? readonly number[]
      : S extends { choices: readonly (infer C)[] }
        ? C
        : string;

/** All options with their values; undefined only where the table has no default. */
export type Options = {
  readonly [K in OptionName]:
    | ValueOf<(typeof OPTIONS)[K]>
    | ((typeof OPTIONS)[K] extends Required<Pick<OptionSpec, "default">> ? never : undefined);
};

/** `maxDirty` as it is typed: `max-dirty`. */
export function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
}
