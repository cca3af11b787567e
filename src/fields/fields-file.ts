import { type DataType, Type } from "apache-arrow";
import { parquetMetadata } from "hyparquet/src/metadata.js";
import { PipelineError } from "../pipeline/errors.js";
import { arrowTypes } from "../table/arrow-types.js";
import { readFooter } from "../table/read-footer.js";
import { idTypeOf } from "./ids.js";

/** A parquet file's shape, read from its footer alone. */
export interface ParquetShape {
  readonly path: string;
  readonly rows: number;
  readonly rowGroups: readonly number[];
  readonly columns: ReadonlyMap<string, DataType>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** A file of field polygons: where id, geometry and CRS are. */
export interface FieldsFile extends ParquetShape {
  readonly idColumn: string;
  readonly idType: DataType;
  readonly geometryColumn: string;
  /** For GDAL's fromUserInput: `OGC:CRS84`, PROJJSON ... */
  readonly crs: string;
}

export interface FieldsOptions {
  readonly idColumn?: string | undefined;
  readonly geometryColumn?: string | undefined;
  /** Used where the file says nothing of its CRS. */
  readonly fieldsCrs?: string | undefined;
}

export const ID_NAMES = ["field_id", "id", "fid", "CSBID"];
const GEOMETRY_NAMES = ["geometry", "geom", "wkb", "wkb_geometry"];

/**
 * Open a parquet file's footer.
 *
 * @throws {PipelineError} input: missing, not parquet, cut short (no PAR1 at its end), unreadable footer.
 */
export async function openParquet(path: string): Promise<ParquetShape> {
  const footer = readFooter(path).buffer;
  try {
    const metadata = parquetMetadata(footer, { geoparquet: false });
    return {
      path,
      rows: Number(metadata.num_rows),
      rowGroups: metadata.row_groups.map((group) => Number(group.num_rows)),
      columns: arrowTypes(metadata),
      metadata: new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value ?? ""])),
    };
  } catch (cause) {
    throw new PipelineError("input", "Parquet footer cannot be read", { path }, { cause });
  }
}

/**
 * Open a file of field polygons and find its columns.
 *
 * @throws {PipelineError} input: as openParquet; a named or needed column that is missing or of the
 *   wrong type; no CRS in the file and none given.
 */
export async function openFields(path: string, options: FieldsOptions): Promise<FieldsFile> {
  const shape = await openParquet(path);
  const geo = geoMetadata(shape);
  const idColumn = findColumn(shape, "id", options.idColumn, ID_NAMES);
  const geometryColumn = findColumn(shape, "geometry", options.geometryColumn ?? geo?.primary_column, GEOMETRY_NAMES);
  const idType = idTypeOf(shape.columns.get(idColumn) as DataType);
  if (idType === undefined) {
    throw new PipelineError("input", "Id column must hold whole numbers or text", {
      path,
      column: idColumn,
      received: String(shape.columns.get(idColumn)),
    });
  }
  const geometryType = shape.columns.get(geometryColumn) as DataType;
  if (![Type.Binary, Type.LargeBinary].includes(geometryType.typeId)) {
    throw new PipelineError("input", "Geometry column must hold WKB", {
      path,
      column: geometryColumn,
      received: String(geometryType),
    });
  }
  const column = geo?.columns?.[geometryColumn];
  if (column?.encoding !== undefined && column.encoding !== "WKB") {
    throw new PipelineError("input", "Geometry encoding must be WKB", {
      path,
      column: geometryColumn,
      received: column.encoding,
    });
  }
  return { ...shape, idColumn, idType, geometryColumn, crs: fieldsCrs(path, column, options.fieldsCrs) };
}

/**
 * The column of name `given`, else the first of `names` that is there, in these letters or, failing that, in capitals
 * or small ones; else an error that lists what is there.
 */
export function findColumn(
  shape: ParquetShape,
  role: string,
  given: string | undefined,
  names: readonly string[],
): string {
  const name = given ?? usualColumn([...shape.columns.keys()], names);
  if (name !== undefined && shape.columns.has(name)) return name;
  throw new PipelineError("input", `Column of the ${role} is missing`, {
    path: shape.path,
    expected: given ?? names.join(" or "),
    received: [...shape.columns.keys()].join(" "),
  });
}

/** The first of the usual `names` that is among `columns`, in whatever letters; undefined where none is. */
export function usualColumn(columns: readonly string[], names: readonly string[]): string | undefined {
  for (const usual of names) {
    const found =
      columns.find((name) => name === usual) ?? columns.find((name) => name.toLowerCase() === usual.toLowerCase());
    if (found !== undefined) return found;
  }
  return undefined;
}

interface GeoColumn {
  readonly encoding?: string;
  /** PROJJSON (WKT before GeoParquet 0.4); null when unknown; absent means OGC:CRS84. */
  readonly crs?: object | string | null;
}

interface GeoMetadata {
  readonly primary_column?: string;
  readonly columns?: Readonly<Record<string, GeoColumn>>;
}

function geoMetadata(shape: ParquetShape): GeoMetadata | undefined {
  const text = shape.metadata.get("geo");
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as GeoMetadata;
  } catch (cause) {
    throw new PipelineError("input", "The geo metadata is not JSON", { path: shape.path }, { cause });
  }
}

/** The file's own CRS (GeoParquet 1.0: absent means lng/lat WGS 84), else the given one. */
function fieldsCrs(path: string, column: GeoColumn | undefined, given: string | undefined): string {
  const crs = column === undefined ? null : column.crs;
  if (crs === undefined) return "OGC:CRS84";
  if (crs !== null) return typeof crs === "string" ? crs : JSON.stringify(crs);
  if (given !== undefined) return given;
  throw new PipelineError("input", "The file does not say its CRS; pass it, as --fields-crs EPSG:4326", { path });
}
