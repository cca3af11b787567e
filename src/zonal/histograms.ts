import type { Pixels } from "../kernel/raster.js";
import { type BandType, PIXEL_ARRAYS } from "../raster/pixels.js";

/** Numbers of pixels, or sums of weights. */
export type Counts = Uint32Array | Float64Array;

/** Pairs of class and count per block. */
const BLOCK_PAIRS = 2 ** 20;

interface Block {
  readonly code: Pixels;
  readonly count: Counts;
  used: number;
}

/**
 * Every field's whole histogram, by row. Fields hold few classes, so pairs lie packed in
 * blocks in the order in which fields are decided: 5 bytes a pair for a raster of bytes
 * (9 where pixels are weighted), 8 bytes a field.
 */
export class Histograms {
  readonly #blocks: Block[] = [];
  /** Start of a row's pairs: block × BLOCK_PAIRS + position. */
  readonly #begin: Uint32Array;
  readonly #length: Uint32Array;

  constructor(
    rows: number,
    private readonly type: BandType,
    private readonly countType: new (length: number) => Counts,
  ) {
    this.#begin = new Uint32Array(rows);
    this.#length = new Uint32Array(rows);
  }

  /** Store a row's histogram, classes ascending. */
  set(row: number, code: ArrayLike<number>, count: ArrayLike<number>): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || block.used + code.length > block.code.length) {
      const size = Math.max(BLOCK_PAIRS, code.length);
      block = { code: new PIXEL_ARRAYS[this.type](size), count: new this.countType(size), used: 0 };
      this.#blocks.push(block);
    }
    block.code.set(code, block.used);
    block.count.set(count, block.used);
    this.#begin[row] = (this.#blocks.length - 1) * BLOCK_PAIRS + block.used;
    this.#length[row] = code.length;
    block.used += code.length;
  }

  /** A row's classes, ascending, and their counts; empty if there are none. */
  get(row: number): { readonly code: Pixels; readonly count: Counts } {
    const [begin, length] = [this.#begin[row] as number, this.#length[row] as number];
    const block = this.#blocks[Math.floor(begin / BLOCK_PAIRS)];
    if (block === undefined || length === 0)
      return { code: new PIXEL_ARRAYS[this.type](0), count: new this.countType(0) };
    const at = begin % BLOCK_PAIRS;
    return { code: block.code.subarray(at, at + length), count: block.count.subarray(at, at + length) };
  }
}
