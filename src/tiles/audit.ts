import { type Audit, type AuditPlan, mergeAudit, missingRows, newAudit } from "../archive/audit.js";
import { TILE_TYPE } from "../archive/header.js";
import { GEOMETRY_TYPE } from "../archive/mvt.js";
import { Archive } from "../archive/reader.js";
import { auditRange } from "../archive/tasks.js";
import { OWN_BUFFER } from "../archive/verify.js";
import { STATUS_OK } from "../kernel/geometry.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";
import { auditBaseRange } from "./audit-base.js";

/** Tiles that a worker opens at a time; each answer carries two bits a field. */
const RANGE = 16_384;
const FIRST_ROWS = 20;
/** Largest class that fits the audit's table of attributes. */
const MAX_CODE = 0x7fff;

/** From this zoom on every field is to be in the tiles that it meets. */
export const FIELD_ZOOM = 9;

/** What of the fields is in an archive. */
export interface FieldAudit {
  /** Fields with a polygon, and with a centroid, at the highest zoom. */
  readonly fields: number;
  readonly centroids: number;
  /** Fields with a centroid whose polygon is thinner than a tile unit and so is no polygon there. */
  readonly thin: number;
  readonly firstThin: readonly number[];
  /** By layer, in the order of LAYERS: bit r is set when row r is there at the highest zoom. */
  readonly seen: readonly Uint8Array[];
  /** Zooms from FIELD_ZOOM to below the highest that lack fields: how many have no polygon, and no centroid. */
  readonly leftOut: readonly LeftOut[];
}

export type LeftOut = { readonly zoom: number; readonly fields: number; readonly centroids: number };

/**
 * Open every tile and tick off every feature, at each zoom that is to have all fields: a
 * tiler's exit code says nothing of what it lost. Crop codes are compared row by row on the way.
 *
 * @param status     FIELD_STATUS code per row; rows that could not be drawn must not be there.
 * @param crop       CDL code per row, NaN where there is none; undefined for an archive without crops.
 * @param everyZoom  the tiler leaves out no field from FIELD_ZOOM on: one that does is an error. Of tippecanoe, which
 *   drops fields below the highest zoom where tiles get large, it is reported.
 * @throws {PipelineError} tool, naming rows and zoom, when a centroid is missing at the highest zoom, a field at another
 *   one, or another crop is in a tile.
 */
export async function auditArchive(
  path: string,
  status: Uint8Array,
  crop: ArrayLike<number> | undefined,
  maxZoom: number,
  pool: Pool,
  ctx: Context,
  everyZoom = false,
): Promise<FieldAudit> {
  const rows = status.length;
  const plan: AuditPlan = {
    layers: [
      { name: "fields", geometryType: GEOMETRY_TYPE.polygon },
      { name: "centroids", geometryType: GEOMETRY_TYPE.point },
    ],
    rows,
    maxZoom,
    fullZoom: FIELD_ZOOM,
    // Costs a twentieth of what tiling does.
    buffer: OWN_BUFFER,
    ...(crop && { attribute: { key: "crop_code", values: attributeValues(crop) } }),
  };
  const audit = newAudit(plan);
  const archive = new Archive(path);
  const entries = archive.entries.count;
  const { minZoom, tileType } = archive.header;
  archive.close();
  const auditPart = tileType === TILE_TYPE.unknown ? auditBaseRange : auditRange;
  const ranges = Array.from({ length: Math.ceil(entries / RANGE) }, (_, i) => ({
    from: i * RANGE,
    to: Math.min(entries, (i + 1) * RANGE),
  }));
  const task = ctx.progress.start("tiles checked", entries);
  try {
    for await (const part of mapOrdered(ranges, pool.threads + 1, (range) =>
      pool.run(auditPart, { path, plan, ...range }),
    )) {
      ctx.signal.throwIfAborted();
      mergeAudit(audit, part);
      task.update(audit.entries);
    }
  } catch (error) {
    throw asPipelineError(error, "tool", "Archive is not what was tiled", { path });
  } finally {
    task.end();
  }
  const leftOut: LeftOut[] = [];
  for (let zoom = Math.max(minZoom, FIELD_ZOOM); zoom < maxZoom; zoom++) {
    const [fields, centroids] = audit.layers.map((layer) => lacking(layer.seenBelow[zoom], status, path));
    if (fields === undefined || centroids === undefined || fields.count + centroids.count === 0) continue;
    const firstRows = (fields.count > 0 ? fields : centroids).first.join(" ");
    const where = { zoom, fields: fields.count, centroids: centroids.count, of: rows, firstRows };
    if (everyZoom) throw new PipelineError("tool", "Fields are missing from a zoom", { path, ...where });
    leftOut.push({ zoom, fields: fields.count, centroids: centroids.count });
    ctx.log.warn(`zoom ${zoom} lacks ${fields.count} fields, and ${centroids.count} centroids`, where);
  }
  return { ...summarise(audit, status, path), leftOut };
}

/** Fields that were drawn and are not there: how many, and the first few. */
function lacking(seen: Uint8Array | undefined, status: Uint8Array, path: string): { count: number; first: number[] } {
  const first: number[] = [];
  let count = 0;
  status.forEach((code, row) => {
    const there = seen !== undefined && ((seen[row >> 3] as number) & (1 << (row & 7))) !== 0;
    if ((code === STATUS_OK) === there) return;
    if (there) throw new PipelineError("tool", "A feature is in the archive that was never written", { path, row });
    count++;
    if (first.length < FIRST_ROWS) first.push(row);
  });
  return { count, first };
}

function summarise(audit: Audit, status: Uint8Array, path: string): Omit<FieldAudit, "leftOut"> {
  const rows = status.length;
  const [polygons, points] = audit.layers as [Audit["layers"][0], Audit["layers"][0]];
  const has = (layer: Audit["layers"][0], row: number) => ((layer.seen[row >> 3] as number) >> (row & 7)) & 1;
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
