import { type Census, type CensusPlan, mergeCensus, missingRows, newCensus } from "../archive/census.js";
import { GEOMETRY_TYPE } from "../archive/mvt.js";
import { Archive } from "../archive/reader.js";
import { censusRange } from "../archive/tasks.js";
import { OWN_BUFFER } from "../archive/verify.js";
import { STATUS_OK } from "../kernel/geometry.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";

/** Tiles that a worker opens at a time; each answer carries two bits a field. */
const RANGE = 16_384;
const FIRST_ROWS = 20;
/** Largest class that fits the census's table of attributes. */
const MAX_CODE = 0x7fff;

/** What of the fields is in an archive at its highest zoom. */
export interface FieldCensus {
  /** Fields with a polygon, and with a centroid. */
  readonly fields: number;
  readonly centroids: number;
  /** Fields with a centroid whose polygon is thinner than a tile unit and so is no polygon there. */
  readonly thin: number;
  readonly firstThin: readonly number[];
  /** By layer, in the order of LAYERS: bit r is set when row r is there at the highest zoom. */
  readonly seen: readonly Uint8Array[];
}

/**
 * Open every tile and tick off every feature: a tiler's exit code says nothing of
 * what it lost. Crop codes are compared row by row on the way.
 *
 * @param status  FIELD_STATUS code per row; rows that could not be drawn must not be there.
 * @param crop    CDL code per row, NaN where there is none; undefined for an archive without crops.
 * @throws {PipelineError} tool, naming rows, when a centroid is missing or another crop is in a tile.
 */
export async function takeCensus(
  path: string,
  status: Uint8Array,
  crop: ArrayLike<number> | undefined,
  maxZoom: number,
  pool: Pool,
  ctx: Context,
): Promise<FieldCensus> {
  const rows = status.length;
  const plan: CensusPlan = {
    layers: [
      { name: "fields", geometryType: GEOMETRY_TYPE.polygon },
      { name: "centroids", geometryType: GEOMETRY_TYPE.point },
    ],
    rows,
    maxZoom,
    // Costs a twentieth of what tiling does.
    buffer: OWN_BUFFER,
    ...(crop && { attribute: { key: "crop_code", values: attributeValues(crop) } }),
  };
  const census = newCensus(plan);
  const entries = countEntries(path);
  const ranges = Array.from({ length: Math.ceil(entries / RANGE) }, (_, i) => ({
    from: i * RANGE,
    to: Math.min(entries, (i + 1) * RANGE),
  }));
  const task = ctx.progress.start("tiles checked", entries);
  try {
    for await (const part of mapOrdered(ranges, pool.threads + 1, (range) =>
      pool.run(censusRange, { path, plan, ...range }),
    )) {
      ctx.signal.throwIfAborted();
      mergeCensus(census, part);
      task.update(census.entries);
    }
  } catch (error) {
    throw asPipelineError(error, "tool", "Archive is not what was tiled", { path });
  } finally {
    task.end();
  }
  return summarise(census, status, path);
}

function summarise(census: Census, status: Uint8Array, path: string): FieldCensus {
  const rows = status.length;
  const [polygons, points] = census.layers as [Census["layers"][0], Census["layers"][0]];
  const has = (layer: Census["layers"][0], row: number) => ((layer.seen[row >> 3] as number) >> (row & 7)) & 1;
  const lost: number[] = [];
  const firstThin: number[] = [];
  let [drawn, lostCount, thin] = [0, 0, 0];
  status.forEach((code, row) => {
    const [polygon, point] = [has(polygons, row), has(points, row)];
    if (code === STATUS_OK) {
      drawn++;
      if (!point) {
        lostCount++;
        if (lost.length < FIRST_ROWS) lost.push(row);
      } else if (!polygon) {
        thin++;
        if (firstThin.length < FIRST_ROWS) firstThin.push(row);
      }
    } else if (polygon || point) {
      throw new PipelineError("tool", "A feature is in the archive that was never written", { path, row });
    }
  });
  if (lostCount > 0) {
    throw new PipelineError("tool", "Features were lost in tiling", {
      path,
      layer: "centroids",
      expected: drawn,
      received: drawn - lostCount,
      firstRows: lost.join(" "),
    });
  }
  const missing = missingRows(polygons, rows).count;
  return { fields: rows - missing, centroids: drawn, thin, firstThin, seen: [polygons.seen, points.seen] };
}

/** Shared, so that every worker reads the same table. */
function attributeValues(crop: ArrayLike<number>): Int16Array {
  const values = new Int16Array(new SharedArrayBuffer(crop.length * 2));
  for (let row = 0; row < crop.length; row++) {
    const code = crop[row] as number;
    if (code > MAX_CODE || !(Number.isNaN(code) || Number.isInteger(code))) {
      throw new PipelineError("input", "Crop code cannot go into tiles", {
        row,
        expected: `a whole number up to ${MAX_CODE}`,
        received: code,
      });
    }
    values[row] = Number.isNaN(code) ? -1 : code;
  }
  return values;
}

function countEntries(path: string): number {
  const archive = new Archive(path);
  try {
    return archive.entries.count;
  } finally {
    archive.close();
  }
}
