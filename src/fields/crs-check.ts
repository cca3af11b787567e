import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { isLngLat } from "./crs-identifier.js";
import type { FieldsFile } from "./fields-file.js";
import type { FieldSlice } from "./reader.js";
import { sampleVertices } from "./tasks.js";

/** Degrees that a longitude may have, in data that goes round the antimeridian, and a latitude. */
const [MAX_LNG, MAX_LAT] = [540, 90 + 1e-6];

/**
 * Hold the first fields' coordinates against the CRS, before anything is made of them.
 *
 * @param slice  the first one; undefined for a file without rows.
 * @throws {PipelineError} input: most of the fields lie where the CRS has no place.
 */
export async function checkCrs(
  fields: FieldsFile,
  slice: FieldSlice | undefined,
  pool: Pool,
  ctx: Context,
): Promise<void> {
  const { path, idColumn, geometryColumn, crs } = fields;
  if (slice === undefined) return;
  const vertices = await pool.run(sampleVertices, { path, slice, idColumn, geometryColumn }).catch((cause: unknown) => {
    const rows = `${slice.firstRow}..${slice.firstRow + slice.rows}`;
    throw asPipelineError(cause, "input", "Fields cannot be read", { path, rowGroup: slice.rowGroup, rows });
  });
  const points = Array.from({ length: vertices.length / 2 }, (_, i) => [vertices[2 * i], vertices[2 * i + 1]] as Point);
  if (points.length === 0) return;
  if (isLngLat(crs) && 2 * points.filter(isDegrees).length >= points.length) return;
  const { crsName, pointProjection, spatialReference } = await import("./projection.js");
  const isGeographic = spatialReference(crs).isGeographic();
  const hasPlace = isGeographic ? isDegrees : placeIn(pointProjection(crs));
  const coordinates = `x ${range(points, 0)}, y ${range(points, 1)}`;
  if (2 * points.filter(hasPlace).length < points.length) {
    throw new PipelineError("input", "The CRS of the fields does not fit their coordinates", {
      path,
      crs: crsName(crs),
      expected: isGeographic ? "degrees" : "coordinates that the CRS has a place for",
      received: coordinates,
      option: "pass the CRS that they are in, as --fields-crs EPSG:5070",
    });
  }
  if (!isGeographic && points.every(isDegrees)) {
    const where = { path, crs: crsName(crs), coordinates };
    ctx.log.warn("coordinates look like degrees, but the CRS of the fields has other units; see --fields-crs", where);
  }
}

type Point = readonly [number, number];

function isDegrees([x, y]: Point): boolean {
  return Math.abs(x) <= MAX_LNG && Math.abs(y) <= MAX_LAT;
}

function placeIn({ back }: { readonly back: (point: Point) => readonly number[] }): (point: Point) => boolean {
  return (point) => {
    try {
      return back(point).every(Number.isFinite);
    } catch {
      return false;
    }
  };
}

function range(points: readonly Point[], axis: 0 | 1): string {
  const values = points.map((point) => point[axis]);
  return `${Math.min(...values)}..${Math.max(...values)}`;
}
