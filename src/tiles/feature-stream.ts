import { planFields } from "../fields/field-plan.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { planProjection } from "../fields/projection.js";
import type { FieldSlice } from "../fields/reader.js";
import { type FeatureText, STATUS_OK } from "../kernel/geometry.js";
import type { IncludedColumns } from "../kernel/tiler.js";
import { mapOrdered } from "../parallel/map-ordered.js";
import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import { asPipelineError } from "../pipeline/errors.js";
import type { PropertyChoice } from "./properties.js";
import { featureSlice, readFeatures, writeFeatures } from "./tasks.js";

export interface FeatureAttributes {
  /** Shared; hectares as floats by row, NaN if unknown. */
  readonly area: SharedArrayBuffer;
  /** Shared; CDL codes as doubles by row, NaN if there is none; undefined without a year. */
  readonly crop: SharedArrayBuffer | undefined;
  /** Columns of `--include`; values are JSON. */
  readonly included: IncludedColumns | undefined;
  readonly choice: PropertyChoice;
}

/** Slices in work or waiting for the reader, beyond one per worker. */
const AHEAD = 1;

/**
 * Polygon and centroid of every field as newline-delimited GeoJSON, in input order.
 *
 * Feature ids are row numbers. Chunks are made on demand, so a slow reader pauses the workers: memory holds one slice
 * per worker and one more.
 */
export class FeatureStream {
  /** FIELD_STATUS code of every row once its slice has been yielded. */
  readonly status: Uint8Array;
  #slices: Promise<readonly FieldSlice[]> | undefined;

  constructor(
    private readonly fields: FieldsFile,
    private readonly attributes: FeatureAttributes,
    private readonly options: { readonly batch: number },
    private readonly pool: Pool,
    private readonly ctx: Context,
  ) {
    this.status = new Uint8Array(fields.rows);
  }

  /** Fields drawn so far. */
  get drawn(): number {
    return this.status.reduce((sum, code) => sum + (code === STATUS_OK ? 1 : 0), 0);
  }

  /** Bytes of the whole stream, from its first slice. */
  async estimateBytes(): Promise<number> {
    const [first] = await this.#plan();
    if (first === undefined) return 0;
    const { features } = await this.#writer()(first);
    return Math.ceil((features.text.length / first.rows) * this.fields.rows);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const write = this.#writer();
    const task = this.ctx.progress.start("fields streamed", this.fields.rows);
    try {
      const slices = await this.#plan();
      for await (const { slice, features } of mapOrdered(slices, this.pool.threads + AHEAD, write)) {
        this.ctx.signal.throwIfAborted();
        this.status.set(features.status, slice.firstRow);
        if (features.text.length > 0) yield features.text;
        task.update(slice.firstRow + slice.rows);
      }
    } finally {
      task.end();
    }
  }

  #plan(): Promise<readonly FieldSlice[]> {
    this.#slices ??= planFields(this.fields, this.options.batch, this.pool, this.ctx).then(({ slices }) => slices);
    return this.#slices;
  }

  #writer(): (slice: FieldSlice) => Promise<{ slice: FieldSlice; features: FeatureText }> {
    const { path, idColumn, geometryColumn, crs } = this.fields;
    // GeoJSON is in longitude and latitude, whatever the fields' CRS.
    const projection = planProjection(crs, "OGC:CRS84");
    return async (slice) => {
      const task = { path, idColumn, geometryColumn, slice, ...this.attributes };
      try {
        if (projection.kind !== "proj") return { slice, features: await this.pool.run(featureSlice, task) };
        const { column, properties } = await this.pool.run(readFeatures, task);
        const source = { column: projection.reproject(column), properties, firstRow: slice.firstRow };
        return { slice, features: await this.pool.run(writeFeatures, source) };
      } catch (cause) {
        throw asPipelineError(cause, "input", "Fields cannot be read", {
          path,
          rows: `${slice.firstRow}..${slice.firstRow + slice.rows}`,
        });
      }
    };
  }
}
