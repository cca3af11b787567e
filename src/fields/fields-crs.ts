import { tableFromIPC } from "apache-arrow";
import { PipelineError } from "../pipeline/errors.js";

/** A geometry column in GeoParquet's `geo` metadata. */
export interface GeoColumn {
  readonly encoding?: string;
  /** PROJJSON (WKT before GeoParquet 0.4); null when unknown; absent means OGC:CRS84. */
  readonly crs?: object | string | null;
  readonly edges?: string;
}

export interface GeoMetadata {
  readonly primary_column?: string;
  readonly columns?: Readonly<Record<string, GeoColumn>>;
}

/** Parquet's own logical type of a geometry column. */
export interface GeoType {
  readonly type: "GEOMETRY" | "GEOGRAPHY";
  /** `EPSG:5070`, `srid:5070`, `projjson:KEY` of the file's metadata, PROJJSON; absent means OGC:CRS84. */
  readonly crs?: string;
}

/** What a file says of the CRS of one of its columns. */
export interface CrsSource {
  readonly path: string;
  readonly column: string;
  readonly geo: GeoColumn | undefined;
  readonly logical: GeoType | undefined;
  readonly metadata: ReadonlyMap<string, string>;
}

const LNG_LAT = "OGC:CRS84";

/** @throws {PipelineError} input: not JSON. */
export function geoMetadata(path: string, metadata: ReadonlyMap<string, string>): GeoMetadata | undefined {
  const text = metadata.get("geo");
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as GeoMetadata;
  } catch (cause) {
    throw new PipelineError("input", "The geo metadata is not valid JSON", { path }, { cause });
  }
}

/**
 * The CRS of a column: the given one, else what the file names, else longitude and latitude where its format says so.
 *
 * @param given  of `--fields-crs`: wins, for writers leave out or mistake the CRS of projected data.
 * @returns the CRS for GDAL's fromUserInput, and what the user should know.
 * @throws {PipelineError} input: the file does not say, and none is given.
 */
export async function crsOf(
  source: CrsSource,
  given: string | undefined,
): Promise<{ crs: string; notices: readonly string[] }> {
  const notices: string[] = [];
  const spherical = source.geo?.edges === "spherical" || source.logical?.type === "GEOGRAPHY";
  if (spherical) notices.push("edges are spherical in the file; they are taken as straight lines between coordinates");
  if (given === undefined) {
    const own = ownCrs(source);
    if (own !== undefined) return { crs: own, notices };
    throw new PipelineError("input", "The file does not declare a CRS; pass one, such as --fields-crs EPSG:4326", {
      path: source.path,
    });
  }
  const notice = await contradiction(source, given);
  return { crs: given, notices: notice === undefined ? notices : [...notices, notice] };
}

/**
 * What the user should know where `--fields-crs` is not the file's own CRS, or the file's cannot be read.
 *
 * @throws {PipelineError} input: the given one is unknown.
 */
async function contradiction(source: CrsSource, given: string): Promise<string | undefined> {
  let own: string | undefined;
  try {
    own = ownCrs(source);
    if (own === undefined || own === given) return undefined;
  } catch (error) {
    return notUsable(error);
  }
  // GDAL takes long to load, and most files need it for nothing else yet.
  const { crsName, planProjection, spatialReference } = await import("./projection.js");
  spatialReference(given);
  try {
    if (planProjection(own, given).kind === "same") return undefined;
    return `--fields-crs ${crsName(given)} is used instead of the file's own CRS, ${crsName(own)}`;
  } catch (error) {
    return notUsable(error);
  }
}

function notUsable(error: unknown): string {
  return `--fields-crs is used; the file's own CRS cannot be: ${(error as Error).message}`;
}

function ownCrs(source: CrsSource): string | undefined {
  return namedCrs(source) ?? defaultCrs(source);
}

/** The CRS that a file names, wherever it does. */
function namedCrs({ path, column, geo, logical, metadata }: CrsSource): string | undefined {
  if (geo?.crs) return typeof geo.crs === "string" ? geo.crs : JSON.stringify(geo.crs);
  if (logical?.crs) return logicalCrs(path, logical.crs, metadata);
  return geo === undefined ? geoArrowCrs(column, metadata) : undefined;
}

/** A `geo` entry with `crs: null` says that nobody knows. */
function defaultCrs({ geo, logical }: CrsSource): string | undefined {
  if (geo === undefined) return logical && LNG_LAT;
  return geo.crs === null ? undefined : LNG_LAT;
}

function logicalCrs(path: string, crs: string, metadata: ReadonlyMap<string, string>): string | undefined {
  const [, kind, name] = /^(srid|projjson):(.*)$/.exec(crs) ?? [];
  if (kind === "srid") return name === "0" ? undefined : `EPSG:${name}`;
  if (kind !== "projjson") return crs;
  const text = metadata.get(name as string);
  if (text !== undefined) return text;
  throw new PipelineError("input", "The CRS that the geometry type refers to is missing from the file metadata", {
    path,
    expected: name,
    received: [...metadata.keys()].join(" "),
  });
}

/** The CRS of a GeoArrow column, which stands in the schema that the writer had in memory. */
function geoArrowCrs(column: string, metadata: ReadonlyMap<string, string>): string | undefined {
  try {
    const { fields } = tableFromIPC(Buffer.from(metadata.get("ARROW:schema") ?? "", "base64")).schema;
    const extension = fields.find(({ name }) => name === column)?.metadata.get("ARROW:extension:metadata");
    const { crs } = JSON.parse(extension ?? "{}") as GeoColumn;
    return typeof crs === "object" && crs !== null ? JSON.stringify(crs) : (crs ?? undefined);
  } catch {
    // Types newer than this reader, or an extension of another kind.
    return undefined;
  }
}
