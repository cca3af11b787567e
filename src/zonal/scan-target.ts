import { closeSync } from "node:fs";
import type { Kernel } from "../kernel/native.js";
import { nativeKernel } from "../kernel/native.js";
import { PipelineError } from "../pipeline/errors.js";
import { maskArray, pixelArray, windowBytes } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { openTiffBand } from "../raster/tiff-band.js";
import { type PlannedWindow, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { type AnswerRule, Answers } from "./answers.js";
import type { LaneTarget } from "./scan-lane.js";
import { type ValueBand, valueBand, valueWindow, valueWindowBytes } from "./value-raster.js";

/** More handles than libuv's four threads would only wait for each other. */
const MAX_HANDLES = 4;

/** A raster on the lattice of a zone index. */
export interface PlacedRaster {
  readonly raster: Raster;
  /** The raster's northwest corner on the index's grid, pixels. */
  readonly shift: { readonly col: number; readonly row: number };
  /** A second raster on the same grid, for its statistics. */
  readonly values?: Raster | undefined;
  /** Excluded classes. */
  readonly skip: readonly number[];
  /** Weight of a full pixel in each row of the raster; undefined if pixels are counted. */
  readonly rowWeights?: Float64Array | undefined;
}

/** One raster of a scan: its windows with fields, its handles, its answers. */
export class ScanTarget {
  readonly answers: Answers;
  readonly windows: readonly (PlannedWindow & { readonly order: number })[];
  readonly raster: Raster;
  readonly lane: LaneTarget;
  /** Undefined if workers decode. */
  readonly #reader: RasterReader | undefined;
  readonly #band: ValueBand | null;
  readonly #valueReader: RasterReader | undefined;

  constructor(
    { raster, values, shift, skip, rowWeights }: PlacedRaster,
    zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    direct: boolean,
    threads: number,
  ) {
    const { grid } = zones.header;
    const rows = zones.rows.to - zones.rows.from;
    this.raster = raster;
    this.#band = values === undefined ? null : valueBand(raster, values);
    this.answers = new Answers(rows, raster.type, kernel, rule, this.#band);
    this.windows = windowsWithFields(raster, zones, shift);
    // Chunks at the raster's edge have runs outside of it.
    const clip =
      shift.col !== 0 || shift.row !== 0 || raster.grid.width !== grid.width || raster.grid.height !== grid.height;
    const { type, masked } = raster;
    const weights = rowWeights && new Float64Array(new SharedArrayBuffer(rowWeights.byteLength));
    weights?.set(rowWeights as Float64Array);
    // Pairs are made from pixels that GDAL reads.
    const band = direct && values === undefined ? openTiffBand(raster, nativeKernel()) : undefined;
    const { arrays: answers, decision } = this.answers;
    const common = { type, band, masked, skip: Float64Array.from(skip), clip, answers, decision };
    this.lane = { ...common, rowWeights: weights, values: this.#band };
    const handles = Math.min(threads, MAX_HANDLES);
    if (band === undefined) this.#reader = new RasterReader(raster, handles);
    if (values !== undefined) this.#valueReader = new RasterReader(values, handles);
  }

  /** Whether workers decode the raster's blocks. */
  get direct(): boolean {
    return this.lane.band !== undefined;
  }

  async read(window: PlannedWindow["window"], slot: SharedArrayBuffer): Promise<void> {
    const { type, masked } = this.raster;
    const count = window.width * window.height;
    if (this.#band !== null) {
      const { classes, classMask, values, valueMask } = valueWindow(this.#band, slot, count);
      await this.#reader?.read(window, classes, masked ? classMask : undefined);
      await this.#valueReader?.read(window, values, this.#band.masked ? valueMask : undefined);
      return;
    }
    await this.#reader?.read(window, pixelArray(type, slot, count), masked ? maskArray(type, slot, count) : undefined);
  }

  /** Bytes of a window in a slot. */
  bytesOf(pixels: number): number {
    const { type, masked } = this.raster;
    return this.#band === null ? windowBytes(type, masked, pixels) : valueWindowBytes(this.#band, pixels);
  }

  finish(): void {
    const left = this.answers.finish();
    if (left > 0 && !this.lane.clip) {
      throw new PipelineError("failed", "Internal error: fields without all of their chunks", {
        path: this.raster.path,
        fields: left,
      });
    }
  }

  close(): void {
    this.#reader?.close();
    this.#valueReader?.close();
    if (this.lane.band !== undefined) closeSync(this.lane.band.fd);
  }
}

/** A raster's windows with fields, with their positions among all windows. */
export function windowsWithFields(raster: Raster, zones: ZoneReader, shift: PlacedRaster["shift"]) {
  return planWindows(raster, zones.header.grid, shift)
    .map(({ window, chunks }, order) => ({ window, order, chunks: chunks.filter(({ chunk }) => zones.has(chunk)) }))
    .filter(({ chunks }) => chunks.length > 0);
}
