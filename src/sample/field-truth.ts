import { Rectangle, type Shape } from "./shapes.js";
import { borderOf, PIXEL_M, type World } from "./world.js";

/**
 * Where a field lies: inside the raster; over its outer edge or wholly outside;
 * over the country's border (some of its pixels are 0) or wholly abroad.
 */
export type RasterPosition = "inside" | "edge" | "outside" | "border" | "abroad";

/** A field's data other than its crops. */
export interface FieldTruth {
  readonly place: RasterPosition;
  /** Whether the planted crop must have the majority of its pixels. */
  readonly sure: boolean;
  /** Pixel centers in the field and in the raster; null where arithmetic does not give them. */
  readonly centres: number | null;
}

/** Least part of a field, in square meters and in width, of which the planted crop is sure to have most pixels. */
const SURE_AREA_M2 = 60 * PIXEL_M ** 2;
const SURE_WIDTH_M = 3 * PIXEL_M;

/** Computes where a field is and which answer is expected there. */
export class FieldTruths {
  readonly #border: ((y: number) => number) | undefined;

  constructor(private readonly world: World) {
    this.#border = borderOf(world);
  }

  /** @param x, y  EPSG:5070 of the section's corner. */
  truthOf(shape: Shape, area: number, x: number, y: number): FieldTruth {
    const place = this.#placeOf(shape, x, y);
    return {
      place,
      sure: this.#isSure(shape, area, place, x, y),
      centres: this.#centersIn(shape, x, y) ?? null,
    };
  }

  #placeOf(shape: Shape, x: number, y: number): RasterPosition {
    const { originX, originY, width, height } = this.world;
    const [west, north] = [x + shape.u0 - originX, originY - (y - shape.v0)];
    const [east, south] = [x + shape.u1 - originX, originY - (y - shape.v1)];
    const [limitX, limitY] = [width * PIXEL_M, height * PIXEL_M];
    if (east <= 0 || south <= 0 || west >= limitX || north >= limitY) return "outside";
    if (this.#border) {
      const crossings = Array.from({ length: 33 }, (_, i) => {
        const v = shape.v0 + ((shape.v1 - shape.v0) * i) / 32;
        return (this.#border as (y: number) => number)(y - v) - x;
      });
      // Between two of the points the border moves by less than two pixels, and a pixel's center may lie half of one beyond.
      const slack = 2.5 * PIXEL_M;
      if (shape.u0 > Math.max(...crossings) + slack) return "abroad";
      if (shape.u1 > Math.min(...crossings) - slack) return "border";
    }
    return west < 0 || north < 0 || east > limitX || south > limitY ? "edge" : "inside";
  }

  /** Whether the planted crop must have the majority: enough whole pixels, none of them abroad. */
  #isSure(shape: Shape, area: number, place: RasterPosition, x: number, y: number): boolean {
    if (place !== "inside" && place !== "edge") return false;
    const { originX, originY, width, height } = this.world;
    const seenU = Math.min(shape.u1, originX + width * PIXEL_M - x) - Math.max(shape.u0, originX - x);
    const seenV = Math.min(shape.v1, y - (originY - height * PIXEL_M)) - Math.max(shape.v0, y - originY);
    const share = (seenU / (shape.u1 - shape.u0)) * (seenV / (shape.v1 - shape.v0));
    if (place === "edge" && share < 0.5) return false;
    return area * share >= SURE_AREA_M2 && Math.min(seenU, seenV) >= SURE_WIDTH_M;
  }

  /** Pixel centers inside a rectangular field and the raster, by arithmetic; undefined for other shapes. */
  #centersIn(shape: Shape, x: number, y: number): number | undefined {
    if (!(shape instanceof Rectangle)) return undefined;
    const { originX, originY, width, height } = this.world;
    const columns = centersBetween(x + shape.u0 - originX, x + shape.u1 - originX, width);
    return columns * centersBetween(originY - y + shape.v0, originY - y + shape.v1, height);
  }
}

function centersBetween(from: number, to: number, limit: number): number {
  const before = (meters: number) => Math.min(limit, Math.max(0, Math.ceil(meters / PIXEL_M - 0.5)));
  return before(to) - before(from);
}
