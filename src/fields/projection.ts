import gdal from "gdal-async";
import { type AlbersParameters, albersConstants } from "../kernel/albers.js";
import { type AlbersConstants, STATUS_OK, type WkbColumn } from "../kernel/geometry.js";
import { PipelineError } from "../pipeline/errors.js";
import { crsIdentifier } from "./crs-identifier.js";
import { Polygons, readWkb, writeWkb } from "./wkb.js";

// Coordinates are x first, whatever order of axes a CRS has by itself: as GeoParquet demands and GeoPandas has it.
gdal.config.set("OSR_DEFAULT_AXIS_MAPPING_STRATEGY", "TRADITIONAL_GIS_ORDER");

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
  if (source.isSame(target)) return { kind: "same" };
  const sameDatum = source.isSameGeogCS(target) || (s.has("datum") && s.get("datum") === t.get("datum"));
  if (sameDatum && isPlainGeographic(s) && isPlainGeographic(t)) return { kind: "same" };
  const albers = isPlainGeographic(s) ? albersParameters(t) : undefined;
  if (albers !== undefined && (sameDatum || isConterminous(s, t, albers)))
    return { kind: "albers", constants: albersConstants(albers) };
  return { kind: "proj", reproject: reprojection(transformation(source, target, { from, to })) };
}

/** @throws {PipelineError} input: PROJ has no way between them, as for a drawing's own axes. */
function transformation(
  source: gdal.SpatialReference,
  target: gdal.SpatialReference,
  { from, to }: { readonly from: string; readonly to: string },
): gdal.CoordinateTransformation {
  try {
    return new gdal.CoordinateTransformation(source, target);
  } catch (cause) {
    const where = { crs: crsName(from), expected: "a CRS on the earth", target: crsName(to) };
    throw new PipelineError("input", "The CRS of the fields cannot be transformed; see --fields-crs", where, { cause });
  }
}

/** A CRS for a message: `EPSG:5070`, or the name in WKT or PROJJSON. */
export function crsName(crs: string): string {
  const named = /^\s*\{/.test(crs) ? (JSON.parse(crs) as { name?: string }).name : /^\s*\w+\["([^"]*)"/.exec(crs)?.[1];
  return named ?? (crs.length > 80 ? `${crs.slice(0, 77)}...` : crs);
}

/** Whether two names, WKTs or PROJJSONs are of the same CRS. */
export function sameCrs(a: string, b: string): boolean {
  return a === b || spatialReference(a).isSame(spatialReference(b));
}

/** @throws {PipelineError} input, when GDAL does not know the CRS. */
export function spatialReference(crs: string): gdal.SpatialReference {
  try {
    return gdal.SpatialReference.fromUserInput(crsIdentifier(crs) ?? crs);
  } catch (cause) {
    throw new PipelineError("input", "Unknown CRS", { crs: crsName(crs) }, { cause });
  }
}

type ProjDefinition = ReadonlyMap<string, string>;

/** Axes that PROJ.4 leaves out: longitudes positive to the west. */
const REVERSED_AXIS = /\bAXIS\["[^"]*",\s*(?:WEST|SOUTH)\b/i;
const DEGREE = Math.PI / 180;

/** `+proj=aea +lat_0=23 ...` as a map; empty where PROJ.4 has no words for it, as for angles in grads. */
function projDefinition(srs: gdal.SpatialReference): ProjDefinition {
  try {
    if (REVERSED_AXIS.test(srs.toWKT())) return new Map();
    if (Math.abs(srs.getAngularUnits().value / DEGREE - 1) > 1e-9) return new Map();
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
 * translation of zero), so either stands for the other, as GeoPandas' to_crs has it. PROJ has others for
 * Hawaii and the Aleutians, by 1 m, and for the later realizations of NAD83.
 */
function isConterminous(s: ProjDefinition, t: ProjDefinition, { lon0 }: AlbersParameters): boolean {
  return s.has("datum") && t.has("datum") && lon0 > -130 && lon0 < -60;
}

function ellipsoid(definition: ProjDefinition): typeof GRS80 | undefined {
  if (definition.has("towgs84") || definition.has("nadgrids") || definition.has("pm") || definition.has("axis"))
    return undefined;
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
 * Every geometry by PROJ, all vertices of a column at once. One that cannot be read is passed on as it is, so that the
 * kernel names what is wrong with it; one that cannot be projected as a polygon of NaN.
 */
function reprojection(way: gdal.CoordinateTransformation): (column: WkbColumn) => WkbColumn {
  const polygons = new Polygons();
  return (column) => {
    const rows = Array.from({ length: column.offsets.length - 1 }, (_, row) => {
      const wkb = column.values.subarray(column.offsets[row], column.offsets[row + 1]);
      return wkb.length > 0 && readWkb(wkb, polygons) === STATUS_OK ? writeWkb(polygons) : { wkb, rings: [] };
    });
    if (!project(rows, way)) {
      // One field without a place in the target makes PROJ refuse all of them.
      for (const row of rows) if (!project([row], way)) for (const ring of row.rings) ring.fill(0xff);
    }
    const offsets = new Int32Array(rows.length + 1);
    rows.forEach(({ wkb }, row) => {
      offsets[row + 1] = (offsets[row] as number) + wkb.length;
    });
    const values = new Uint8Array(offsets[rows.length] as number);
    rows.forEach(({ wkb }, row) => {
      values.set(wkb, offsets[row]);
    });
    return { ...column, values, offsets };
  };
}

/** Bytes of a line string before its vertices: byte order, type, number of vertices. */
const LINE_HEAD = 9;
const [LINE_STRING, VERTEX_BYTES] = [2, 16];

/** Project the vertices of all rings in place; false, with nothing changed, where PROJ has no place for one. */
function project(
  rows: readonly { readonly rings: readonly Uint8Array[] }[],
  way: gdal.CoordinateTransformation,
): boolean {
  const rings = rows.flatMap((row) => row.rings);
  const bytes = rings.reduce((sum, ring) => sum + ring.length, 0);
  if (bytes === 0) return true;
  const line = Buffer.alloc(LINE_HEAD + bytes);
  line[0] = 1;
  line.writeUInt32LE(LINE_STRING, 1);
  line.writeUInt32LE(bytes / VERTEX_BYTES, 5);
  let at = LINE_HEAD;
  for (const ring of rings) {
    line.set(ring, at);
    at += ring.length;
  }
  let projected: Uint8Array;
  try {
    const geometry = gdal.Geometry.fromWKB(line);
    geometry.transform(way);
    projected = geometry.toWKB(gdal.wkbNDR);
  } catch {
    return false;
  }
  at = LINE_HEAD;
  for (const ring of rings) {
    ring.set(projected.subarray(at, at + ring.length));
    at += ring.length;
  }
  return true;
}

/** Single points between longitude and latitude (WGS 84) and a CRS, x first on both sides. */
export function pointProjection(crs: string): {
  readonly forward: (lngLat: readonly [number, number]) => [number, number];
  readonly back: (point: readonly [number, number]) => [number, number];
  /** Meters of the CRS's unit; of a degree, where it is geographic. */
  readonly unitMeters: number;
} {
  const [degrees, other] = [spatialReference("OGC:CRS84"), spatialReference(crs)];
  const way = (from: gdal.SpatialReference, to: gdal.SpatialReference) => {
    const both = transformation(from, to, { from: crs, to: "OGC:CRS84" });
    return ([x, y]: readonly [number, number]): [number, number] => {
      const point = both.transformPoint(x, y);
      return [point.x, point.y];
    };
  };
  const unitMeters = other.isGeographic() ? 111_000 : other.getLinearUnits().value;
  return { forward: way(degrees, other), back: way(other, degrees), unitMeters };
}
