import { BACKGROUND, landAt } from "./land.js";
import { hash } from "./random.js";
import { cropOf } from "./rotation.js";
import type { Section } from "./section.js";
import { Rectangle, type Shape } from "./shapes.js";
import { SECTION_M } from "./survey.js";
import { borderOf, PIXEL_M, sectionOf, type World } from "./world.js";

const NOISE = 31;
const CLUMPS = 32;
/** Of 256 pixels, those that show a neighbour of theirs (or themselves): at edges only does it make a difference. */
const MIXED = 110;
/** Of 1024 pixels, those that the classifier got wrong, wherever they lie. */
const WRONG = 22;
/** Of 1024 clumps of two by two pixels, those that it got wrong together: wet or bare spots, trees, shadows. */
const WRONG_CLUMPS = 30;
/** What it takes them for. */
const MISTAKES = [1, 4, 5, 24, 36, 37, 61, 176, 121, 152, 59, 27, 28, 195, 29, 205] as const;
/** No code yet; the CDL has no 255. */
const UNSET = 255;

/** A section with this year's crops. */
interface Plot {
  readonly section: Section;
  readonly shapes: readonly Shape[];
  readonly crops: Uint8Array;
}

/**
 * One year's raster, row by row: every pixel shows what lies under its centre, but
 * for the mixed pixels along edges and a few wrong ones. Three rows of pixels and
 * two of sections are kept at a time.
 */
export class Painter {
  readonly #plots = new Map<number, readonly Plot[]>();
  readonly #pure = new Map<number, Uint8Array>();
  readonly #border: ((y: number) => number) | undefined;

  constructor(
    private readonly world: World,
    private readonly year: number,
  ) {
    this.#border = borderOf(world);
  }

  /** @param out  receives the `width` codes of row `row` at `at`. Fastest from north to south. */
  paintRow(row: number, out: Uint8Array, at: number): void {
    const { width, seed } = this.world;
    for (const kept of this.#pure.keys()) if (Math.abs(kept - row) > 1) this.#pure.delete(kept);
    const [north, here, south] = [this.#pureRow(row - 1), this.#pureRow(row), this.#pureRow(row + 1)];
    const rowNoise = hash(seed, row, this.year, NOISE);
    const clumpNoise = hash(seed, row >> 1, this.year, CLUMPS);
    let clump = 0;
    for (let col = 0; col < width; col++) {
      // One multiply-and-shift chain: this runs for every pixel of the country.
      let bits = Math.imul(col ^ rowNoise, 0x85ebca6b);
      bits = Math.imul(bits ^ (bits >>> 15), 0xc2b2ae35);
      bits = Math.imul(bits ^ (bits >>> 13), 0x27d4eb2f);
      bits ^= bits >>> 16;
      if ((col & 1) === 0) {
        clump = Math.imul((col >> 1) ^ clumpNoise, 0x85ebca6b);
        clump = Math.imul(clump ^ (clump >>> 15), 0xc2b2ae35);
        clump ^= clump >>> 16;
      }
      let code = here[col] as number;
      if ((bits & 0xff) < MIXED) {
        const side = (bits >>> 18) % 9;
        const from = side < 3 ? north : side < 6 ? here : south;
        code = from[Math.min(width - 1, Math.max(0, col + (side % 3) - 1))] as number;
      }
      // Three of a clump's four pixels, on average.
      if ((clump & 0x3ff) < WRONG_CLUMPS && (bits & 0x30000) !== 0) code = MISTAKES[(clump >>> 26) & 0xf] as number;
      if (((bits >>> 8) & 0x3ff) < WRONG) code = MISTAKES[(bits >>> 26) & 0xf] as number;
      out[at + col] = code;
    }
    if (this.#border) {
      const { originX, originY } = this.world;
      const abroad = Math.ceil((this.#border(originY - (row + 0.5) * PIXEL_M) - originX) / PIXEL_M - 0.5);
      out.fill(BACKGROUND, at + Math.min(width, Math.max(0, abroad)), at + width);
    }
  }

  /** Codes under the pixel centres, nothing mixed or wrong. */
  #pureRow(row: number): Uint8Array {
    const known = this.#pure.get(row);
    if (known) return known;
    const { world } = this;
    const codes = new Uint8Array(world.width).fill(UNSET);
    const south = world.landY - (world.originY - (row + 0.5) * PIXEL_M);
    const sy = Math.floor(south / SECTION_M);
    const east = world.originX - world.landX + PIXEL_M / 2;
    for (const plot of this.#plotsOf(sy)) paintPlot(world.seed, plot, south - sy * SECTION_M, east, codes);
    this.#pure.set(row, codes);
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
