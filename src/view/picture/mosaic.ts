import { type Canvas, createCanvas, ImageData } from "@napi-rs/canvas";
import { type CropPalette, GROUND, MAX_CLASSES, rgb } from "./crop-palette.js";
import { type Box, type Frame, metersPerPixel } from "./frame.js";
import type { ClassRaster, Placement } from "./polygon-fill.js";

/** Samples along a pixel's side; its color is their mean, so edges are smooth. */
export const SAMPLES = 3;

/** Classes of a tile's samples, for its part on the map. */
export interface Patch extends ClassRaster {
  /** Its northwestern sample, counted on the map. */
  readonly column: number;
  readonly row: number;
  /** Transform for rings of the tile; `unit` is their unit in pixels of the map. */
  placement(unit: number): Placement;
}

/** The map's pixels, assembled from patches that do not overlap. */
export class Mosaic {
  /** Sums over a pixel's samples: red, green, blue, samples in fields. */
  readonly #sums: Uint16Array;
  /** Drawn area by class, m². */
  readonly #areas = new Float64Array(MAX_CLASSES);
  readonly #colors = new Map<number, [number, number, number]>();

  constructor(
    private readonly frame: Frame,
    private readonly palette: CropPalette,
  ) {
    this.#sums = new Uint16Array(4 * frame.width * frame.height);
  }

  /** An empty patch for a tile: the samples whose center is in it. */
  patch({ left, top, right, bottom }: Box): Patch {
    const within = (side: number, end: number) => Math.min(Math.max(Math.ceil(side * SAMPLES - 0.5), 0), end * SAMPLES);
    const [column, row] = [within(left, this.frame.width), within(top, this.frame.height)];
    const width = within(right, this.frame.width) - column;
    const height = within(bottom, this.frame.height) - row;
    return {
      values: new Uint8Array(width * height),
      width,
      height,
      column,
      row,
      placement: (unit) => ({ scale: unit * SAMPLES, x: left * SAMPLES - column, y: top * SAMPLES - row }),
    };
  }

  add({ values, width, height, column, row }: Patch): void {
    for (let y = 0; y < height; y++) {
      const pixelRow = Math.floor((row + y) / SAMPLES);
      const sampleM2 = (metersPerPixel(this.frame, pixelRow) / SAMPLES) ** 2;
      for (let x = 0; x < width; x++) {
        const value = values[y * width + x] as number;
        if (value === GROUND) continue;
        this.#areas[value] = (this.#areas[value] as number) + sampleM2;
        const [red, green, blue] = this.#color(value);
        const at = 4 * (pixelRow * this.frame.width + Math.floor((column + x) / SAMPLES));
        const sums = this.#sums;
        sums[at] = (sums[at] as number) + red;
        sums[at + 1] = (sums[at + 1] as number) + green;
        sums[at + 2] = (sums[at + 2] as number) + blue;
        sums[at + 3] = (sums[at + 3] as number) + 1;
      }
    }
  }

  /** The picture so far, transparent without fields, and the area of each class in m². */
  finish(): { canvas: Canvas; areas: Float64Array } {
    const { width, height } = this.frame;
    const pixels = new Uint8ClampedArray(4 * width * height);
    for (let at = 0; at < pixels.length; at += 4) {
      const samples = this.#sums[at + 3] as number;
      if (samples === 0) continue;
      for (let band = 0; band < 3; band++) pixels[at + band] = (this.#sums[at + band] as number) / samples;
      pixels[at + 3] = (255 * samples) / SAMPLES ** 2;
    }
    const canvas = createCanvas(width, height);
    canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
    return { canvas, areas: this.#areas };
  }

  #color(value: number): [number, number, number] {
    let color = this.#colors.get(value);
    if (color === undefined) {
      color = rgb(this.palette.crops[value]?.color ?? "#000000");
      this.#colors.set(value, color);
    }
    return color;
  }
}
