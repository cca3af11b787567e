import { closeSync } from "node:fs";
import type { Kernel } from "../kernel/native.js";
import { nativeKernel } from "../kernel/native.js";
import { PipelineError } from "../pipeline/errors.js";
import { maskArray, pixelArray } from "../raster/pixels.js";
import { type Raster, RasterReader } from "../raster/raster.js";
import { openTiffBand } from "../raster/tiff-band.js";
import { type PlannedWindow, planWindows } from "../raster/window-plan.js";
import type { ZoneReader } from "../zones/zone-reader.js";
import { type AnswerRule, Answers } from "./answers.js";
import type { LaneTarget } from "./scan-lane.js";

/** Handles beyond libuv's four threads only wait for one another. */
const MAX_HANDLES = 4;

/** A raster on the lattice of a zone index. */
export interface PlacedRaster {
  readonly raster: Raster;
  /** The raster's north-west corner on the index's grid, pixels. */
  readonly shift: { readonly col: number; readonly row: number };
  /** Classes that are not counted. */
  readonly skip: readonly number[];
  /** Weight of a whole pixel of each of the raster's rows; undefined where pixels are counted. */
  readonly rowWeights?: Float64Array | undefined;
}

/** One raster of a scan: its windows with fields in them, its handles, its answers. */
export class ScanTarget {
  readonly answers: Answers;
  readonly windows: readonly (PlannedWindow & { readonly order: number })[];
  readonly raster: Raster;
  readonly lane: LaneTarget;
  /** Undefined where workers decode by themselves. */
  readonly #reader: RasterReader | undefined;

  constructor(
    { raster, shift, skip, rowWeights }: PlacedRaster,
    zones: ZoneReader,
    rule: AnswerRule,
    kernel: Kernel,
    direct: boolean,
    threads: number,
  ) {
    const { grid, rows } = zones.header;
    this.raster = raster;
    this.answers = new Answers(rows, raster.type, kernel, rule);
    this.windows = windowsWithFields(raster, zones, shift);
    // Chunks that the raster's edge cuts have runs outside of it.
    const clip =
      shift.col !== 0 || shift.row !== 0 || raster.grid.width !== grid.width || raster.grid.height !== grid.height;
    const { type, masked } = raster;
    const weights = rowWeights && new Float64Array(new SharedArrayBuffer(rowWeights.byteLength));
    weights?.set(rowWeights as Float64Array);
    const band = direct ? openTiffBand(raster, nativeKernel()) : undefined;
    const { arrays: answers, decision } = this.answers;
    this.lane = { type, band, masked, skip: Float64Array.from(skip), clip, answers, decision, rowWeights: weights };
    if (band === undefined) this.#reader = new RasterReader(raster, Math.min(threads, MAX_HANDLES));
  }

  /** Whether workers decode the raster's blocks. */
  get direct(): boolean {
    return this.lane.band !== undefined;
  }

  async read(window: PlannedWindow["window"], slot: SharedArrayBuffer): Promise<void> {
    const { type, masked } = this.raster;
    const count = window.width * window.height;
    await this.#reader?.read(window, pixelArray(type, slot, count), masked ? maskArray(type, slot, count) : undefined);
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
    if (this.lane.band !== undefined) closeSync(this.lane.band.fd);
  }
}

/** A raster's windows that are not empty, with their places among all of them. */
export function windowsWithFields(raster: Raster, zones: ZoneReader, shift: PlacedRaster["shift"]) {
  return planWindows(raster, zones.header.grid, shift)
    .map(({ window, chunks }, order) => ({ window, order, chunks: chunks.filter(({ chunk }) => zones.has(chunk)) }))
    .filter(({ chunks }) => chunks.length > 0);
}
