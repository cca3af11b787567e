import { type DataType, Type } from "apache-arrow";
import type { SchemaElement } from "hyparquet/src/types.js";
import { PipelineError } from "../pipeline/errors.js";
import { openParquet, type ParquetShape } from "../table/parquet-file.js";
import { crsOf, type GeoType, geoMetadata } from "./fields-crs.js";
import { nativeEncoding } from "./geoarrow.js";
import { idTypeOf } from "./ids.js";

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
  /** Used instead of what the file says of its CRS. */
  readonly fieldsCrs?: string | undefined;
}

interface Notices {
  warn(message: string, where: Readonly<Record<string, string>>): void;
}

export const ID_NAMES = ["field_id", "id", "fid", "CSBID"];
const GEOMETRY_NAMES = ["geometry", "geom", "wkb", "wkb_geometry"];

function geoTypes(schema: readonly SchemaElement[]): Map<string, GeoType> {
  const types = new Map<string, GeoType>();
  for (const { name, logical_type } of schema) {
    if (logical_type?.type === "GEOMETRY" || logical_type?.type === "GEOGRAPHY") types.set(name, logical_type);
  }
  return types;
}

/**
 * Open a file of field polygons and find its columns.
 *
 * @param log  of what the user should know about the CRS.
 * @throws {PipelineError} input: as openParquet; a named or needed column that is missing or of the
 *   wrong type; no CRS in the file and none given.
 */
export async function openFields(path: string, options: FieldsOptions = {}, log?: Notices): Promise<FieldsFile> {
  const shape = await openParquet(path);
  const geo = geoMetadata(path, shape.metadata);
  const geometries = geoTypes(shape.schema);
  const idColumn = findColumn(shape, "id", options.idColumn, ID_NAMES);
  const geometryColumn = findColumn(shape, "geometry", options.geometryColumn ?? geo?.primary_column, [
    ...GEOMETRY_NAMES,
    ...geometries.keys(),
  ]);
  const idType = idTypeOf(shape.columns.get(idColumn) as DataType);
  if (idType === undefined) {
    throw new PipelineError("input", "Id column must hold whole numbers or text", {
      path,
      column: idColumn,
      received: String(shape.columns.get(idColumn)),
    });
  }
  const column = geo?.columns?.[geometryColumn];
  checkEncoding(shape, geometryColumn, column?.encoding);
  const source = { path, column: geometryColumn, geo: column, logical: geometries.get(geometryColumn) };
  const { crs, notices } = await crsOf({ ...source, metadata: shape.metadata }, options.fieldsCrs);
  for (const notice of notices) log?.warn(notice, { path });
  return { ...shape, idColumn, idType, geometryColumn, crs };
}

/** WKB in bytes, or polygons as GeoArrow nests them. */
function checkEncoding({ path, columns, schema }: ParquetShape, column: string, encoding = "WKB"): void {
  const type = columns.get(column) as DataType;
  const native = nativeEncoding(schema, column);
  const isWkb = type.typeId === Type.Binary && encoding === "WKB";
  const isNative = native !== undefined && ["WKB", native].includes(encoding.replace(/^geoarrow\./, ""));
  if (isWkb || isNative) return;
  throw new PipelineError("input", "Geometry column must hold polygons in WKB or a GeoArrow encoding", {
    path,
    column,
    encoding,
    received: type.typeId === Type.Null ? "another nested type" : String(type),
  });
}

/**
 * The column of name `given`, else the first of `names` that is there, in these letters or, failing that, in capitals
 * or small ones; else an error that lists what is there.
 *
 * @throws {PipelineError} input.
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
