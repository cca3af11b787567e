import { landAt, tracedLandAt } from "./land.js";
import { cropOf } from "./rotation.js";
import type { Section } from "./section.js";
import { Rectangle, type Shape } from "./shapes.js";
import { SECTION_M } from "./survey.js";
import { TracedLand } from "./traced-land.js";
import { SECTION_PIXELS } from "./traced-section.js";
import { PIXEL_M, sectionOf, type World } from "./world.js";

/** What lies under the pixels' centers in one year. */
export interface Ground {
  /** CDL codes of a row of pixels; fastest from north to south. */
  row(row: number): Uint8Array;
}

export function groundOf(world: World, year: number): Ground {
  return world.shapes === "csb" ? new TracedGround(world, year) : new DrawnGround(world, year);
}

/** No code yet; the CDL has no 255. */
const UNSET = 255;

/** A section with this year's crops. */
interface Plot {
  readonly section: Section;
  readonly shapes: readonly Shape[];
  readonly crops: Uint8Array;
}

/** Shapes are asked at every center; two rows of sections are kept. */
class DrawnGround implements Ground {
  readonly #plots = new Map<number, readonly Plot[]>();

  constructor(
    private readonly world: World,
    private readonly year: number,
  ) {}

  row(row: number): Uint8Array {
    const { world } = this;
    const codes = new Uint8Array(world.width).fill(UNSET);
    const south = world.landY - (world.originY - (row + 0.5) * PIXEL_M);
    const sy = Math.floor(south / SECTION_M);
    const east = world.originX - world.landX + PIXEL_M / 2;
    for (const plot of this.#plotsOf(sy)) paintPlot(world.seed, plot, south - sy * SECTION_M, east, codes);
    return codes;
  }

  /** A row of sections, up to one beyond the raster's eastern edge. */
  #plotsOf(sy: number): readonly Plot[] {
    const known = this.#plots.get(sy);
    if (known) return known;
    const plots = Array.from({ length: this.world.columns + 1 }, (_, sx) => this.#plot(sectionOf(this.world, sx, sy)));
    for (const kept of this.#plots.keys()) if (Math.abs(kept - sy) > 1) this.#plots.delete(kept);
    this.#plots.set(sy, plots);
    return plots;
  }

  #plot(section: Section): Plot {
    const crops = Uint8Array.from(section.fields, (field) => cropOf(field.rotation, field.phase, this.year));
    return { section, shapes: section.fields.map((field) => field.shape), crops };
  }
}

/** Pixels have their fields' crops; two rows of sections are kept, painted. */
class TracedGround implements Ground {
  readonly #rows = new Map<number, Uint8Array>();
  readonly #land: TracedLand;

  constructor(
    private readonly world: World,
    private readonly year: number,
  ) {
    this.#land = new TracedLand(world);
  }

  row(row: number): Uint8Array {
    const { width, originX, originY, landX, landY } = this.world;
    const [west, north] = [Math.round((originX - landX) / PIXEL_M), Math.round((landY - originY) / PIXEL_M)];
    const sy = Math.floor((row + north) / SECTION_PIXELS);
    const wide = (this.world.columns + 1) * SECTION_PIXELS;
    const start = (row + north - sy * SECTION_PIXELS) * wide + west;
    return this.#sectionsOf(sy, wide).subarray(start, start + width);
  }

  /** Codes of a row of sections, up to one beyond the raster's eastern edge. */
  #sectionsOf(sy: number, wide: number): Uint8Array {
    const known = this.#rows.get(sy);
    if (known) return known;
    for (const kept of this.#rows.keys()) if (Math.abs(kept - sy) > 1) this.#rows.delete(kept);
    const codes = new Uint8Array(wide * SECTION_PIXELS);
    const crops = new Uint8Array(256);
    for (let sx = 0; sx <= this.world.columns; sx++) {
      const { labels, fields } = this.#land.section(sx, sy);
      for (const [i, field] of fields.entries()) crops[i + 1] = cropOf(field.rotation, field.phase, this.year);
      for (let y = 0, from = 0; y < SECTION_PIXELS; y++) {
        const to = y * wide + sx * SECTION_PIXELS;
        for (let x = 0; x < SECTION_PIXELS; x++, from++) {
          const label = labels[from] as number;
          const [pixelX, pixelY] = [sx * SECTION_PIXELS + x, sy * SECTION_PIXELS + y];
          codes[to + x] = label === 0 ? tracedLandAt(this.world.seed, pixelX, pixelY) : (crops[label] as number);
        }
      }
    }
    this.#rows.set(sy, codes);
    return codes;
  }
}

/**
 * One row of pixels through one section.
 *
 * @param v     of the row in the section.
 * @param east  of the centre of column 0, from the land's western edge.
 */
function paintPlot(seed: number, plot: Plot, v: number, east: number, codes: Uint8Array): void {
  const west = plot.section.sx * SECTION_M;
  const columnAt = (u: number) => Math.min(codes.length, Math.max(0, Math.ceil((west + u - east) / PIXEL_M)));
  for (let i = 0; i < plot.shapes.length; i++) {
    const shape = plot.shapes[i] as Shape;
    if (v < shape.v0 || v >= shape.v1) continue;
    const crop = plot.crops[i] as number;
    const [start, end] = [columnAt(shape.u0), columnAt(shape.u1)];
    if (shape instanceof Rectangle) {
      codes.fill(crop, start, end);
      continue;
    }
    for (let col = start; col < end; col++) {
      if (shape.contains(east + col * PIXEL_M - west, v)) codes[col] = crop;
    }
  }
  const end = columnAt(SECTION_M);
  for (let col = columnAt(0); col < end; col++) {
    if (codes[col] === UNSET) codes[col] = landAt(seed, plot.section, east + col * PIXEL_M - west, v);
  }
}
