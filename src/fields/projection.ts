import gdal from "gdal-async";
import { type AlbersParameters, albersConstants } from "../kernel/albers.js";
import type { AlbersConstants, WkbColumn } from "../kernel/geometry.js";
import { PipelineError } from "../pipeline/errors.js";

/** How a field set's coordinates become the raster's. */
export type Projection =
  | { readonly kind: "same" }
  | { readonly kind: "albers"; readonly constants: AlbersConstants }
  /** By PROJ, in the main thread: the way for every pair that the kernel does not know. */
  | { readonly kind: "proj"; readonly reproject: (column: WkbColumn) => WkbColumn };

/**
 * Choose the way from one CRS to another.
 *
 * @param from  as fields name it: an authority code, PROJJSON, WKT. Coordinates are
 *              always x = longitude or easting, as GeoParquet demands.
 * @param to    WKT or any other name.
 * @throws {PipelineError} input, naming the CRS that PROJ does not know.
 */
export function planProjection(from: string, to: string): Projection {
  const [source, target] = [spatialReference(from), spatialReference(to)];
  const [s, t] = [projDefinition(source), projDefinition(target)];
  if (source.isSame(target) || (isPlainGeographic(s) && isPlainGeographic(t))) return { kind: "same" };
  const albers = isPlainGeographic(s) ? albersParameters(t) : undefined;
  if (albers !== undefined) return { kind: "albers", constants: albersConstants(albers) };
  return { kind: "proj", reproject: reprojection(source, target) };
}

/** Whether two names, WKTs or PROJJSONs are of the same CRS. */
export function sameCrs(a: string, b: string): boolean {
  return a === b || spatialReference(a).isSame(spatialReference(b));
}

export function spatialReference(crs: string): gdal.SpatialReference {
  try {
    return gdal.SpatialReference.fromUserInput(identifier(crs) ?? crs);
  } catch (cause) {
    const crsName = crs.length > 80 ? `${crs.slice(0, 77)}...` : crs;
    throw new PipelineError("input", "CRS is not known", { crs: crsName }, { cause });
  }
}

interface Projjson {
  readonly authority?: string;
  readonly code?: string | number;
}

/** `OGC:CRS84` of PROJJSON that is cut down to type, name and id, as some writers have it; PROJ wants it whole. */
function identifier(crs: string): string | undefined {
  if (!crs.startsWith("{")) return undefined;
  const { id, datum, datum_ensemble, conversion } = JSON.parse(crs) as Readonly<Record<string, Projjson | undefined>>;
  return id && !datum && !datum_ensemble && !conversion ? `${id.authority}:${id.code}` : undefined;
}

type ProjDefinition = ReadonlyMap<string, string>;

/** `+proj=aea +lat_0=23 ...` as a map; empty where PROJ.4 has no words for it. */
function projDefinition(srs: gdal.SpatialReference): ProjDefinition {
  try {
    return new Map(
      [...srs.toProj4().matchAll(/\+(\w+)(?:=(\S+))?/g)].map(([, key, value]) => [key as string, value ?? ""]),
    );
  } catch {
    return new Map();
  }
}

const GRS80 = { semiMajor: 6378137, inverseFlattening: 298.257222101 };
const WGS84 = { semiMajor: 6378137, inverseFlattening: 298.257223563 };

/**
 * NAD83 and WGS 84 differ by nothing in PROJ's default operation between them (EPSG:1188, a
 * translation of zero), so either stands for the other, as GeoPandas' to_crs has it.
 */
function ellipsoid(definition: ProjDefinition): typeof GRS80 | undefined {
  if (definition.has("towgs84") || definition.has("nadgrids") || definition.has("pm")) return undefined;
  const datum = definition.get("datum");
  if (datum === "NAD83") return GRS80;
  if (datum === "WGS84") return WGS84;
  return datum === undefined && definition.get("ellps") === "GRS80" ? GRS80 : undefined;
}

function isPlainGeographic(definition: ProjDefinition): boolean {
  return definition.get("proj") === "longlat" && ellipsoid(definition) !== undefined;
}

function albersParameters(definition: ProjDefinition): AlbersParameters | undefined {
  const figure = ellipsoid(definition);
  if (definition.get("proj") !== "aea" || definition.get("units") !== "m" || figure === undefined) return undefined;
  const [lat0, lon0, lat1, lat2, x0, y0] = ["lat_0", "lon_0", "lat_1", "lat_2", "x_0", "y_0"].map((key) =>
    Number(definition.get(key)),
  );
  const parameters = { lat0, lon0, lat1, lat2, x0, y0, ...figure } as AlbersParameters;
  // A south-polar cone bends the other way; PROJ does those.
  return Object.values(parameters).every(Number.isFinite) && parameters.lat1 + parameters.lat2 > 0
    ? parameters
    : undefined;
}

/**
 * Every geometry through OGR and PROJ. One that cannot be read or projected is passed on
 * as it is if broken, so that the kernel names what is wrong with it, and as a polygon of
 * NaN where projection fails.
 */
function reprojection(source: gdal.SpatialReference, target: gdal.SpatialReference): (column: WkbColumn) => WkbColumn {
  // GDAL keeps the authority's axis order, which for EPSG:4326 is latitude first and for EPSG:3035 northing; the
  // data have x first.
  const [swapIn, swapOut] = [northFirst(source), northFirst(target)];
  const transformation = new gdal.CoordinateTransformation(source, target);
  const project = (wkb: Uint8Array): Uint8Array => {
    let geometry: gdal.Geometry;
    try {
      geometry = gdal.Geometry.fromWKB(Buffer.from(wkb));
      if (!(geometry instanceof gdal.Polygon || geometry instanceof gdal.MultiPolygon) || geometry.isEmpty())
        return wkb;
    } catch {
      return wkb;
    }
    try {
      if (swapIn) geometry.swapXY();
      geometry.transform(transformation);
      if (swapOut) geometry.swapXY();
      return geometry.toWKB(gdal.wkbNDR);
    } catch {
      return NOWHERE;
    }
  };
  return (column) => {
    const count = column.offsets.length - 1;
    const pieces: Uint8Array[] = [];
    const offsets = new Int32Array(count + 1);
    for (let i = 0; i < count; i++) {
      const wkb = column.values.subarray(column.offsets[i], column.offsets[i + 1]);
      const projected = wkb.length === 0 ? wkb : project(wkb);
      pieces.push(projected);
      offsets[i + 1] = (offsets[i] as number) + projected.length;
    }
    const values = new Uint8Array(offsets[count] as number);
    pieces.forEach((piece, i) => {
      values.set(piece, offsets[i]);
    });
    return { ...column, values, offsets };
  };
}

/** Single points between longitude and latitude (WGS 84) and a CRS, x first on both sides. */
export function pointProjection(crs: string): {
  readonly forward: (lngLat: readonly [number, number]) => [number, number];
  readonly back: (point: readonly [number, number]) => [number, number];
  /** Metres of the CRS's unit; of a degree, where it is geographic. */
  readonly unitMetres: number;
} {
  const [degrees, other] = [spatialReference("OGC:CRS84"), spatialReference(crs)];
  const way = (from: gdal.SpatialReference, to: gdal.SpatialReference) => {
    const transformation = new gdal.CoordinateTransformation(from, to);
    const [swapIn, swapOut] = [northFirst(from), northFirst(to)];
    return ([x, y]: readonly [number, number]): [number, number] => {
      const point = swapIn ? transformation.transformPoint(y, x) : transformation.transformPoint(x, y);
      return swapOut ? [point.y, point.x] : [point.x, point.y];
    };
  };
  const unitMetres = other.isGeographic() ? 111_000 : other.getLinearUnits().value;
  return { forward: way(degrees, other), back: way(other, degrees), unitMetres };
}

function northFirst(srs: gdal.SpatialReference): boolean {
  return srs.isGeographic() ? srs.EPSGTreatsAsLatLong() : srs.EPSGTreatsAsNorthingEasting();
}

/** A square of NaN: reported by the kernel as coordinates that are not finite. */
const NOWHERE = (() => {
  const wkb = new Uint8Array(1 + 4 + 4 + 4 + 4 * 16);
  const view = new DataView(wkb.buffer);
  wkb[0] = 1;
  view.setUint32(1, 3, true);
  view.setUint32(5, 1, true);
  view.setUint32(9, 4, true);
  for (let i = 0; i < 8; i++) view.setFloat64(13 + 8 * i, Number.NaN, true);
  return wkb;
})();
