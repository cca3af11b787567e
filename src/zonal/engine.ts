import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Float32, Float64, Int32, Int64, List, RecordBatch, Uint32, Utf8 } from "apache-arrow";
import { resolveOptions } from "../config/config.js";
import type { Options } from "../config/options.js";
import type { FieldsFile } from "../fields/fields-file.js";
import { importVector } from "../fields/vector-source.js";
import { nativeKernel } from "../kernel/native.js";
import { openPool, type Pool } from "../parallel/pool.js";
import { availableThreads } from "../parallel/threads.js";
import type { Context } from "../pipeline/context.js";
import { type Log, SILENT_LOG } from "../pipeline/log.js";
import { makeOutput, type Scratch } from "../pipeline/output.js";
import { type Progress, SILENT } from "../pipeline/progress.js";
import type { Grid } from "../raster/grid.js";
import type { Raster } from "../raster/raster.js";
import { buildZones, fieldsFingerprint } from "../zones/build-zones.js";
import type { PixelOptions } from "../zones/pixel-rule.js";
import { ZoneReader } from "../zones/zone-reader.js";
import type { Answers } from "./answers.js";
import { countRasters } from "./count-fields.js";
import { checkValueStatistics, zonalRule } from "./rule.js";
import { zonalBatches, zonalSchema } from "./zonal-table.js";

export interface EngineOptions {
  /** Default: the physical cores that this process may use. */
  readonly threads?: number;
  /** Fields that a worker takes at a time, and maximum rows of a result batch; default 16,384. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly progress?: Progress;
}

export interface ZonalOptions extends PixelOptions {
  /** Zone index made by `prepare`; without it the fields are burned first, into a temporary one. */
  readonly index?: string;
  /** Classes not counted, in addition to the pixels that the raster's own nodata or mask leaves out; default none. */
  readonly nodata?: readonly number[];
  /** The class that wins a tie; default lowest. */
  readonly ties?: "lowest" | "highest";
  /** `area`: pixels count by their area, for rasters in degrees. */
  readonly weights?: "area";
  /** Also return the full histogram, as two list columns. */
  readonly classes?: boolean;
  /** Columns of statistics, as `--stats` of the command: `minority,mean,q25,count_5`. */
  readonly stats?: string;
  /** A second raster on the same grid, for its statistics: `value_mean`, `crop_value_mean` (of the majority's pixels) ... */
  readonly values?: Raster;
  /** Share of dirty rows above which it fails; default 1: never; the dirty rows have the reason. */
  readonly maxDirty?: number;
}

/**
 * Columns of the result, for the types of rows: `row.crop_code` is a number or null. With `weights` the pixel columns
 * are named `..._area_ha`; list columns need `classes`.
 */
export type ZonalColumns = {
  field_id: Int64 | Int32 | Utf8;
  crop_code: Int32 | Float64;
  crop_pixels: Uint32 | Float64;
  valid_pixels: Uint32 | Float64;
  crop_share: Float32;
  second_code: Int32 | Float64;
  second_pixels: Uint32 | Float64;
  rule: Utf8;
  null_reason: Utf8;
  class_codes: List<Int32 | Float64>;
  class_pixels: List<Uint32 | Float64>;
  crop_area_ha: Float64;
  valid_area_ha: Float64;
  second_area_ha: Float64;
  class_area_ha: List<Float64>;
};

/**
 * Zonal majorities as a library: any categorical raster, any polygons.
 *
 * Owns a pool of worker threads; close it after use. An engine runs one call at a time.
 */
export class ZonalEngine {
  readonly #pool: Pool;
  readonly #ctx: Context;
  readonly #given: Partial<Options>;

  constructor(options: EngineOptions = {}) {
    const { batch, signal, log, progress } = options;
    this.#pool = openPool(availableThreads(options.threads));
    this.#ctx = {
      signal: signal ?? new AbortController().signal,
      log: log ?? SILENT_LOG,
      progress: progress ?? SILENT,
    };
    this.#given = { ...(batch && { batch }) };
  }

  /**
   * Copy the polygons of any vector source that GDAL opens (.gpkg, .fgb, .shp, zipped FileGDB ...)
   * into a GeoParquet, which `openFields` takes.
   *
   * @throws {PipelineError} input: no such file, layer or id column, an unreadable feature.
   */
  async importFields(
    source: string,
    parquet: string,
    options: { layer?: string; idColumn?: string } = {},
  ): Promise<void> {
    await importVector(source, { layer: options.layer, idColumn: options.idColumn }, parquet, this.#ctx);
  }

  /**
   * Make the zone index of a field set on a grid, for use with every raster whose pixels align.
   *
   * @param path  written to a temporary file and renamed; an interrupted run resumes.
   * @throws {PipelineError} input, naming file and rows.
   */
  async prepare(fields: FieldsFile, grid: Grid, path: string, rule: PixelOptions = {}): Promise<void> {
    const make = ({ partial }: Scratch, ctx: Context) =>
      buildZones(fields, grid, partial, this.#options(rule), this.#pool, ctx);
    await makeOutput(path, this.#ctx, make, { resume: true });
  }

  /**
   * Every field's majority class under a raster: Arrow record batches with the columns of
   * the zonal table, in the order of the fields.
   *
   * @throws {PipelineError} input: fields and raster do not overlap, an index of other fields, a block
   *   that does not decode; dirty above `maxDirty`.
   */
  async *zonal(
    fields: FieldsFile,
    raster: Raster,
    options: ZonalOptions = {},
  ): AsyncGenerator<RecordBatch<ZonalColumns>> {
    for await (const { batch } of this.zonalOverMany(fields, [raster], options)) yield batch;
  }

  /** The same for several rasters that share a grid, counted in one pass; batches come raster by raster. */
  async *zonalOverMany(
    fields: FieldsFile,
    rasters: readonly Raster[],
    given: ZonalOptions = {},
  ): AsyncGenerator<{ raster: Raster; batch: RecordBatch<ZonalColumns> }> {
    const options = this.#options(given);
    const rule = zonalRule(options, given.classes, given.stats);
    checkValueStatistics(rule, given.values !== undefined);
    nativeKernel();
    const counted = rasters.map((raster) => ({ raster, values: given.values }));
    const { status, answers } = await this.#withZones(fields, rasters, given.index, options, (zones) =>
      countRasters(fields, counted, zones, rule, { options, pool: () => this.#pool, ctx: this.#ctx }),
    );
    for (const [i, raster] of rasters.entries()) {
      const answer = answers[i] as Answers;
      const schema = zonalSchema(fields, answer, rule);
      const batches = zonalBatches(schema, fields, answer, status, rule, options.batch, this.#ctx.signal);
      for await (const batch of batches) yield { raster, batch: batch as RecordBatch<ZonalColumns> };
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  #options(given: ZonalOptions | PixelOptions): Options {
    const { index: _index, classes: _classes, stats: _stats, values: _values, ...known } = given as ZonalOptions;
    const named = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
    return resolveOptions({ nodata: [], maxDirty: 1, ...this.#given, ...named });
  }

  async #withZones<T>(
    fields: FieldsFile,
    rasters: readonly Raster[],
    index: string | undefined,
    options: Options,
    use: (zones: ZoneReader) => Promise<T>,
  ): Promise<T> {
    const folder = index === undefined ? await mkdtemp(join(tmpdir(), "zones-")) : undefined;
    try {
      const path = index ?? join(folder as string, "zones");
      if (index === undefined) await this.#build(fields, (rasters[0] as Raster).grid, path, options);
      const zones = await ZoneReader.open(path, fieldsFingerprint(fields, options));
      try {
        return await use(zones);
      } finally {
        await zones.close();
      }
    } finally {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    }
  }

  async #build(fields: FieldsFile, grid: Grid, path: string, options: Options): Promise<void> {
    await buildZones(fields, grid, path, options, this.#pool, this.#ctx);
  }
}
