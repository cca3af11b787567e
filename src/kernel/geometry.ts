/** A column of WKB geometries as Arrow holds it; row i is `values[offsets[i] .. offsets[i + 1])`. */
export interface WkbColumn {
  readonly values: Uint8Array;
  /** n + 1 ascending offsets into `values`. */
  readonly offsets: Int32Array;
  /** Bit `validityOffset + i` is 0 where row i is null; absent when no row is. */
  readonly validity?: Uint8Array;
  readonly validityOffset?: number;
}

/** Constants of an Albers equal-area projection from degrees; see albers.ts. */
export interface AlbersConstants {
  readonly lon0: number;
  readonly a: number;
  readonly e2: number;
  readonly n: number;
  readonly c: number;
  readonly rho0: number;
  readonly x0: number;
  readonly y0: number;
}

/** What came of reading and burning a geometry; index = code. Same order as native/geometry/wkb.h. */
export const FIELD_STATUS = [
  "ok",
  "null geometry",
  "empty geometry",
  "truncated WKB",
  "not a polygon",
  "coordinates not finite",
  "ring of fewer than four vertices",
  "outside the raster",
  "no pixel centre inside",
  "small: touched pixels",
  "no pixel touched or covered",
] as const;

export const STATUS_OK = 0;
/** Codes from 1 to here are dirty data. */
export const LAST_DIRTY_STATUS = 6;
export const STATUS_OUTSIDE = 7;
/** No pixel center inside, and answered by the pixels that it touches. */
export const STATUS_SMALL = 9;

/** Newline-delimited features of a batch, and what came of each geometry. */
export interface FeatureText {
  readonly text: Uint8Array;
  readonly status: Uint8Array;
}

/** Property texts of a batch, one a row: `"field_id":7,"crop_code":1`. */
export interface TextColumn {
  readonly values: Uint8Array;
  readonly offsets: Int32Array;
}

/** Polygons as text, and their areas. */
export interface GeometryKernel {
  /**
   * A polygon and a point inside it for every readable geometry, as GeoJSON lines.
   *
   * @param firstId     feature id of the first row; ids count up by row, also over unreadable ones.
   * @param decimals    places of a degree to keep.
   * @see native/geometry/geojson.cc
   */
  geojson(column: WkbColumn, firstId: number, properties: TextColumn, decimals: number): FeatureText;

  /**
   * Areas on an ellipsoid of polygons in degrees, edges taken as shortest lines.
   *
   * @param semiMajor          meters.
   * @param inverseFlattening  0 for a sphere.
   * @returns square meters by row; NaN for what cannot be read.
   * @see native/geometry/area.cc
   */
  areas(column: WkbColumn, semiMajor: number, inverseFlattening: number): Float64Array;
}
