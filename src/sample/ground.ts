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

/** The ground of several years, which share what does not change. */
export function groundsOf(world: World, years: readonly number[]): Ground[] {
  if (world.shapes === "drawn") return years.map((year) => new DrawnGround(world, year));
  const rows = new TracedRows(world, years);
  return years.map((_, i) => ({ row: (row) => rows.row(row, i) }));
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

/** Pixels have their fields' crops; two rows of sections are kept, painted for every year. */
class TracedRows {
  readonly #rows = new Map<number, readonly Uint8Array[]>();
  readonly #land: TracedLand;

  constructor(
    private readonly world: World,
    private readonly years: readonly number[],
  ) {
    this.#land = new TracedLand(world);
  }

  /** Codes of a row of pixels in the year of that place. */
  row(row: number, year: number): Uint8Array {
    const { width, originX, originY, landX, landY, columns } = this.world;
    const [west, north] = [Math.round((originX - landX) / PIXEL_M), Math.round((landY - originY) / PIXEL_M)];
    const sy = Math.floor((row + north) / SECTION_PIXELS);
    const wide = (columns + 1) * SECTION_PIXELS;
    const start = (row + north - sy * SECTION_PIXELS) * wide + west;
    return (this.#sectionsOf(sy, wide)[year] as Uint8Array).subarray(start, start + width);
  }

  /** Codes of a row of sections, up to one beyond the raster's eastern edge. */
  #sectionsOf(sy: number, wide: number): readonly Uint8Array[] {
    const known = this.#rows.get(sy);
    if (known) return known;
    for (const kept of this.#rows.keys()) if (Math.abs(kept - sy) > 1) this.#rows.delete(kept);
    const painted = this.years.map(() => new Uint8Array(wide * SECTION_PIXELS));
    const crops = this.years.map(() => new Uint8Array(256));
    for (let sx = 0; sx <= this.world.columns; sx++) {
      const { labels, fields } = this.#land.section(sx, sy);
      for (const [k, year] of this.years.entries()) {
        const own = crops[k] as Uint8Array;
        for (const [i, field] of fields.entries()) own[i + 1] = cropOf(field.rotation, field.phase, year);
      }
      this.#paint(labels, crops, sx, sy, painted);
    }
    this.#rows.set(sy, painted);
    return painted;
  }

  #paint(
    labels: Uint8Array,
    crops: readonly Uint8Array[],
    sx: number,
    sy: number,
    painted: readonly Uint8Array[],
  ): void {
    const { seed, columns } = this.world;
    for (let y = 0, at = 0; y < SECTION_PIXELS; y++) {
      const shift = (y * (columns + 1) + sx) * SECTION_PIXELS - y * SECTION_PIXELS;
      for (const end = at + SECTION_PIXELS; at < end; ) {
        const label = labels[at] as number;
        const start = at;
        while (at < end && labels[at] === label) at++;
        if (label !== 0) {
          for (const [k, codes] of painted.entries())
            codes.fill(crops[k]?.[label] as number, shift + start, shift + at);
          continue;
        }
        for (let pixel = start; pixel < at; pixel++) {
          const x = sx * SECTION_PIXELS + pixel - y * SECTION_PIXELS;
          const code = tracedLandAt(seed, x, sy * SECTION_PIXELS + y);
          for (const codes of painted) codes[shift + pixel] = code;
        }
      }
    }
  }
}

/**
 * One row of pixels through one section.
 *
 * @param v     of the row in the section.
 * @param east  of the center of column 0, from the land's western edge.
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
