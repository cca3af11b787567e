import type { FieldTruth, RasterPosition } from "./field-truth.js";
import { LatticeProjection, SHIFT_EAST_M, SHIFT_NORTH_M } from "./lattice-projection.js";
import { RingTracer, type TracedRings } from "./ring-tracer.js";
import { SECTION_PIXELS, type TracedSection } from "./traced-section.js";
import type { WkbBuffer } from "./wkb.js";
import { borderOf, PIXEL_M, tracedSectionOf, type World } from "./world.js";

/** Sections kept: a county's row of them and the next one, with their neighbors. */
const KEPT = 64;
/** Fewest pixels, and the least share of them with pixels of the field all around, for a sure majority. */
const SURE_PIXELS = 40;
const SURE_INNER_SHARE = 0.3;

/** Fields traced from pixels: their polygons and what is true of them. Fastest section by section, in the files' order. */
export class TracedLand {
  readonly #sections = new Map<number, TracedSection>();
  readonly #tracer = new RingTracer();
  readonly #projection: LatticeProjection;
  readonly #border: ((y: number) => number) | undefined;
  /** Per pixel: its label where its neighbors in the row have it too; 1 where all neighbors have. Edges stay 0. */
  readonly #inRow = new Uint8Array(SECTION_PIXELS ** 2);
  readonly #inner = new Uint8Array(SECTION_PIXELS ** 2);
  #traced: { section: TracedSection; rings: TracedRings } | undefined;
  #told: { section: TracedSection; truths: FieldTruth[] } | undefined;

  constructor(private readonly world: World) {
    this.#projection = new LatticeProjection(world);
    this.#border = borderOf(world);
  }

  section(sx: number, sy: number): TracedSection {
    const key = (sy + 1) * (this.world.columns + 2) + sx + 1;
    const known = this.#sections.get(key);
    if (known) return known;
    if (this.#sections.size >= KEPT) this.#sections.delete(this.#sections.keys().next().value as number);
    const made = tracedSectionOf(this.world, sx, sy);
    this.#sections.set(key, made);
    return made;
  }

  addTo(wkb: WkbBuffer, section: TracedSection, field: number): void {
    const { sx, sy } = section;
    if (this.#traced?.section !== section) {
      const neighbors = [
        this.section(sx, sy - 1),
        this.section(sx + 1, sy),
        this.section(sx, sy + 1),
        this.section(sx - 1, sy),
      ];
      this.#traced = { section, rings: this.#tracer.trace(section, neighbors) };
    }
    wkb.addTraced(this.#traced.rings, field, this.#projection.around(sx, sy));
  }

  truthOf(section: TracedSection, field: number): FieldTruth {
    if (this.#told?.section !== section) this.#told = { section, truths: this.#look(section) };
    return this.#told.truths[field] as FieldTruth;
  }

  /** Look at every pixel once: is it in the raster, in the country, and inside its field? */
  #look({ sx, sy, labels, fields }: TracedSection): FieldTruth[] {
    const { landX, landY, originX, originY, width, height } = this.world;
    const west = Math.round((landX - originX) / PIXEL_M) + sx * SECTION_PIXELS;
    const north = Math.round((originY - landY) / PIXEL_M) + sy * SECTION_PIXELS;
    const tallies = fields.map(() => new Tally());
    const inner = this.#innerPixels(labels);
    for (let y = 0, at = 0; y < SECTION_PIXELS; y++) {
      const row = north + y;
      const abroadFrom = this.#border
        ? Math.ceil((this.#border(originY - (row + 0.5) * PIXEL_M) - originX) / PIXEL_M - 0.5)
        : Number.POSITIVE_INFINITY;
      const seen = row >= 0 && row < height;
      for (let x = 0; x < SECTION_PIXELS; ) {
        const label = labels[at] as number;
        const first = x;
        let within = 0;
        do {
          within += inner[at++] as number;
          x++;
        } while (x < SECTION_PIXELS && labels[at] === label);
        if (label === 0) continue;
        const [from, to] = [west + first, west + x];
        const tally = tallies[label - 1] as Tally;
        tally.add(from, to, row, within);
        if (!seen) continue;
        const [left, right] = [Math.max(0, from), Math.min(width, to)];
        tally.centers += Math.max(0, right - left);
        tally.abroad += Math.max(0, right - Math.max(left, abroadFrom));
      }
    }
    return tallies.map((tally) => tally.truth(width, height));
  }

  /** 1 where all neighbors of a pixel belong to its field; those of other sections do not. */
  #innerPixels(labels: Uint8Array): Uint8Array {
    const [inRow, inner] = [this.#inRow, this.#inner];
    for (let at = 1; at < labels.length - 1; at++) {
      const label = labels[at] as number;
      inRow[at] = labels[at - 1] === label && labels[at + 1] === label ? label : 0;
    }
    for (let y = 1; y < SECTION_PIXELS - 1; y++) {
      for (let at = y * SECTION_PIXELS + 1, end = at + SECTION_PIXELS - 2; at < end; at++) {
        const label = inRow[at] as number;
        inner[at] = label !== 0 && inRow[at - SECTION_PIXELS] === label && inRow[at + SECTION_PIXELS] === label ? 1 : 0;
      }
    }
    return inner;
  }
}

/** What is counted of one field. */
class Tally {
  centers = 0;
  abroad = 0;
  #pixels = 0;
  #inner = 0;
  #west = Number.POSITIVE_INFINITY;
  #east = Number.NEGATIVE_INFINITY;
  #north = Number.POSITIVE_INFINITY;
  #south = Number.NEGATIVE_INFINITY;

  /** Pixels `from` up to but not including `to` of a row. */
  add(from: number, to: number, row: number, inner: number): void {
    this.#pixels += to - from;
    this.#inner += inner;
    this.#west = Math.min(this.#west, from);
    this.#east = Math.max(this.#east, to);
    this.#north = Math.min(this.#north, row);
    this.#south = Math.max(this.#south, row + 1);
  }

  truth(width: number, height: number): FieldTruth {
    const place = this.#place(width, height);
    const sure =
      (place === "inside" || place === "edge") &&
      this.centers >= Math.max(SURE_PIXELS, this.#pixels / 2) &&
      this.#inner >= SURE_INNER_SHARE * this.#pixels;
    return { place, sure, centres: this.centers };
  }

  #place(width: number, height: number): RasterPosition {
    const [right, down] = [SHIFT_EAST_M / PIXEL_M, -SHIFT_NORTH_M / PIXEL_M];
    const [west, east] = [this.#west + right, this.#east + right];
    const [north, south] = [this.#north + down, this.#south + down];
    if (east <= 0 || south <= 0 || west >= width || north >= height) return "outside";
    if (this.abroad > 0) return this.abroad === this.centers ? "abroad" : "border";
    return west < 0 || north < 0 || east > width || south > height ? "edge" : "inside";
  }
}
