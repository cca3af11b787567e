import { type Ground, groundsOf } from "./ground.js";
import { BACKGROUND } from "./land.js";
import { hash } from "./random.js";
import { borderOf, PIXEL_M, type World } from "./world.js";

const NOISE = 31;
const CLUMPS = 32;
/** Of 256 pixels, those that show a neighbor of theirs (or themselves): at edges only does it make a difference. */
const MIXED = 110;
/** Of 1024 pixels, those that the classifier got wrong, wherever they lie. */
const WRONG = 22;
/** Of 1024 clumps of two by two pixels, those that it got wrong together: wet or bare spots, trees, shadows. */
const WRONG_CLUMPS = 30;
/** What it takes them for. */
const MISTAKES = [1, 4, 5, 24, 36, 37, 61, 176, 121, 152, 59, 27, 28, 195, 29, 205] as const;
/**
 * One year's raster, row by row: every pixel shows what lies under its center, but
 * for the mixed pixels along edges and a few wrong ones. Three rows of pixels
 * are kept at a time.
 */
export class Painter {
  readonly #pure = new Map<number, Uint8Array>();
  readonly #border: ((y: number) => number) | undefined;

  constructor(
    private readonly world: World,
    private readonly year: number,
    private readonly ground: Ground = groundsOf(world, [year])[0] as Ground,
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

  /** Codes under the pixel centers, nothing mixed or wrong. */
  #pureRow(row: number): Uint8Array {
    const known = this.#pure.get(row);
    if (known) return known;
    const codes = this.ground.row(row);
    this.#pure.set(row, codes);
    return codes;
  }
}
