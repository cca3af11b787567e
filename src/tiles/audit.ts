import { type Audit, type AuditPlan, type LayerAudit, mergeAudit, missingRows, newAudit } from "../archive/audit.js";
import { GEOMETRY_TYPE } from "../archive/mvt.js";
import { Archive } from "../archive/reader.js";
import { auditRange } from "../archive/tasks.js";
import { OWN_BUFFER } from "../archive/verify.js";
import { STATUS_OK } from "../kernel/geometry.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError, PipelineError } from "../pipeline/errors.js";

/** Tiles that a worker opens at a time; each answer has two bits per field. */
const RANGE = 16_384;
const FIRST_ROWS = 20;
/** Largest class that fits the audit's table of attributes. */
const MAX_CODE = 0x7fff;

/** Native tiles contain cells below this zoom, every field from it on. Defined in native/tiles/tiler/world.h too. */
export const FIELD_ZOOM = 9;

/** The fields that are in an archive. */
export interface FieldAudit {
  /** Fields with a polygon, and with a centroid, at the highest zoom. */
  readonly fields: number;
  readonly centroids: number;
  /** Fields with a centroid whose polygon is thinner than a tile unit and therefore missing. */
  readonly thin: number;
  readonly firstThin: readonly number[];
  /** By layer, in the order of LAYERS: bit r is set if row r is present at the highest zoom. */
  readonly seen: readonly Uint8Array[];
  /** Zooms from FIELD_ZOOM to below the highest that lack fields: the number without polygon, and without centroid. */
  readonly leftOut: readonly LeftOut[];
}

export type LeftOut = { readonly zoom: number; readonly fields: number; readonly centroids: number };

/**
 * Open every tile that tippecanoe made and check off every feature, at each zoom that must have all fields, because its
 * exit code does not report lost fields. Crop codes are also compared, row by row. Fields that it dropped from large
 * tiles below the highest zoom are reported.
 *
 * @param status     FIELD_STATUS code per row; rows that could not be drawn must be absent.
 * @param crop       CDL code per row, NaN if there is none; undefined for an archive without crops.
 * @throws {PipelineError} tool, naming rows, when a centroid is missing at the highest zoom, or another crop is in a tile.
 */
export async function auditArchive(
  path: string,
  status: Uint8Array,
  crop: ArrayLike<number> | undefined,
  maxZoom: number,
  pool: Pool,
  ctx: Context,
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
    // Costs 1/20 of tiling.
    buffer: OWN_BUFFER,
    ...(crop && { attribute: { key: "crop_code", values: attributeValues(crop) } }),
  };
  const audit = newAudit(plan);
  const archive = new Archive(path);
  const entries = archive.entries.count;
  const { minZoom } = archive.header;
  archive.close();
  const ranges = Array.from({ length: Math.ceil(entries / RANGE) }, (_, i) => ({
    from: i * RANGE,
    to: Math.min(entries, (i + 1) * RANGE),
  }));
  const task = ctx.progress.start("tiles checked", entries);
  try {
    for await (const part of mapOrdered(ranges, pool.threads + 1, (range) =>
      pool.run(auditRange, { path, plan, ...range }),
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
  for (const { firstRows, ...left } of leftOutOf(audit, Math.max(minZoom, FIELD_ZOOM), maxZoom, status, path)) {
    leftOut.push(left);
    const { zoom, fields, centroids } = left;
    ctx.log.warn(`zoom ${zoom} lacks ${fields} fields, and ${centroids} centroids`, { ...left, of: rows, firstRows });
  }
  return { ...summarize(audit.layers, status, path), leftOut };
}

/**
 * The same for native tiles, which the workers audited while making them.
 *
 * @param seen  by layer, one byte per row: see TilePlan.
 * @throws {PipelineError} tool, naming rows and zoom, when a field is missing at one of the zooms.
 */
export function auditRows(
  seen: readonly Uint8Array[],
  zooms: { readonly first: number; readonly last: number },
  status: Uint8Array,
  path: string,
): FieldAudit {
  const layers = seen.map((rows) => {
    const bits = Array.from({ length: zooms.last - zooms.first + 1 }, (_, z) => bitsOf(rows, 1 << z));
    const seenBelow = Object.fromEntries(bits.slice(0, -1).map((own, z) => [zooms.first + z, own]));
    return { features: 0, seen: bits.at(-1) as Uint8Array, seenBelow };
  });
  for (const left of leftOutOf({ layers }, zooms.first, zooms.last, status, path)) {
    throw new PipelineError("tool", "Fields are missing from a zoom", { path, ...left, of: status.length });
  }
  return { ...summarize(layers, status, path), leftOut: [] };
}

/** One bit per row, set if any bit of its byte is set. */
function bitsOf(rows: Uint8Array, bit: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows.length / 32) * 4);
  for (let row = 0; row < rows.length; row++) {
    if ((rows[row] as number) & bit) (bits[row >> 3] as number) |= 1 << (row & 7);
  }
  return bits;
}

function* leftOutOf({ layers }: Pick<Audit, "layers">, first: number, last: number, status: Uint8Array, path: string) {
  for (let zoom = first; zoom < last; zoom++) {
    const [fields, centroids] = layers.map((layer) => lacking(layer.seenBelow[zoom], status, path));
    if (fields === undefined || centroids === undefined || fields.count + centroids.count === 0) continue;
    const firstRows = (fields.count > 0 ? fields : centroids).first.join(" ");
    yield { zoom, fields: fields.count, centroids: centroids.count, firstRows };
  }
}

/** Fields that were drawn but are missing: their number, and the first few. */
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

function summarize(layers: readonly LayerAudit[], status: Uint8Array, path: string): Omit<FieldAudit, "leftOut"> {
  const rows = status.length;
  const [polygons, points] = layers as [LayerAudit, LayerAudit];
  const has = (layer: LayerAudit, row: number) => ((layer.seen[row >> 3] as number) >> (row & 7)) & 1;
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

/** Shared: every worker reads the same table. */
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
